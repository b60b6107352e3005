from cloudseg_ops.contracts.run_layout import RunLayout, image_key, preview_uri, staged_weights
from cloudseg_ops.contracts.uris import GcsUri

LAYOUT = RunLayout(GcsUri("staging"), GcsUri("output"), "manual__2026-08-26T03:00:00+00:00")
ADDRESSES = (
    LAYOUT.snapshot, LAYOUT.model, LAYOUT.plan, LAYOUT.chunk(0), LAYOUT.results(0),
    LAYOUT.previews_folder / "x", LAYOUT.progress(0), LAYOUT.plan_json, LAYOUT.plan_html,
    LAYOUT.report_folder / "report.json",
)  # fmt: skip


def test_no_two_files_of_a_run_share_an_address() -> None:
    assert len(set(ADDRESSES)) == len(ADDRESSES)


def test_no_two_runs_share_an_address() -> None:
    other = RunLayout(LAYOUT.staging, LAYOUT.output, "manual__2026-08-26T03:00:00+00:00_1")
    assert not {other.snapshot, other.model, other.plan, other.chunk(0), other.results(0)} & set(ADDRESSES)


def test_all_of_a_run_but_its_report_lies_in_its_folder_in_staging() -> None:
    folder = f"{LAYOUT.folder}/"
    assert folder == "gs://staging/runs/manual__2026-08-26T03:00:00+00:00/"
    assert all(str(address).startswith(folder) for address in ADDRESSES[:-3])
    assert str(LAYOUT.report_folder) == "gs://output/reports/manual__2026-08-26T03:00:00+00:00"


def test_a_staging_folder_keeps_its_prefix_and_the_report_does_not_take_outputs() -> None:
    layout = RunLayout(GcsUri("staging", "team/clouds/"), GcsUri("output"), "r")
    assert str(layout.chunk(3)) == "gs://staging/team/clouds/runs/r/chunks/00003.jsonl"


def test_chunk_files_sort_as_their_indexes_do() -> None:
    for place in (LAYOUT.chunk, LAYOUT.results, LAYOUT.progress):
        addresses = [place(index) for index in (0, 1, 9, 10, 99, 100, 1023)]
        assert addresses == sorted(addresses)


def test_weights_are_addressed_by_content_and_not_by_revision() -> None:
    assert str(staged_weights(GcsUri("staging"), "abc", ".pt")) == "gs://staging/models/abc/weights.pt"
    assert staged_weights(GcsUri("staging"), "abc", ".pt") != staged_weights(GcsUri("staging"), "abd", ".pt")


FOLDER = GcsUri("staging", "runs/r/previews")


def test_each_version_has_a_key_of_its_own() -> None:
    keys = {image_key(name, generation) for name in ("a", "b", "1\na", "\n") for generation in (1, 11, 12)}
    assert len(keys) == 12
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)
    assert image_key("a.jpg", 7) == image_key("a.jpg", 7)


def test_a_name_that_is_no_text_has_one_too() -> None:
    assert image_key("\ud800.jpg", 7) == image_key("?.jpg", 7)


def test_the_rest_sorts_behind_the_first_of_every_chunk() -> None:
    first = preview_uri(FOLDER, 99_999, "a.jpg", 7, first=True)
    rest = preview_uri(FOLDER, 0, "a.jpg", 7, first=False)
    assert first.name < FOLDER.name + "/more/" < rest.name
