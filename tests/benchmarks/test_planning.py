import pytest

from benchmarks.models import LIBRARY_NETWORKS
from benchmarks.planning import CONTENDERS, Costs, images_for, rotate_order
from benchmarks.rows import ALL, DEFAULT, choose_rows

SLOW = Costs(best=5.0, plain=9.0, latency=0.03, work=0.06)
FREE = Costs(best=0.0001, plain=0.0001, latency=0.03, work=0.008)


def count(contender: str, costs: Costs, seconds: float = 5, size_bytes: int = 50_000) -> int:
    return images_for(contender, costs, seconds=seconds, cpus=2, size_bytes=size_bytes)


def test_slow_networks_are_measured_until_their_state_is_steady() -> None:
    assert {key: count(key, SLOW) for key in "bcde"} == {"b": 300, "c": 30, "d": 300, "e": 80}
    assert count("c", SLOW, seconds=900) == pytest.approx(100, abs=5)


def test_fast_networks_are_measured_on_as_many_images_as_time_allows() -> None:
    assert count("c", FREE) == pytest.approx(5 / (3 * 0.03 + 0.008), abs=2)
    assert count("b", FREE) > 10 * count("c", FREE)
    assert count("b", FREE, seconds=10_000) == 4000


def test_large_files_are_limited_by_the_emulator_s_memory() -> None:
    assert count("b", FREE, size_bytes=5_000_000) == 720
    assert images_for("d", FREE, seconds=60, cpus=2, size_bytes=5_000_000) == 300


def test_order_of_contenders_rotates() -> None:
    orders = [rotate_order(list("abcde"), repeat) for repeat in range(5)]
    assert [one[0] for one in orders] == list("abcde")
    assert all(sorted(one) == list("abcde") for one in orders)


def test_rows_are_chosen_by_pattern() -> None:
    assert [row.name for row in choose_rows([])] == [row.name for row in ALL if row.name in DEFAULT]
    assert choose_rows(["all"]) == list(ALL)
    assert {row.model for row in choose_rows(["unet31m-*", "free-256-50kB"])} == {"unet31m", "free"}
    with pytest.raises(ValueError, match=r"nothing-\*: matches none of .*example-256-50kB"):
        choose_rows(["nothing-*"])


def test_default_rows_cover_every_model_size_and_file() -> None:
    rows = choose_rows([])
    assert {row.model for row in rows} == {"example", "unet31m", "free", *LIBRARY_NETWORKS}
    for model in ("example", "unet31m"):
        mine = [row for row in rows if row.model == model]
        assert {row.kind for row in mine} == {"256", "1024", "mixed"}
        assert {row.file for row in mine} == {"50kB", "5MB"}
    assert set(CONTENDERS) == set("abcde")
