"""The gallery in a real Airflow: its API server shows it only to users who may see the run."""

import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from PIL import Image

from cloudseg_local.airflow_server import ADMIN, DAG_ID, VIEWER
from tests.dags.logins import STRANGER, STRANGERS_DAG
from tests.support import tiny
from tests.support.pagesource import Page, check
from tests.support.running import RunningAirflow

# All tests share one Airflow, so one worker runs them.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("airflow")]

HOSTILE = 'gallery/"><script>alert(1)</script>.png'


@dataclass
class Browser:
    """A user's browser, with or without Airflow's cookie."""

    url: str
    session: requests.Session

    def get(self, path: str, status: int) -> requests.Response:
        answer = self.session.get(f"{self.url}{path}", allow_redirects=False, timeout=60)
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:1000]}"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"].startswith("private")
        return answer


@dataclass
class Visit:
    """A run, and browsers of several users."""

    airflow: RunningAirflow
    run_id: str
    other_run: str

    def path(self, rest: str, dag_id: str = DAG_ID, run_id: str | None = None) -> str:
        return f"/cloudseg/dags/{dag_id}/runs/{quote(run_id or self.run_id, safe='')}/{rest}"

    def browser(self, user: str | None) -> Browser:
        url, session = self.airflow.stack.state.ui_url, requests.Session()
        if user:
            known = json.loads((self.airflow.stack.state.airflow_home / "passwords.json").read_text())
            login = {"username": user, "password": known[user]}
            token = requests.post(f"{url}/auth/token", json=login, timeout=30).json()["access_token"]
            session.cookies.set("_token", token)
        return Browser(url, session)


@pytest.fixture(scope="module")
def visit(airflow: RunningAirflow) -> Visit:
    airflow.empty_inputs()
    photographs = {f"gallery/{number}.png": tiny.photograph(number, 64, 48) for number in range(4)}
    airflow.upload({**photographs, HOSTILE: tiny.photograph(9, 64, 48), "gallery/bad.jpg": b"no image"})
    run_id, state = airflow.run()
    assert state == "success"
    other = airflow.wait_for(lambda: _trigger_other(airflow))
    return Visit(airflow, run_id, other)


def _trigger_other(airflow: RunningAirflow) -> str | None:
    return airflow.api.trigger(STRANGERS_DAG, {}) if airflow.api.has_dag(STRANGERS_DAG) else None


@pytest.mark.parametrize("user", [VIEWER, ADMIN])
def test_authorized_user_sees_the_images_of_a_run(visit: Visit, user: str) -> None:
    browser = visit.browser(user)
    page = Page(browser.get(visit.path("gallery"), 200).text)
    check(page)
    for name in ("gallery/0.png", "gallery/3.png", "gallery/bad.jpg", HOSTILE):
        assert name in page.text
    assert "not a photograph but text: upload the photograph itself" in page.text
    # The photographs are deleted, because their masks are proven; the engine made previews of the first of each chunk.
    pictures = [image for image in page.all("img") if image["class"] == "preview"]
    assert len(pictures) == 5
    for image in pictures:
        answer = browser.get(image["src"], 200)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert Image.open(io.BytesIO(answer.content)).size == (2 * 64 + 4, 48)
    link = next(link for link in page.links() if "/images/" in link)
    detail = Page(browser.get(link, 200).text)
    check(detail)
    assert visit.run_id in detail.text
    assert "replaced by its mask" in detail.text or "in quarantine" in detail.text


def test_outcome_filter(visit: Visit) -> None:
    page = Page(visit.browser(VIEWER).get(visit.path("gallery?outcome=quarantined"), 200).text)
    assert "masks\n" in page.text or "masks" in page.text
    assert "gallery/bad.jpg" in page.text
    assert "gallery/0.png" not in page.text


def test_progress(visit: Visit) -> None:
    answer = visit.browser(VIEWER).get(visit.path("progress"), 200)
    assert "6 of 6 images done" in Page(answer.text).text
    assert "Refresh" not in answer.headers  # the run has ended


@pytest.mark.parametrize("rest", ["gallery", "progress", "tasks/segment/0", f"images/0/0/{'0' * 32}/small"])
def test_anonymous_user_sees_only_a_link_to_the_login(visit: Visit, rest: str) -> None:
    browser = visit.browser(None)
    answer = browser.get(visit.path(rest), 401)
    page = Page(answer.text)
    assert "gallery/" not in page.text
    assert "You are not logged in" in page.text
    (link,) = page.links()
    redirected = requests.get(f"{browser.url}{link}", allow_redirects=False, timeout=30)
    assert redirected.status_code == 307
    location = urlsplit(redirected.headers["Location"])
    assert location.path == "/auth/login"
    assert parse_qs(location.query)["next"] == [visit.path(rest)] or parse_qs(location.query)["next"][0].startswith(
        "/cloudseg/"
    )


def test_invalid_token_is_rejected(visit: Visit) -> None:
    browser = visit.browser(None)
    browser.session.cookies.set("_token", "not.a.token")
    answer = browser.session.get(f"{browser.url}{visit.path('gallery')}", timeout=30)
    assert answer.status_code in (401, 403)
    assert "gallery/0.png" not in answer.text


@pytest.mark.parametrize("rest", ["gallery", "progress", "tasks/segment/0", f"images/0/0/{'0' * 32}/small"])
def test_unauthorized_user_sees_nothing_of_the_dag(visit: Visit, rest: str) -> None:
    browser = visit.browser(STRANGER)
    page = Page(browser.get(visit.path(rest), 403).text)
    assert "You may not see this" in page.text
    # Access through a DAG that the user may see is rejected too.
    page = Page(browser.get(visit.path(rest, dag_id=STRANGERS_DAG), 404).text)
    assert "has no run" in page.text
    browser.get(f"{visit.path(rest, dag_id='~')}", 403)
    browser.get(f"{visit.path(rest)}?dag_id={STRANGERS_DAG}", 403)


def test_other_dag_has_no_gallery(visit: Visit) -> None:
    for user in (STRANGER, VIEWER):
        page = Page(visit.browser(user).get(visit.path("gallery", STRANGERS_DAG, visit.other_run), 404).text)
        assert "it is not a cloudseg run, so it has no gallery" in page.text


@pytest.mark.parametrize(
    "run_id", ["../x", "..%2F", "nowhere", "x/../../models", "%00", "' OR 1=1 --", "<script>alert(1)</script>", "."]
)
def test_unknown_run_is_404(visit: Visit, run_id: str) -> None:
    browser = visit.browser(ADMIN)
    prepared = requests.Request("GET", f"{browser.url}{visit.path('gallery', run_id=run_id)}").prepare()
    prepared.url = f"{browser.url}{visit.path('gallery', run_id=run_id)}"
    prepared.headers["Cookie"] = f"_token={browser.session.cookies['_token']}"
    answer = browser.session.send(prepared, timeout=30)
    assert answer.status_code == 404
    check(Page(answer.text))


def test_views_are_registered_in_airflow(visit: Visit) -> None:
    plugins: Any = visit.airflow.api._send("GET", "/plugins").json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "cloudseg"]
    assert [view["destination"] for view in ours["external_views"]] == ["dag_run", "dag_run", "task_instance"]
    assert visit.airflow.api._send("GET", "/plugins/importErrors").json()["total_entries"] == 0
