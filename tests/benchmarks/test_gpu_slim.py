"""The mirror of an installation that benchmarks.gpu.slim runs networks in."""

from pathlib import Path

from slim import Entry

from benchmarks.gpu.slim import mirror

NOWHERE: frozenset[str] = frozenset()


def test_mirror_links_to_the_remaining_files(tmp_path: Path) -> None:
    real, tree = tmp_path / "real", tmp_path / "tree"
    for name in ("torch/lib/libtorch.so", "triton/_C/libtriton.so", "nvidia/cu13/lib/libcusolver.so.12", "sympy/a.py"):
        (real / name).parent.mkdir(parents=True, exist_ok=True)
        (real / name).write_bytes(b"0123456789")
    entries = [
        Entry(("triton", "nvidia/cu13/lib/libcusolver.so.*"), "Not needed.", False, NOWHERE, NOWHERE),
        Entry(("nvidia/nowhere",), "Of another PyTorch.", False, NOWHERE, NOWHERE),
    ]
    removed, size = mirror(real, tree, entries)
    left = {path.relative_to(tree).as_posix(): path.resolve() for path in tree.rglob("*") if path.is_file()}
    assert left == {name: real / name for name in ("torch/lib/libtorch.so", "sympy/a.py")}
    assert removed == {
        "libtriton.so": real / "triton/_C/libtriton.so",
        "libcusolver.so.12": real / "nvidia/cu13/lib/libcusolver.so.12",
    }
    assert size == 20
