"""The real gcloud accepts the calls of a delivery: the only error is the missing account."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cloudseg_delivery.conftest import Cloud

GCLOUD = shutil.which("gcloud")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not GCLOUD, reason="there is no gcloud on the PATH")]


def shape(call: list[str]) -> tuple[str, ...]:
    """The command and its options, without the options' values."""
    return tuple(re.sub("=.*", "", word) for word in call if not re.search("[:/]|==", re.sub("=.*", "", word)))


def test_gcloud_accepts_every_call(cloud: Cloud, tmp_path: Path) -> None:
    for changes in (
        {"plugins/extra.py": "# one", "dags/extra.py": "# one"},
        {"plugins/extra.py": None, "dags/extra.py": None},
    ):
        cloud.commit(dict(changes))
        assert cloud.deploy().returncode == 0
    requirements = (cloud.checkout / "requirements.txt").read_text()
    cloud.commit({"requirements.txt": requirements.replace("dvc-gs==3.1.0\n", "")})
    assert cloud.deploy().returncode == 0
    calls = {shape(call): call for call in cloud.calls() if call[0] == "gcloud"}
    assert len(calls) > 10
    for call in calls.values():
        done = subprocess.run(
            [str(GCLOUD), *call[1:]],
            cwd=cloud.checkout,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        without_account = "do not currently have an active account" in done.stderr or call[1:3] == [
            "auth",
            "configure-docker",
        ]
        assert without_account, f"{' '.join(call)}: {done.stderr}"
