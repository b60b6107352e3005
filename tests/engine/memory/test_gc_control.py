import subprocess
import sys

_RUN = """
import gc
from cloudseg_ops.engine.memory.gc_control import start_gc, postpone_gc
start_gc()
print(gc.isenabled(), gc.get_freeze_count())
postpone_gc()
print(gc.isenabled())
start_gc()
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_collection_is_put_off_until_the_model_is_there() -> None:
    done = subprocess.run([sys.executable, "-c", _RUN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0", "False", "True", "True"]
