"""Names of parametrized tests."""

import pytest

pytest_plugins = ["pytester"]

VARYING = """
import os
import pytest

@pytest.mark.parametrize("data", [os.urandom(40), bytearray(os.urandom(4)), b"", "y" * 500, "short", 3])
def test_varying(data):
    pass
"""
NAMES = ["data0", "data1", "data2", "y" * 80 + "...", "short", "3"]


def test_ids_do_not_depend_on_bytes_made_at_collection(
    pytester: pytest.Pytester, request: pytest.FixtureRequest
) -> None:
    pytester.makepyfile(VARYING)
    pytester.makeconftest("from tests.conftest import pytest_make_parametrize_id\n")
    pytester.syspathinsert(request.config.rootpath)
    listed = pytester.runpytest_inprocess("--collect-only", "-q", "-p", "no:cacheprovider").outlines
    assert [line.partition("[")[2].rstrip("]") for line in listed if "test_varying[" in line] == NAMES
