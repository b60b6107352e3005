import os
import socket
from pathlib import Path

import pytest

from cloudseg_local.preflight import require_free_disk, require_free_port, require_program
from cloudseg_ops.contracts.errors import LocalError


def test_taken_port_is_reported_with_its_variable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(LocalError) as raised:
            require_free_port(port, "GCS_PORT", "the GCS emulator")
    message = str(raised.value)
    assert message.startswith(f"port {port}, meant for the GCS emulator, is taken")
    assert "make demo GCS_PORT=" in message
    assert f"(process {os.getpid()})" in message


def test_port_taken_on_all_addresses_is_rejected() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        with pytest.raises(LocalError, match="is taken"):
            require_free_port(listener.getsockname()[1], "UI_PORT", "Airflow's UI")


def test_port_is_checked_on_the_given_address() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen()
        port = listener.getsockname()[1]
        require_free_port(port, "GCS_PORT", "the GCS emulator")
        with pytest.raises(LocalError, match="is taken"):
            require_free_port(port, "GCS_PORT", "the GCS emulator", "127.0.0.2")


def test_free_port_stays_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for _ in range(2):
        require_free_port(port, "UI_PORT", "Airflow's UI")


@pytest.mark.parametrize("port", [65_536, -1, 99_999])
def test_invalid_port_is_reported_with_its_variable(port: int) -> None:
    with pytest.raises(LocalError, match="UI_PORT"):
        require_free_port(port, "UI_PORT", "Airflow's UI")


def test_disk_space_is_checked_for_a_missing_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    require_free_disk(folder, 1)
    with pytest.raises(LocalError) as raised:
        require_free_disk(folder, 2**60)
    assert str(raised.value).startswith(f"{folder} has ")
    assert "1,099,511,627,776" in str(raised.value)
    assert "make clean" in str(raised.value)
    assert not folder.exists()


def test_missing_program_is_reported() -> None:
    require_program("git")
    with pytest.raises(LocalError, match="`nonesuch-program` is not on the PATH"):
        require_program("nonesuch-program")
