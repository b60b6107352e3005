"""The UI: trigger a run, watch it, look at its results; as admin, as viewer, and without a login."""

import re
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import expect

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET
from tests.browser.driving import SECONDS, Ui, label, next_page
from tests.support import tiny
from tests.support.running import RunningAirflow

# All tests share one Airflow and one browser, so one worker runs them, in this order.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("browser")]

HOSTILE = (
    "ui/<script>alert('name')</script>.png",
    'ui/"><img src=x onerror=alert(1)>.png',
    "ui/javascript:alert(2).png",
)
IMAGES = 150


@pytest.fixture(scope="module")
def run_id(airflow: RunningAirflow) -> str:
    """A run over 150 images, some of them with malicious names, and two that are not images."""
    airflow.empty_inputs()
    small = [tiny.photograph(number, 64, 48) for number in range(8)]
    names = [f"ui/{number:03}.png" for number in range(IMAGES - len(HOSTILE))]
    airflow.upload({name: small[number % 8] for number, name in enumerate([*names, *HOSTILE])})
    airflow.upload({"ui/<b>broken</b>.jpg": b"<script>alert(3)</script>", "ui/empty.jpg": b""})
    run_id, state = airflow.run()
    assert state == "success"
    return run_id


def test_form_explains_params_and_rejects_invalid_ones(admin: Ui, airflow: RunningAirflow) -> None:
    form = admin.open_trigger_form()
    for title in ("Model revision", "Input prefix", "After success", "Maximum objects", "Dry run"):
        expect(label(form, title)).to_be_visible()
    before = runs(airflow)
    form.locator("#element_model_revision").fill("--upload-pack=x")
    admin.send(form)
    expect(form.get_by_text("Invalid input for param model_revision")).to_be_visible()
    assert runs(airflow) == before


def test_dry_run_from_the_form_succeeds_and_changes_nothing(admin: Ui, airflow: RunningAirflow) -> None:
    airflow.empty_inputs()
    airflow.upload({f"dry/{number}.png": tiny.photograph(number, 64, 48) for number in range(3)})
    form = admin.open_trigger_form()
    form.locator("[id='switch:element_dry_run']").click()
    run_id = admin.triggered(form)
    assert airflow.wait(run_id) == "success"
    assert airflow.tasks(run_id)["segment"] == ["skipped"]
    assert len(airflow.names(INPUT_BUCKET, "dry/")) == 3
    admin.open_run(run_id)
    expect(admin.page.get_by_text("Success", exact=True).first).to_be_visible()
    admin.open_task(run_id, "plan_chunks")
    expect(admin.page.get_by_text("dry run: nothing is segmented, nothing is deleted")).to_be_visible()


def test_progress_tab_updates_during_a_run(admin: Ui, airflow: RunningAirflow) -> None:
    airflow.empty_inputs()
    airflow.upload({f"watched/{number:02}.png": tiny.photograph(number, 64, 48) for number in range(60)})
    with airflow.faults(latency=1.0):
        run_id = airflow.trigger()
        airflow.wait_for(lambda: airflow.tasks(run_id)["segment"][0] == "running" or None, 120)
        admin.open_run(run_id)
        tab = admin.open_tab("Progress")
        some = tab.get_by_text(re.compile(r"^([1-9]|[1-5]\d) of 60 images done"))
        expect(some).to_be_visible(timeout=60 * SECONDS)
    assert airflow.wait(run_id) == "success"
    # The page reloads itself.
    expect(tab.get_by_text("60 of 60 images done")).to_be_visible(timeout=30 * SECONDS)


def test_gallery_shows_and_filters_photographs(admin: Ui, run_id: str) -> None:
    admin.open_run(run_id)
    tab = admin.open_tab("Gallery")
    cards = tab.locator("ol.pictures > li")
    expect(cards).to_have_count(24)
    seen = 24
    while next_page(tab):
        seen += cards.count()
    assert seen == IMAGES + 2
    tab.get_by_label("Outcome").select_option(label="quarantined")
    tab.get_by_role("button", name="Show").click()
    expect(cards).to_have_count(2)
    expect(tab.get_by_text("not a photograph but a web page").first).to_be_visible()
    assert not admin.alerts


def test_malicious_names_are_shown_as_text(admin: Ui, run_id: str) -> None:
    admin.open_run(run_id)
    tab = admin.open_tab("Gallery")
    cards = tab.locator("ol.pictures > li")
    expect(cards).to_have_count(24)
    for name in HOSTILE:
        card = cards.filter(has_text=name)
        while not card.count():
            assert next_page(tab), f"no card of {name}"
        card.first.get_by_role("link").first.click()
        expect(tab.get_by_text(name, exact=True).first).to_be_visible()
        expect(tab.get_by_text("Read from the mask in the bucket.")).to_be_visible()
        expect(tab.get_by_text("v2", exact=True)).to_be_visible()
        tab.get_by_role("link", name="Gallery", exact=True).click()
        expect(cards).to_have_count(24)
    assert not admin.alerts


def test_gallery_of_a_task_shows_only_its_chunk(admin: Ui, run_id: str) -> None:
    admin.open_task(run_id, "segment", 1)
    tab = admin.open_tab("Gallery")
    expect(tab.get_by_label("Chunk")).to_have_value("1")
    expect(tab.get_by_text("chunk 0", exact=True)).to_have_count(0)


def test_viewer_sees_the_gallery_and_cannot_trigger(
    window: Callable[[], Ui], airflow: RunningAirflow, run_id: str
) -> None:
    viewer = window()
    viewer.sign_in("viewer", airflow.stack.state.secret("viewer-password"))
    viewer.open_run(run_id)
    expect(viewer.open_tab("Gallery").locator("ol.pictures > li")).to_have_count(24)
    token = {"Authorization": f"Bearer {viewer.page.context.cookies()[0]['value']}"}
    answer = requests.post(
        f"{viewer.url}/api/v2/dags/{DAG_ID}/dagRuns", json={"logical_date": None}, headers=token, timeout=30
    )
    assert answer.status_code == 403


def test_anonymous_user_is_directed_to_the_login(window: Callable[[], Ui], run_id: str) -> None:
    anonymous = window()
    anonymous.page.goto(f"{anonymous.url}/cloudseg/dags/{DAG_ID}/runs/{run_id}/gallery")
    expect(anonymous.page.get_by_text("You are not logged in")).to_be_visible()
    expect(anonymous.page.locator("ol.pictures")).to_have_count(0)
    anonymous.page.get_by_role("link", name="Log in").click()
    expect(anonymous.page.locator("input[name=password]")).to_be_visible()


def runs(airflow: RunningAirflow) -> int:
    return int(airflow.api._send("GET", f"/dags/{DAG_ID}/dagRuns").json()["total_entries"])
