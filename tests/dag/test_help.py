import re
from pathlib import Path

import pytest

import cloudseg_ops.dag.help
from cloudseg_ops.dag.help import help_text

PAGES = sorted(path.stem for path in Path(cloudseg_ops.dag.help.__file__).parent.glob("*.md"))
TASKS = ["clean_inputs", "plan_chunks", "pull_model", "release_pods", "report", "segment", "sense_inputs"]
ROOT = Path(__file__).parents[2]


def test_dag_and_every_task_have_a_page() -> None:
    assert sorted([*TASKS, "dag"]) == PAGES


@pytest.mark.parametrize("name", TASKS)
def test_task_page_explains_failures(name: str) -> None:
    assert "**Failed**" in help_text(name)


def test_dag_page_names_its_tasks_and_params() -> None:
    page, dag = help_text("dag"), (ROOT / "dags" / "cloud_segmentation.py").read_text()
    params = re.findall(r'^        "(\w+)": Param\(', dag, re.MULTILINE)
    assert len(params) >= 5
    for name in [*params, *re.findall(r'task_id="(\w+)"', dag)]:
        assert f"`{name}`" in page, name


@pytest.mark.parametrize("name", PAGES)
def test_variables_on_a_page_exist(name: str) -> None:
    from cloudseg_ops.config.settings import variables

    assert set(re.findall(r"CLOUDSEG_[A-Z_]+", help_text(name))) <= set(variables())


def test_missing_page_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        help_text("nonesuch")
