"""When an operator link is shown, and when it is not."""

import logging
from typing import Any

import pytest

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.operator_links import RunReportLink, show, show_folder, show_object

REPORT = GcsUri("masks", "reports/r 1/report.html")


class _TaskInstance:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture
def ti(monkeypatch: pytest.MonkeyPatch) -> _TaskInstance:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    return _TaskInstance()


def test_link_is_pushed_with_its_address(ti: _TaskInstance) -> None:
    show_object({"ti": ti}, RunReportLink, REPORT)
    assert ti.xcoms == {"_link_RunReportLink": "https://storage.cloud.google.com/masks/reports/r%201/report.html"}
    show_folder({"ti": ti}, RunReportLink, GcsUri("masks", "a"), "p")
    assert ti.xcoms["_link_RunReportLink"].endswith("/masks/a?project=p")


def test_local_link_points_to_the_emulator(ti: _TaskInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:4443")
    show_object({"ti": ti}, RunReportLink, REPORT)
    assert ti.xcoms["_link_RunReportLink"] == (
        "http://localhost:4443/_emulator/browse/masks/reports%2Fr%201%2Freport.html/content"
    )


@pytest.mark.parametrize("address", [None, ""])
def test_no_link_is_pushed_without_an_address(ti: _TaskInstance, address: str | None) -> None:
    show({"ti": ti}, RunReportLink, address)
    assert ti.xcoms == {}


def test_failed_link_does_not_fail_the_task(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        show({"ti": None}, RunReportLink, "https://example.org")
    assert "could not show the link 'Run report'" in caplog.text
