"""The parts of PyTorch that the image leaves out: the list, its application, and the stand-ins."""

import platform
import re
import shutil
import struct
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from slim import (
    Entry,
    PruneError,
    SharedObject,
    library_stand_in,
    matches,
    prune,
    read_entries,
    selected,
    stand_in,
    unresolved_libraries,
)

from cloudseg_local.state import REPOSITORY
from tests.image.dockerfile import instructions

FOLDER = REPOSITORY / "docker" / "inference"
NUMPY = Path(np.__file__).parents[1]
FUNCTIONS = [("fooCreate", "libfoo.so.1"), ("fooGetErrorString", "libfoo.so.1"), ("fooDestroy", "")]

on_linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the image is for Linux on x86-64"
)


def entry(*paths: str, replace: bool = False, features: tuple[str, ...] = ()) -> Entry:
    return Entry(paths, "Not needed.", replace, frozenset(features), frozenset({"cuda"}))


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"0123456789")


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "lib" / "libfoo.so.1"
    path.parent.mkdir()
    path.write_bytes(stand_in("libfoo.so.1", FUNCTIONS, "build it with KEEP=foo"))
    return path


def test_every_entry_has_a_reason() -> None:
    entries = read_entries()
    assert len(entries) > 20
    assert not [e.paths for e in entries if not re.fullmatch(r"[^\n]{10,}\.", e.reason) or not e.paths]
    assert {variant for e in entries for variant in e.variants} == {"cpu", "cuda"}


def test_no_pattern_is_listed_twice() -> None:
    paths = [(variant, path) for e in read_entries() for path in e.paths for variant in e.variants]
    assert len(paths) == len(set(paths))


def test_patterns_stay_below_site_packages() -> None:
    paths = [path for e in read_entries() for path in e.paths]
    assert not [path for path in paths if path.startswith(("/", "*")) or ".." in path]


def test_only_shared_objects_are_replaced() -> None:
    assert not [e.paths for e in read_entries() if e.replace for path in e.paths if ".so" not in path]


def test_metadata_patterns_match_locked_packages() -> None:
    text = (REPOSITORY / "requirements" / "engine-cuda.lock").read_text("utf-8")
    locked = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==", text, flags=re.MULTILINE)}
    patterns = [path for e in read_entries() for path in e.paths if path.endswith(".dist-info")]
    assert len(patterns) > 8
    assert not [p for p in patterns if not any(fnmatch(f"{name}-1.dist-info", p) for name in locked)]


def test_builder_prunes_after_checking_the_lock() -> None:
    before_final = instructions()[: [name for name, _ in instructions()].index("FROM", 2)]
    assert ("COPY", "docker/inference/slim/ /slim/") in before_final
    (run,) = [rest for name, rest in before_final if name == "RUN" and "--requirement" in rest]
    check, pruning, compiling = (run.index(part) for part in ("/opt/venv check", "-m slim /opt/venv", "compileall"))
    assert check < pruning < compiling
    assert '--variant "$VARIANT" --keep "$KEEP"' in run
    assert "!docker/inference/slim" in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()


def test_dockerfile_names_the_features() -> None:
    features = sorted(set().union(*(e.features for e in read_entries())))
    assert f"leaves out: {', '.join(features)}." in (FOLDER / "Dockerfile").read_text("utf-8")


def test_prune_removes_files_and_folders_and_counts_bytes(tmp_path: Path) -> None:
    write(tmp_path, "triton/a.py", "triton/_C/b.so", "triton-3.dist-info/RECORD", "torch/lib/c.so", "torch/lib/d.so")
    (pruned,) = prune(tmp_path, [entry("triton", "triton-*.dist-info", "torch/*/c.so")])
    assert files(tmp_path) == ["torch/lib/d.so"]
    assert pruned.size == 40


def test_pattern_without_matches_fails_before_any_removal(tmp_path: Path) -> None:
    write(tmp_path, "triton/a.py")
    with pytest.raises(PruneError, match=r"nvidia/nccl/\*\.so matches nothing"):
        prune(tmp_path, [entry("triton"), entry("nvidia/nccl/*.so")])
    assert files(tmp_path) == ["triton/a.py"]
    assert matches(entry("nvidia/nccl/*.so"), tmp_path, strict=False) == []


def test_build_step_fails_on_a_pattern_without_matches(tmp_path: Path) -> None:
    write(tmp_path, "lib/python3.11/site-packages/torch/__init__.py")
    command = [sys.executable, "-B", "-m", "slim", str(tmp_path), "--variant", "cuda"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.match(r"cloudseg: triton matches nothing in .*; adapt removed\.toml", done.stderr)


def test_kept_feature_keeps_its_files() -> None:
    entries = [entry("a", features=("fft",)), entry("b", features=("fft", "linalg")), entry("c")]
    assert [e.paths for e in selected(entries, "cuda", ["linalg"])] == [("a",), ("c",)]
    assert [e.paths for e in selected(entries, "cuda", ["fft"])] == [("c",)]
    assert selected(entries, "cpu") == []
    with pytest.raises(PruneError, match="KEEP: no feature fftw; there are all, fft, linalg"):
        selected(entries, "cuda", ["fftw"])


def test_all_libraries_can_be_kept() -> None:
    kept = {path for e in selected(read_entries(), "cuda") for path in e.paths}
    left_out = {path for e in selected(read_entries(), "cuda", ["all"]) for path in e.paths}
    assert left_out < kept
    assert "torch/include" in left_out
    assert not any(path.startswith(("nvidia/", "triton")) for path in left_out)


@on_linux
def test_stand_in_reports_an_error(library: Path) -> None:
    program = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.fooGetErrorString.restype = ctypes.c_char_p
print(library.fooCreate(1, 2), library.fooDestroy(), library.fooGetErrorString(3).decode())
"""
    done = python(program, library)
    sentence = "cloudseg: {} was called, but libfoo.so.1 was left out of this image; build it with KEEP=foo"
    assert done.stdout.strip() == f"1 1 {sentence.format('fooGetErrorString')}"
    assert done.stderr.splitlines() == [sentence.format("fooCreate"), sentence.format("fooDestroy")]


@on_linux
def test_stand_in_has_the_symbol_versions(library: Path) -> None:
    program = """
import ctypes, sys
find = ctypes.CDLL(None).dlvsym
find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
handle = ctypes.CDLL(sys.argv[1])._handle
print(bool(find(handle, b"fooCreate", b"libfoo.so.1")), bool(find(handle, b"fooCreate", b"libfoo.so.2")))
"""
    assert python(program, library).stdout.split() == ["True", "False"]


@on_linux
def test_library_is_replaced_by_a_stand_in_with_its_functions(tmp_path: Path) -> None:
    (original,) = (NUMPY / "numpy" / "_core").glob("_multiarray_umath.*.so")
    copy = tmp_path / "lib" / "libmath.so"
    copy.parent.mkdir()
    copy.symlink_to(original)
    (pruned,) = prune(tmp_path, [entry("lib/*.so", replace=True, features=("fft", "linalg"))])
    assert not copy.is_symlink()
    assert original.exists()
    assert pruned.size == original.stat().st_size - copy.stat().st_size > 0
    done = python("import ctypes, sys; ctypes.CDLL(sys.argv[1]).PyInit__multiarray_umath()", copy)
    assert "libmath.so was left out of this image; build it with KEEP=fft or KEEP=linalg" in done.stderr


@on_linux
def test_unresolved_libraries_are_found(tmp_path: Path, library: Path) -> None:
    (module,) = (NUMPY / "numpy" / "_core").glob("_multiarray_umath.*.so")
    (bundled,) = [name for name in SharedObject.read(module).needed if "openblas" in name]
    link = tmp_path / "numpy" / "_core" / "_multiarray_umath.so"
    link.parent.mkdir(parents=True)
    link.symlink_to(module)
    assert f"numpy/_core/_multiarray_umath.so needs {bundled}" in unresolved_libraries(tmp_path)
    (tmp_path / "numpy.libs").symlink_to(NUMPY / "numpy.libs")
    assert unresolved_libraries(tmp_path) == []
    assert SharedObject.read(library).soname == "libfoo.so.1"
    assert library_stand_in(module, ())


@on_linux
def test_libraries_are_found_on_the_rpath_of_the_library_that_loads_them(tmp_path: Path) -> None:
    (module,) = (NUMPY / "numpy" / "_core").glob("_multiarray_umath.*.so")
    (bundled,) = [name for name in SharedObject.read(module).needed if "openblas" in name]
    shutil.copytree(NUMPY / "numpy.libs", tmp_path / "numpy.libs")
    _remove_search_path(tmp_path / "numpy.libs" / bundled)
    assert any(f"numpy.libs/{bundled} needs" in text for text in unresolved_libraries(tmp_path))
    link = tmp_path / "numpy" / "_core" / "_multiarray_umath.so"
    link.parent.mkdir(parents=True)
    link.symlink_to(module)
    assert SharedObject.read(module).inherited_path
    assert unresolved_libraries(tmp_path) == []


def _remove_search_path(library: Path) -> None:
    """Make DT_RPATH and DT_RUNPATH entries of an unknown kind."""
    data = bytearray(library.read_bytes())
    segments, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for kind, _, offset, _, _, size in struct.iter_unpack("<IIQQQQ16x", data[segments : segments + 56 * count]):
        for at in range(offset, offset + size if kind == 2 else offset, 16):
            if struct.unpack_from("<Q", data, at)[0] in (15, 29):
                struct.pack_into("<Q", data, at, 0x6FFFFF00)
    library.write_bytes(data)
