"""The documentation's site: it has every guide and every public name, and its links work."""

import re
from pathlib import Path
from typing import Any

import docs_hook
import pytest
import yaml

import cloudseg_ops
import cloudseg_ops.storage

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = {
    **{path.relative_to(DOCS).as_posix(): path for path in DOCS.rglob("*.md")},
    **{page: ROOT / name for name, page in docs_hook.PAGES.items()},
}
"""Files of the repository by their pages on the site."""

REPOSITORY = "https://git.example/sky/cloudseg"
# Formats and constants that do not describe objects in buckets; `errors` has a separate page.
NOT_CONTRACTS = {
    "commit", "errors", "file_kinds", "imports", "json_text", "overlay", "photographs", "pickle_globals",
    "program_check", "program_expressions", "program_grammar", "program_graph", "program_names", "quantities",
    "safetensors_file", "strict_zip", "tensor_info", "tiff_pages", "torch_pickle", "units", "weights_errors",
    "zip_members",
}  # fmt: skip


def site() -> dict[str, Any]:
    """mkdocs.yml, with its YAML tags ignored."""

    class Loader(yaml.SafeLoader):
        pass

    for tag in ("!ENV", "tag:yaml.org,2002:python/"):
        Loader.add_multi_constructor(tag, lambda *_: None)
    config: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    return config


def pages_of(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(entry)]


def documented(page: str) -> list[str]:
    """The names that mkdocstrings documents on an API page."""
    return re.findall(r"^::: (\S+)$", (DOCS / "api" / page).read_text("utf-8"), re.MULTILINE)


def test_every_guide_is_in_the_navigation_once() -> None:
    assert sorted(pages_of(site()["nav"])) == sorted(SOURCES)


def test_every_public_name_is_on_the_api_page() -> None:
    names = [name.removeprefix("cloudseg_ops.") for name in documented("index.md")]
    assert sorted(name for name in names if "." not in name) == sorted(cloudseg_ops.__all__)


def test_every_storage_name_is_on_its_page() -> None:
    assert sorted(documented("storage.md")) == [
        f"cloudseg_ops.storage.{n}" for n in sorted(cloudseg_ops.storage.__all__)
    ]


def test_every_contract_is_on_its_page() -> None:
    modules = {path.stem for path in (ROOT / "cloudseg_ops/contracts").glob("[a-z]*.py")}
    assert modules > NOT_CONTRACTS
    assert {name.rpartition(".")[2] for name in documented("contracts.md")} == modules - NOT_CONTRACTS
    assert documented("exceptions.md") == ["cloudseg_ops.contracts.errors"]


def test_no_page_has_broken_links() -> None:
    for page, source in SOURCES.items():
        text = docs_hook.rewrite_links(source.read_text("utf-8"), page, REPOSITORY)
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)]+)\)", text):
            path = link.partition("#")[0]
            if path and not path.startswith("https://"):
                target = (DOCS / page).parent.joinpath(path).resolve().relative_to(DOCS).as_posix()
                assert target in SOURCES or (DOCS / target).is_file(), f"{page}: {link}"


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("gke.md", "settings.md#pods", "settings.md#pods"),
        ("gke.md", "#7-quotas", "#7-quotas"),
        ("gke.md", "https://example.com/README.md", "https://example.com/README.md"),
        ("ui.md", "images/ui-run.png", "images/ui-run.png"),
        ("settings.md", "../README.md#settings", "overview.md#settings"),
        ("api/index.md", "../compatibility.md", "../compatibility.md"),
        ("api/index.md", "../../README.md", "../overview.md"),
        ("overview.md", "docs/gke.md", "gke.md"),
        ("overview.md", "docs/images/report.png", "images/report.png"),
        ("overview.md", "CHANGELOG.md", "changelog.md"),
        ("overview.md", "LICENSE", f"{REPOSITORY}/blob/HEAD/LICENSE"),
        ("performance.md", "../benchmarks/README.md#on-a-gpu", f"{REPOSITORY}/blob/HEAD/benchmarks/README.md#on-a-gpu"),
        ("delivery.md", "../deploy/environments", f"{REPOSITORY}/tree/HEAD/deploy/environments"),
        ("delivery.md", "../nonesuch.py", "../nonesuch.py"),
        ("delivery.md", "/etc", "/etc"),
        ("delivery.md", "../../../etc", "../../../etc"),
    ],
)
def test_links_are_rewritten_for_the_site(page: str, link: str, there: str) -> None:
    assert docs_hook.site_link(link, page, REPOSITORY) == there


def test_links_in_code_are_not_rewritten() -> None:
    code = "`[a](../README.md)`\n```md\n[b](../README.md)\n```\n"
    text = f"{code}[the `c`](../README.md) and [d](../LICENSE).\n"
    expected = f"{code}[the `c`](overview.md) and [d]({REPOSITORY}/blob/HEAD/LICENSE).\n"
    assert docs_hook.rewrite_links(text, "gke.md", REPOSITORY) == expected


def test_site_requirements_are_pinned_by_hash_without_an_index() -> None:
    lock = (ROOT / "requirements/docs.lock").read_text("utf-8")
    pins = re.findall(r"^[a-z0-9-]+==\S+", lock, re.MULTILINE)
    assert len(pins) > 20
    assert len(pins) == len(re.findall(r"^[a-z0-9-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE))
    assert "://" not in lock
