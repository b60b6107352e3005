"""The image under test: `CLOUDSEG_TEST_IMAGE`, or else the one that `make image` built from this code."""

import os
from collections.abc import Callable, Iterator

import pytest

from cloudseg_local.state import REPOSITORY
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.image.dockerfile import code_digest, copied_modules
from tests.support.containers import Container, ImageUnderTest, docker, why_no_docker
from tests.support.lab import Lab

Start = Callable[..., Container]

DIGEST_THERE = """
import hashlib, pathlib, sys, sysconfig
root = pathlib.Path(sysconfig.get_path("purelib"))
digest = hashlib.sha256()
for path in sorted(root.glob("cloudseg_ops/**/*.py")):
    digest.update(path.relative_to(root).as_posix().encode() + b"\\0" + path.read_bytes())
print(digest.hexdigest())
"""


@pytest.fixture(scope="session")
def image() -> ImageUnderTest:
    if reason := why_no_docker():
        pytest.skip(f"{reason}; the image is not tested")
    named = os.environ.get("CLOUDSEG_TEST_IMAGE", "")
    found = ImageUnderTest(named or "cloudseg-inference:dev")
    if docker("image", "inspect", found.name).returncode:
        assert not named, f"CLOUDSEG_TEST_IMAGE={named}: there is no such image here"
        pytest.skip(f"there is no image {found.name}: make image")
    if not named and found.python(DIGEST_THERE).strip() != code_digest(REPOSITORY, copied_modules()):
        pytest.skip(f"{found.name} was built from other code than this tree: make image")
    return found


@pytest.fixture
def lab(store: Store, buckets: Buckets) -> Lab:
    return Lab.open(store, buckets)


@pytest.fixture
def start(image: ImageUnderTest, emulator: Emulator) -> Iterator[Start]:
    started: list[Container] = []

    def start_engine(*arguments: str) -> Container:
        started.append(image.start(emulator.url, arguments))
        return started[-1]

    yield start_engine
    for container in started:
        container.remove()
