import pytest

from cloudseg_delivery.checks import require_tag
from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import DeliveryRefusedError

CHANGELOG = f"# Changelog\n\n## [Unreleased]\n\n## [{__version__}] - 2026-11-24\n\n- All of it.\n"


def test_release_tag_is_its_version() -> None:
    require_tag(f"v{__version__}", CHANGELOG)


@pytest.mark.parametrize("tag", ["v99.0.0", __version__, f"v{__version__}rc1", ""])
def test_other_tag_is_rejected(tag: str) -> None:
    with pytest.raises(DeliveryRefusedError, match=f"tag the release v{__version__}"):
        require_tag(tag, CHANGELOG)


@pytest.mark.parametrize("text", ["# Changelog\n", f"## [{__version__}]\n", f"## {__version__} - 2026-11-24\n"])
def test_release_without_a_changelog_section_is_rejected(text: str) -> None:
    with pytest.raises(DeliveryRefusedError, match=r"CHANGELOG\.md has no section"):
        require_tag(f"v{__version__}", text)
