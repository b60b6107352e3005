"""Drives Airflow's UI as a user does: clicks, and what is visible afterwards."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

from cloudseg_local.airflow_server import DAG_ID

SECONDS = 1000
# Airflow's UI takes seconds to render a page if its scheduler runs on the same few cores.
expect.set_options(timeout=30 * SECONDS)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Path of Chromium on this machine; CLOUDSEG_CHROMIUM overrides it."""
    return os.environ.get("CLOUDSEG_CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)


@contextmanager
def running_browser(program: str) -> Iterator[Browser]:
    """Start a headless browser, and close it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def label(form: Locator, title: str) -> Locator:
    """A param's title in the trigger form; required ones end with an asterisk."""
    return form.locator("label").filter(has_text=re.compile(rf"^{re.escape(title)}\s*\*?$"))


def next_page(tab: FrameLocator) -> bool:
    """Go to the gallery's next page; returns whether there is one."""
    expect(tab.locator("p.status")).to_be_visible()
    link = tab.locator("a[rel=next]")
    if not link.count():
        return False
    address = link.get_attribute("href")
    link.click()
    expect(tab.locator(f'a[rel=next][href="{address}"]')).to_have_count(0)
    expect(tab.locator("p.status")).to_be_visible()
    return True


class Ui:
    """One user's window.

    Args:
        browser: The browser; the window has its own cookies.
        url: Airflow's address.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.set_default_timeout(30 * SECONDS)
        self.alerts: list[str] = []
        """Dialogs that scripts on the pages opened: none are allowed."""
        self.page.on("dialog", self._alert)

    def sign_in(self, name: str, password: str) -> None:
        page = self.page
        page.goto(f"{self.url}/auth/login")
        page.fill("input[name=username]", name)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/auth/login" not in url)
        expect(page.get_by_role("link", name="Dags").first).to_be_visible()

    def open_trigger_form(self) -> Locator:
        """Open the DAG and its trigger form; returns the form."""
        self.page.goto(f"{self.url}/dags/{DAG_ID}")
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog")
        expect(label(form, "Model revision")).to_be_visible()
        return form

    def send(self, form: Locator) -> None:
        form.get_by_role("button", name="Trigger", exact=True).click()

    def triggered(self, form: Locator) -> str:
        """Send the form; returns the id of the triggered run."""
        with self.page.expect_response(lambda answer: answer.url.endswith("/dagRuns")) as answer:
            self.send(form)
        assert answer.value.ok, answer.value.text()
        return str(answer.value.json()["dag_run_id"])

    def open_run(self, run_id: str, tab: str = "") -> None:
        """Open a run, or one of its tabs by its route."""
        self.page.goto(f"{self.url}/dags/{DAG_ID}/runs/{run_id}{tab}")
        expect(self.page.get_by_role("link", name=re.compile("Task Instances", re.IGNORECASE)).first).to_be_visible()

    def open_task(self, run_id: str, task_id: str, map_index: int | None = None) -> None:
        """Open the log of a task of a run."""
        mapped = "" if map_index is None else f"/mapped/{map_index}"
        self.page.goto(f"{self.url}/dags/{DAG_ID}/runs/{run_id}/tasks/{task_id}{mapped}")
        expect(self.page.get_by_role("link", name="Logs", exact=True)).to_be_visible()

    def open_tab(self, name: str) -> FrameLocator:
        """Open one of the plugin's tabs; returns the page in it."""
        self.page.get_by_role("link", name=name, exact=True).first.click()
        return self.page.frame_locator("iframe")

    def _alert(self, dialog: object) -> None:
        self.alerts.append(str(getattr(dialog, "message", dialog)))
        dialog.dismiss()  # type: ignore[attr-defined]
