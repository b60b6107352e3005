"""A real Airflow and a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.driving import Ui, chromium, running_browser
from tests.support.running import RunningAirflow, start_airflow


# Not for the session: Playwright runs an event loop in this thread, and other tests could not start theirs.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium on the PATH; install it (on Debian: apt-get install chromium)")
    with running_browser(program) as browser:
        yield browser


@pytest.fixture(scope="package")
def airflow(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """A real Airflow, started only if there is a browser."""
    # Few connections: waiting for storage makes a run long enough to watch.
    engine = "--threads 1 --progress-seconds 2 --downloads 2 --uploads 2"
    settings = {"chunk_objects": 60, "retries": 0, "sense_timeout_seconds": 5, "engine_options": engine}
    with start_airflow(tmp_path_factory.mktemp("browser"), settings) as running:
        yield running


@pytest.fixture
def window(browser: Browser, airflow: RunningAirflow) -> Iterator[Callable[[], Ui]]:
    """Open windows, each with its own cookies."""
    opened: list[Ui] = []

    def open_window() -> Ui:
        opened.append(Ui(browser, airflow.stack.state.ui_url))
        return opened[-1]

    yield open_window
    for ui in opened:
        ui.page.context.close()


@pytest.fixture
def admin(window: Callable[[], Ui], airflow: RunningAirflow) -> Ui:
    ui = window()
    ui.sign_in("admin", airflow.stack.state.secret("admin-password"))
    return ui
