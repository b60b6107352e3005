from cloudseg_ops.contracts.run_layout import RunLayout, image_key, preview_uri, staged_weights
from cloudseg_ops.contracts.uris import GcsUri

LAYOUT = RunLayout(GcsUri("staging"), GcsUri("output"), "manual__2026-08-26T03:00:00+00:00")
ADDRESSES = (
    LAYOUT.snapshot, LAYOUT.model, LAYOUT.plan, LAYOUT.chunk(0), LAYOUT.results(0),
    LAYOUT.previews_folder / "x", LAYOUT.progress(0), LAYOUT.plan_json, LAYOUT.plan_html,
    LAYOUT.report_folder / "report.json",
)  # fmt: skip


def test_addresses_of_a_run_are_unique() -> None:
    assert len(set(ADDRESSES)) == len(ADDRESSES)


def test_runs_have_different_addresses() -> None:
    other = RunLayout(LAYOUT.staging, LAYOUT.output, "manual__2026-08-26T03:00:00+00:00_1")
    assert not {other.snapshot, other.model, other.plan, other.chunk(0), other.results(0)} & set(ADDRESSES)


def test_everything_but_the_report_is_in_the_staging_folder() -> None:
    folder = f"{LAYOUT.folder}/"
    assert folder == "gs://staging/runs/manual__2026-08-26T03:00:00+00:00/"
    assert all(str(address).startswith(folder) for address in ADDRESSES[:-3])
    assert str(LAYOUT.report_folder) == "gs://output/reports/manual__2026-08-26T03:00:00+00:00"


def test_staging_prefix_is_kept() -> None:
    layout = RunLayout(GcsUri("staging", "team/clouds/"), GcsUri("output"), "r")
    assert str(layout.chunk(3)) == "gs://staging/team/clouds/runs/r/chunks/00003.jsonl"


def test_chunk_files_sort_by_index() -> None:
    for place in (LAYOUT.chunk, LAYOUT.results, LAYOUT.progress):
        addresses = [place(index) for index in (0, 1, 9, 10, 99, 100, 1023)]
        assert addresses == sorted(addresses)


def test_weights_are_addressed_by_content() -> None:
    assert str(staged_weights(GcsUri("staging"), "abc", ".pt")) == "gs://staging/models/abc/weights.pt"
    assert staged_weights(GcsUri("staging"), "abc", ".pt") != staged_weights(GcsUri("staging"), "abd", ".pt")


FOLDER = GcsUri("staging", "runs/r/previews")


def test_every_version_has_a_unique_key() -> None:
    keys = {image_key(name, generation) for name in ("a", "b", "1\na", "\n") for generation in (1, 11, 12)}
    assert len(keys) == 12
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)
    assert image_key("a.jpg", 7) == image_key("a.jpg", 7)


def test_name_with_a_surrogate_has_a_key() -> None:
    assert image_key("\ud800.jpg", 7) == image_key("?.jpg", 7)


def test_first_previews_sort_before_the_others() -> None:
    first = preview_uri(FOLDER, 99_999, "a.jpg", 7, first=True)
    rest = preview_uri(FOLDER, 0, "a.jpg", 7, first=False)
    assert first.name < FOLDER.name + "/more/" < rest.name
