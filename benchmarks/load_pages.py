"""Times the pages of a run in Airflow's API server, as a signed-in user gets them."""

from __future__ import annotations

import json
import re
import time
from html import unescape
from urllib.parse import quote, urljoin

import requests

from cloudseg_local.airflow_server import ADMIN, DAG_ID
from tests.support.running import RunningAirflow

_TIMEOUT = 120.0


def time_pages(airflow: RunningAirflow, run_id: str) -> dict[str, float]:
    """Return the seconds of each page, and the size of the report in MB.

    Args:
        airflow: A running Airflow with the plugin.
        run_id: A finished run.
    """
    session = _signed_in(airflow)
    base = f"{airflow.stack.state.ui_url}/cloudseg/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
    seconds: dict[str, float] = {}

    def get(name: str, url: str) -> str:
        began = time.monotonic()
        response = session.get(url, timeout=_TIMEOUT)
        seconds[f"{name}, s"] = time.monotonic() - began
        if response.status_code != 200:
            raise SystemExit(f"{name}: {response.status_code} for {url}: {response.text[:500]}")
        return response.text

    first = get("gallery, first page", f"{base}/gallery")
    get("gallery, no image matches", f"{base}/gallery?outcome=quarantined")
    get("gallery, clouds from 99 %", f"{base}/gallery?least=99")
    picture = re.search(r'src="([^"]+)"', first)
    if picture:
        get("gallery, one picture", urljoin(f"{base}/gallery", unescape(picture[1])))
    get("progress", f"{base}/progress")
    layout = airflow.layout(run_id)
    for name, uri in (("report.html, MB", layout.report_html), ("report.json, MB", layout.report_json)):
        info = airflow.store.stat(uri)
        seconds[name] = info.size / 1e6 if info else float("nan")
    return seconds


def _signed_in(airflow: RunningAirflow) -> requests.Session:
    state, session = airflow.stack.state, requests.Session()
    passwords = json.loads((state.airflow_home / "passwords.json").read_text())
    login = {"username": ADMIN, "password": passwords[ADMIN]}
    token = requests.post(f"{state.ui_url}/auth/token", json=login, timeout=_TIMEOUT).json()["access_token"]
    session.cookies.set("_token", token)
    return session
