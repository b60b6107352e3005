"""The names that a DAG author imports from `cloudseg_ops`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cloudseg_ops

PUBLIC = [
    "CleanInputsOperator", "DVCPullModelOperator", "GCSNewObjectsSensor", "GKESegmentOperator",
    "KubernetesSegmentOperator", "LocalSegmentOperator", "PlanChunksOperator", "PodSettings", "ReleasePodsOperator",
    "RunReportOperator", "Settings", "__version__", "dag_schedule", "failure_callback", "help_text", "masks_asset",
    "revision_choices", "segment_chunks",
]  # fmt: skip


def test_public_names_are_exactly_these() -> None:
    """Removing a name, or changing its meaning, requires a new major version."""
    assert dir(cloudseg_ops) == PUBLIC
    assert sorted(cloudseg_ops.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_importable_and_documented(name: str) -> None:
    found = getattr(cloudseg_ops, name)
    assert name == "__version__" or found.__doc__


def test_misspelled_name_is_reported_with_the_public_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Setings'; public are .*Settings"):
        cloudseg_ops.Setings  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_know_the_same_names() -> None:
    stub = ast.parse(Path(cloudseg_ops.__file__).with_suffix(".pyi").read_text("utf-8"))
    imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(PUBLIC)


def test_package_imports_nothing_heavy() -> None:
    code = "import sys, cloudseg_ops; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True)
    assert not {"airflow", "pydantic", "google", "torch", "dvc"} & set(ast.literal_eval(done.stdout))
