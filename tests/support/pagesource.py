"""The elements of an HTML page, by the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Page(HTMLParser):
    """The elements of a page, in order, with their attributes, and its text."""

    source: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str]:
        return [attributes["href"] for attributes in self.all("a")]


def relative(link: str) -> str:
    """Return the path of a link for the test client."""
    return link.removeprefix("/cloudseg")


def check(page: Page) -> None:
    """Assert that a page has only the elements and attributes that the project writes."""
    allowed = {
        "html", "head", "meta", "title", "link", "body", "header", "div", "h1", "h2", "p", "code", "nav", "a", "main",
        "dl", "dt", "dd", "form", "label", "select", "option", "input", "button", "ul", "ol", "li", "svg", "rect",
        "img", "span", "section", "strong", "table", "thead", "tbody", "tr", "th", "td", "time",
    }  # fmt: skip
    assert {tag for tag, _ in page.elements} <= allowed
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            if name in attributes:
                assert attributes[name].startswith("/cloudseg/"), attributes
