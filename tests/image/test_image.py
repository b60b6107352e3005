"""Inspection of the image: its labels, its user, its contents."""

import json
import os
import re

import cloudseg_ops
from tests.support.containers import ImageUnderTest


def test_labels(image: ImageUnderTest) -> None:
    labels = {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in image.description["Config"]["Labels"].items()
    }
    assert labels["title"] == "cloudseg-inference"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["base.name"]
    assert labels["cloudseg.variant"] in {"cpu", "cuda"}
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["revision"])
    if not os.environ.get("CLOUDSEG_TEST_IMAGE"):
        assert labels["version"] == cloudseg_ops.__version__


def test_layers_are_unique(image: ImageUnderTest) -> None:
    # GKE does not stream images with empty or duplicate layers.
    layers = image.description["RootFS"]["Layers"]
    assert len(layers) == len(set(layers)) >= 7


def test_user_is_unprivileged_and_writes_only_to_tmp(image: ImageUnderTest) -> None:
    assert image.description["Config"]["User"] == "10001:10001"
    program = """
import json, os, tempfile
import torch, cloudseg_ops
places = [os.path.dirname(torch.__file__), os.path.dirname(cloudseg_ops.__file__), "/", "/opt", "/etc"]
print(json.dumps({
    "ids": [os.getuid(), os.getgid()],
    "writable": [place for place in places if os.access(place, os.W_OK)],
    "home": os.path.expanduser("~"),
    "temporary": tempfile.gettempdir(),
}))
"""
    assert json.loads(image.python(program)) == {
        "ids": [10001, 10001],
        "writable": [],
        "home": "/tmp",
        "temporary": "/tmp",
    }


def test_image_has_the_engine_but_no_airflow_dvc_or_pip(image: ImageUnderTest) -> None:
    program = """
import importlib.util as u, json
names = ["torch", "numpy", "PIL", "google.cloud.storage", "pydantic", "cloudseg_ops.engine", "cloudseg_ops.storage",
         "airflow", "dvc", "gcsfs", "pip", "cloudseg_ops.operators", "cloudseg_local", "cloudseg_ops.registry"]
print(json.dumps([name for name in names if u.find_spec(name)]))
"""
    assert json.loads(image.python(program)) == [
        *("torch", "numpy", "PIL", "google.cloud.storage", "pydantic", "cloudseg_ops.engine", "cloudseg_ops.storage")
    ]


def test_build_files_are_removed(image: ImageUnderTest) -> None:
    program = """
import os
print([p for p in ("/inputs", "/opt/pip", "/engine.lock", "/layers") if os.path.exists(p)])
"""
    assert image.python(program).strip() == "[]"


def test_every_module_of_a_start_has_bytecode(image: ImageUnderTest) -> None:
    # It cannot write bytecode: modules without it would be compiled at every start.
    program = """
import os, sys
import torch, google.cloud.storage, pydantic
from cloudseg_ops.engine import chunk
from cloudseg_ops.engine.images import decode
from cloudseg_ops.engine.io import helper, publish
from cloudseg_ops.engine.network import predict
from cloudseg_ops.engine.scheduling import compute_workers, pipeline
loaded = [m.__spec__ for m in list(sys.modules.values()) if getattr(m, "__spec__", None)]
print(sorted(s.origin for s in loaded if s.cached and s.has_location and not os.path.exists(s.cached)))
"""
    assert image.python(program).strip() == "[]"


def test_invalid_usage_is_reported(image: ImageUnderTest) -> None:
    done = image.run("--chunk", "nowhere")
    assert done.returncode == 2
    assert "not a Cloud Storage address" in done.stderr


def test_help(image: ImageUnderTest) -> None:
    done = image.run("--help")
    assert done.returncode == 0
    assert "--chunk" in done.stdout
