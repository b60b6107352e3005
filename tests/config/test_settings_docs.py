"""The tables of settings in README.md and docs/settings.md against the fields."""

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from cloudseg_ops.config.models import PREFIX
from cloudseg_ops.config.settings import Settings, variables
from cloudseg_ops.pods import PodSettings

ROOT = Path(__file__).parents[2]


FIELDS = {
    PREFIX + name.upper(): field for model in (Settings, PodSettings) for name, field in model.model_fields.items()
}


def _rows(page: str) -> list[tuple[str, str, str]]:
    """The rows of a page's tables of variables."""
    return re.findall(r"^\| `(CLOUDSEG_[A-Z_]+)` \| (.*) \| (.*) \|$", (ROOT / page).read_text(), re.MULTILINE)


def test_readme_and_docs_list_exactly_these_variables() -> None:
    readme, docs = ([name for name, _, _ in _rows(page)] for page in ("README.md", "docs/settings.md"))
    assert sorted(docs) == sorted(PREFIX + name.upper() for name in PodSettings.model_fields)
    assert sorted([*readme, *docs]) == sorted(variables())


@pytest.mark.parametrize(("name", "meaning", "default"), [*_rows("README.md"), *_rows("docs/settings.md")])
def test_documented_meaning_and_default_match_the_field(name: str, meaning: str, default: str) -> None:
    field = FIELDS[name]
    # A row may continue the field's description.
    assert meaning.startswith(str(field.description))
    assert default == _default(field)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "unset"
    if field.default in ("", (), {}):
        return "empty"
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
