import subprocess
import sys

_RUN = """
import gc
from cloudseg_ops.engine.memory.process_memory import start_gc, postpone_gc
start_gc()
print(gc.isenabled(), gc.get_freeze_count())
postpone_gc()
print(gc.isenabled())
start_gc()
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_garbage_collection_is_postponed_until_the_model_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", _RUN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0", "False", "True", "True"]


_FAULTS = """
import ctypes, resource, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "keep":
    from cloudseg_ops.engine.memory.process_memory import tune_malloc
    assert tune_malloc()
for turn in range(40):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(48 * 2**20)))
    ctypes.memset(block, 1, 48 * 2**20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_tuned_malloc_reuses_freed_memory() -> None:
    # 48 MiB are 12,288 pages, each of which causes a fault when it comes from the system.
    assert faults("as it comes") > 30 * 1000
    assert faults("keep") < 1000
