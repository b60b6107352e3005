import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cloudseg_local.state import REPOSITORY, LocalState, write_private
from cloudseg_ops.contracts.errors import LocalError

HOLD = """
import sys
from pathlib import Path
from cloudseg_local.state import LocalState
with LocalState(Path(sys.argv[1]), 1, 2).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> LocalState:
    return LocalState(tmp_path / "state", 8080, 4443)


def test_state_is_locked_by_one_command(state: LocalState) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LocalError, match=rf"another command is using .*\(process {holder.pid}\)"), state.locked():
            pytest.fail("two commands hold the state at once")
        # The lock is released whenever the process ends.
        holder.kill()
        holder.wait(10)
        with state.locked():
            assert (state.root / "lock").read_text() == str(os.getpid())
    finally:
        holder.kill()
        holder.communicate()


def test_lock_is_released_afterwards(state: LocalState) -> None:
    for _ in range(2):
        with state.locked():
            pass


def test_secrets_are_kept_and_private(state: LocalState) -> None:
    first = state.secret("a")
    assert len(first) >= 16
    assert state.secret("b") != first
    assert LocalState(state.root, 1, 2).secret("a") == first
    assert stat.S_IMODE((state.root / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in state.root.iterdir()] == ["secrets.json"]


def test_setup_name_is_a_unique_label(tmp_path: Path) -> None:
    names = {LocalState(tmp_path / folder, 1, 2).setup for folder in ("a", "a", "b")}
    assert len(names) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


def test_private_file_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "up.json"
    write_private(path, {"a": 1})
    path.chmod(0o644)
    write_private(path, {"a": 2})
    assert path.read_text() == '{"a": 2}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(TypeError):
        write_private(path, {"a": object()})
    assert path.read_text() == '{"a": 2}'


def test_all_paths_are_below_the_root(state: LocalState) -> None:
    places = [state.gcs, state.registry, state.registry_remote, state.airflow_home, state.logs, state.reports,
              state.up_file, state.cluster_file]  # fmt: skip
    assert len(set(places)) == len(places)
    assert all(place.parent == state.root for place in places)
    assert (state.gcs_url, state.ui_url) == ("http://127.0.0.1:4443", "http://127.0.0.1:8080")
