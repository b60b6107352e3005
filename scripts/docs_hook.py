"""A MkDocs hook (mkdocs.yml): adds README.md and other files outside docs/ to the site, and rewrites links.

A guide links to files of the repository, so that its links work in a checkout and on a Git host. On the site, a link to
a page leads to that page, and a link to any other file leads to the repository's web address.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]

# Not readme.md: MkDocs and Git hosts take that name for a folder's index.
PAGES = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files at the root of the repository, and the pages that they are on the site."""

# Code is matched first, to be left alone.
_CODE_OR_LINK = re.compile(r"^```.*?^```|`[^`\n]+`|(?<=\]\()[^()\s]+(?=\))", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that are not below docs/."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite the links of a page."""
    return rewrite_links(markdown, page.file.src_uri, config.extra["repository"])


def rewrite_links(markdown: str, page: str, repository: str) -> str:
    """Rewrite the links of a page, except those in code.

    Args:
        markdown: The page's text.
        page: Its name below the site's root, such as `api/index.md`.
        repository: The repository's web address.
    """

    def replace(match: re.Match[str]) -> str:
        text = match[0]
        return text if text.startswith("`") else site_link(text, page, repository)

    return _CODE_OR_LINK.sub(replace, markdown)


def site_link(link: str, page: str, repository: str) -> str:
    """Return the target of a page's link on the site.

    Args:
        link: As the page has it: relative to the file in the repository.
        page: The page's name below the site's root.
        repository: The repository's web address.
    """
    path, hash_, anchor = link.partition("#")
    if not path or re.match(r"[a-z]+:|/", path):
        return link
    source = next((name for name, made in PAGES.items() if made == page), f"docs/{page}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    # What does not exist, or is outside of the repository, is left to MkDocs, which warns of it.
    if target in PAGES:
        path = _relative(PAGES[target], page)
    elif target.startswith("docs/"):
        path = _relative(target.removeprefix("docs/"), page)
    elif not target.startswith("../") and (ROOT / target).exists():
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        path = f"{repository.rstrip('/')}/{kind}/HEAD/{target}"
    return path + hash_ + anchor


def _relative(target: str, page: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")
