from cloudseg_ops.contracts.preview_names import image_key, preview_uri
from cloudseg_ops.contracts.uris import GcsUri

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
