import subprocess
import sys

from cloudseg_ops.engine.memory.arrays import empty

_FAULTS = """
import ctypes, resource, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "keep":
    from cloudseg_ops.engine.memory.malloc_tuning import tune_malloc
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


def test_memory_that_is_kept_is_not_cleared_again() -> None:
    # 48 MiB are 12,288 pages, each of which is a fault when it comes from the system.
    assert faults("as it comes") > 30 * 1000
    assert faults("keep") < 1000


def test_a_large_array_is_like_any_other() -> None:
    for shape in ((3, 5, 2), (5000, 5000, 3)):
        array = empty(shape, "uint8")
        assert array.shape == shape
        assert array.dtype == "uint8"
        assert array.flags.writeable
        assert array.flags.c_contiguous
        array[-1] = 7
        assert array[-1].min() == 7
    assert empty((2, 3), "float32").dtype == "float32"
