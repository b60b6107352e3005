"""Errors are pages that say what is wrong and what to do."""

import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.storage import Store
from tests.gallery.web.conftest import PREFIX, Site
from tests.support.pagesource import Page


def test_missing_settings_are_listed_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from cloudseg_ops.gallery.addresses import Addresses
    from cloudseg_ops.gallery.web import access, application

    for name in ("INPUT_BUCKET", "OUTPUT_BUCKET", "STAGING_BUCKET", "MODEL_REPOSITORY"):
        monkeypatch.delenv(f"CLOUDSEG_{name}", raising=False)
    made = application.make_app()
    made.dependency_overrides[access.may_see_runs] = lambda: None
    made.dependency_overrides[access.find_run] = lambda: access.VisibleRun(Addresses("", "d", "r"), "success")
    answer = TestClient(made).get(f"{PREFIX}/gallery")
    assert answer.status_code == 503
    page = Page(answer.text)
    assert "cloudseg is not set up on the API server" in page.text
    assert "CLOUDSEG_INPUT_BUCKET is not set: Bucket that photographs are dropped into" in page.text


def test_missing_bucket_is_reported(site: Site) -> None:
    from cloudseg_ops.config.settings import Settings
    from cloudseg_ops.gallery.web import buckets

    settings = Settings(
        input_bucket="nowhere-1", output_bucket="nowhere-2", staging_bucket="nowhere-3", model_repository="x"
    )
    inner = site.client.app.routes[-1].app
    inner.dependency_overrides[buckets.get_buckets] = lambda: buckets.Buckets(settings, site.store)
    page = Page(site.get("gallery", status=503).text)
    assert "there is no such bucket" in page.text


def test_corrected_settings_are_read_again(store: Store) -> None:
    from cloudseg_ops.config.settings import Settings
    from cloudseg_ops.gallery.web.buckets import Buckets, _Opened

    tries = []

    def open_buckets() -> Buckets:
        tries.append(1)
        if len(tries) == 1:
            raise SettingsError("nothing is set")
        settings = Settings(input_bucket="aaa", output_bucket="bbb", staging_bucket="ccc", model_repository="x")
        return Buckets(settings, store)

    opened = _Opened(open_buckets)
    with pytest.raises(SettingsError):
        opened.get()
    assert opened.get() is opened.get()
    assert len(tries) == 2
