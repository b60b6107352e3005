"""The interface between the DAG's code and the engine is fixed within a series of versions."""

import json

from tests.series import FILE, described


def test_interface_change_requires_a_new_series() -> None:
    known, now = json.loads(FILE.read_text()), described()
    advice = (
        "engines and DAGs of this series are no longer compatible: raise the series in cloudseg_ops.__version__ "
        "(docs/delivery.md#versions) if one of it has been released, then `python -m tests.series`"
    )
    assert now == known, advice
