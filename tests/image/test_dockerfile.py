"""Checks of the image that do not need a build."""

import json
import re

import pytest

from cloudseg_local.state import REPOSITORY
from tests.image.dockerfile import copied_modules, final_stage, instructions, needed_modules

LOCKS = ("engine-cpu", "engine-cuda")


def value(name: str) -> str:
    (found,) = [rest for instruction, rest in final_stage() if instruction == name]
    return found


def pins(name: str) -> dict[str, str]:
    text = (REPOSITORY / "requirements" / f"{name}.lock").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, flags=re.MULTILINE))


def test_image_gets_every_module_that_the_engine_imports() -> None:
    copied = copied_modules()
    assert needed_modules() <= copied
    assert {path.parts[1] for path in copied} == {"__init__.py", "contracts", "storage", "engine"}
    assert len({path.parts[1] for path in needed_modules()}) == 4


def test_engine_runs_unprivileged_and_without_a_shell() -> None:
    user, group = value("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(value("ENTRYPOINT")) == ["python", "-m", "cloudseg_ops.engine"]


def test_both_stages_use_the_same_pinned_base() -> None:
    (base,) = [rest for name, rest in instructions() if name == "ARG" and rest.startswith("BASE=")]
    assert re.fullmatch(r"BASE=python:3\.11\.\d+-slim-bookworm", base)
    assert [rest for name, rest in instructions() if name == "FROM"] == ["${BASE} AS builder", "${BASE}"]


def test_final_stage_copies_only_from_the_builder() -> None:
    copies = [rest for name, rest in final_stage() if name in {"COPY", "ADD"}]
    assert copies
    assert all(re.fullmatch(r"--from=builder /layers/[a-z]+/ /", rest) for rest in copies)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_hashes_but_neither_airflow_nor_dvc(lock: str) -> None:
    text = (REPOSITORY / "requirements" / f"{lock}.lock").read_text("utf-8")
    requirements = re.findall(r"^[a-z0-9-]+==[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64}", text, flags=re.MULTILINE)
    assert len(requirements) == len(pins(lock)) > 20
    assert {"torch", "numpy", "pillow", "google-cloud-storage", "pydantic"} <= pins(lock).keys()
    assert not [name for name in pins(lock) if re.match(r"apache-airflow|dvc|gcsfs|scmrepo", name)]


def test_heic_decoder_is_optional() -> None:
    assert pins("engine-heif") == {"pi-heif": pins("test")["pi-heif"]}
    assert not [lock for lock in LOCKS if "pi-heif" in pins(lock)]
    (install,) = [rest for name, rest in instructions() if name == "RUN" and "--require-hashes" in rest]
    assert 'if [ -n "$HEIF" ]; then set -- "$@" --requirement /heif.lock; fi' in install
    assert ("ARG", "HEIF=") in instructions()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_agrees_with_the_lock_of_the_tests(lock: str) -> None:
    tested = pins("test")
    pinned = {name: version.removesuffix("+cpu") for name, version in pins(lock).items() if name in tested}
    assert pinned == {name: tested[name] for name in pinned}
