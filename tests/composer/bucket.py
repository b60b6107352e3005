"""A folder laid out as a Composer bucket by the delivery's code, and a parse of it by Composer's Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudseg_delivery.targets import FOLDER, PLACEHOLDER, read_pairs
from cloudseg_ops import __version__

ROOT = Path(__file__).parents[2]
COMMIT = "1a2b3c4d5e6f" + "0" * 28
IMAGE = f"registry.example.org/engine:{__version__}@sha256:" + "0" * 64


def production() -> dict[str, str]:
    """The filled-in variables of the environment `production`, and the image that a delivery adds."""
    text = (ROOT / FOLDER / "production.env").read_text().replace(PLACEHOLDER, "my-project")
    pairs = {key: value for key, value in read_pairs(text, "production").items() if key.startswith("CLOUDSEG_")}
    return {**pairs, "CLOUDSEG_IMAGE": IMAGE}


def parse(python: Path, dags: Path, plugins: Path, home: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Parse the folders with another Python that has Airflow, in a process without access to this repository."""
    packages = python.parent.parent / "lib/python3.11/site-packages"
    done = subprocess.run(
        [str(python), "-W", "ignore", "-S", str(Path(__file__).with_name("parse_bucket.py")), str(packages), str(dags),
         str(plugins)],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    assert str(ROOT) not in found["path"], "the repository is on the path, so this proves nothing"
    return found


def this_python() -> Path:
    """The Python of this virtual environment."""
    return Path(sysconfig.get_path("scripts")) / "python"
