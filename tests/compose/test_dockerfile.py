"""Checks of the Airflow image that do not need a build."""

import re

from cloudseg_local.state import REPOSITORY

DOCKERFILE = (REPOSITORY / "docker" / "airflow" / "Dockerfile").read_text("utf-8")
LOCK = (REPOSITORY / "requirements" / "compose.lock").read_text("utf-8")


def pins(name: str) -> dict[str, str]:
    text = (REPOSITORY / "requirements" / f"{name}.lock").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;]+)", text, flags=re.MULTILINE))


def test_final_user_is_not_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "50000:0"


def test_both_stages_use_the_same_base() -> None:
    assert re.findall(r"^FROM (.*)$", DOCKERFILE, flags=re.MULTILINE) == ["${BASE} AS builder", "${BASE}"]


def test_build_dependencies_stay_in_the_first_stage() -> None:
    _, last = DOCKERFILE.rsplit("\nFROM ", 1)
    copies = re.findall(r"^COPY (.*)$", last, flags=re.MULTILINE)
    assert copies == ["--from=builder /opt/cloudseg/venv /opt/cloudseg/venv"]


def test_every_locked_package_has_hashes() -> None:
    with_hash = re.findall(r"^[a-z0-9-]+(?:\[[a-z,]+\])?==[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)
    assert len(with_hash) == len(pins("compose")) > 100


def test_lock_is_that_of_the_demo_plus_postgres() -> None:
    demo, compose = pins("demo"), pins("compose")
    compose["torch"] = compose["torch"].removesuffix("+cpu")
    assert {name: compose.get(name) for name in demo} == demo
    assert set(compose) - set(demo) == {"asyncpg", "psycopg2-binary"}
    assert f"apache/airflow:slim-{compose['apache-airflow']}-python3.11" in DOCKERFILE
