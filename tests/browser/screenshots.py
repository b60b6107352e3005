"""`python -m tests.browser.screenshots`: regenerates the pictures of docs/ui.md, of a real run in a real Airflow.

The photographs are generated scenes, which may be published. Takes about five minutes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from cloudseg_local.photographs import upload_photographs
from cloudseg_local.state import REPOSITORY
from tests.browser.driving import SECONDS, Ui, chromium, label, running_browser
from tests.support import tiny
from tests.support.running import RunningAirflow, start_airflow

FOLDER = REPOSITORY / "docs" / "images"
_SETTINGS = {
    "chunk_objects": 30,
    "gpu_hour_price": 0.71,
    "pool_slots": 2,
    "engine_options": "--threads 1 --progress-seconds 2 --downloads 2 --uploads 2",
    "retries": 0,
}


def main() -> None:
    program = chromium()
    if program is None:
        sys.exit("there is no Chromium on the PATH; install it (on Debian: apt-get install chromium)")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_browser(program) as browser,
        start_airflow(Path(folder), _SETTINGS) as airflow,
    ):
        ui = Ui(browser, airflow.stack.state.ui_url)
        ui.sign_in("admin", airflow.stack.state.secret("admin-password"))
        _pictures(ui, airflow)


def _pictures(ui: Ui, airflow: RunningAirflow) -> None:
    upload_photographs(airflow.store, None, 118)
    airflow.upload({"broken/empty.png": b""})
    with airflow.faults(latency=0.3):
        run_id = airflow.trigger()
        airflow.wait_for(lambda: airflow.tasks(run_id)["segment"][0] == "running" or None, 120)
        ui.open_run(run_id)
        tab = ui.open_tab("Progress")
        expect(tab.get_by_role("cell", name="running").nth(1)).to_be_visible(timeout=60 * SECONDS)
        ui.page.wait_for_timeout(8 * SECONDS)
        _save(ui, "ui-progress")
    assert airflow.wait(run_id) == "success"
    _gallery(ui, run_id)
    _form(ui)
    for name, params in (("ui-plan", {"dry_run": True}), ("ui-failure", {"model_revision": "v9"})):
        airflow.upload({f"{name}/{number}.png": tiny.photograph(number, 64, 48) for number in range(4)})
        run_id = airflow.trigger(**params)
        airflow.wait(run_id)
        ui.open_task(run_id, "plan_chunks" if name == "ui-plan" else "pull_model")
        ui.page.wait_for_timeout(4 * SECONDS)
        if name == "ui-failure":
            # The frames below it have paths of this machine.
            ui.page.get_by_text("AirflowFailException").first.click()
            ui.page.evaluate("document.querySelectorAll('*').forEach(element => (element.scrollLeft = 0))")
            ui.page.wait_for_timeout(1 * SECONDS)
        _save(ui, name)


def _gallery(ui: Ui, run_id: str) -> None:
    ui.open_run(run_id)
    ui.page.wait_for_timeout(3 * SECONDS)
    _save(ui, "ui-run")
    tab = ui.open_tab("Gallery")
    expect(tab.locator("ol.pictures > li")).to_have_count(24)
    ui.page.wait_for_timeout(5 * SECONDS)
    tab.get_by_label("Outcome").select_option(label="mask made in this run")
    tab.get_by_role("button", name="Show").click()
    ui.page.wait_for_timeout(5 * SECONDS)
    _save(ui, "ui-gallery")
    tab.locator("ol.pictures a").nth(3).click()
    expect(tab.get_by_text("Read from the mask in the bucket.")).to_be_visible()
    ui.page.wait_for_timeout(2 * SECONDS)
    _save(ui, "ui-image")
    ui.open_task(run_id, "report")
    ui.page.get_by_role("link", name="Details", exact=True).click()
    ui.page.wait_for_timeout(4 * SECONDS)
    _save(ui, "ui-links")


def _form(ui: Ui) -> None:
    form = ui.open_trigger_form()
    expect(label(form, "Dry run")).to_be_attached()
    ui.page.wait_for_timeout(1 * SECONDS)
    _save(ui, "ui-form")


def _save(ui: Ui, name: str) -> None:
    """Save as PNG with 256 colours: a third of the size, without a visible difference."""
    path = FOLDER / f"{name}.png"
    ui.page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
