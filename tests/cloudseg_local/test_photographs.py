from pathlib import Path

import pytest

from cloudseg_local.photographs import SCENES, find_images, upload_photographs
from cloudseg_local.samples import broken_photographs
from cloudseg_local.state import INPUT_BUCKET
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from tests.support.samples import names_in

BROKEN = sorted(f"broken/{name}" for name in broken_photographs())


@pytest.fixture
def bucket(store: Store) -> str:
    """The demo's input bucket, empty."""
    store.create_bucket(INPUT_BUCKET)
    left = [(info.name, info.generation) for info in store.list_objects(GcsUri(INPUT_BUCKET))]
    store.delete_many(INPUT_BUCKET, left)
    return INPUT_BUCKET


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "2026/08/größe 1#.PNG", "2026/a.jpeg", "notes.txt", "2026/.hidden.txt", "a.jpg.mask.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def test_images_are_found_in_subfolders(folder: Path) -> None:
    assert find_images(folder) == ["2026/08/größe 1#.PNG", "2026/a.jpeg", "b.jpg"]


def test_folder_is_uploaded_with_its_subfolders(store: Store, bucket: str, folder: Path) -> None:
    assert upload_photographs(store, folder, None) == 3 + len(BROKEN)
    assert names_in(store, bucket) == sorted([*find_images(folder), *BROKEN], key=str.encode)
    assert store.read(GcsUri(bucket, "2026/08/größe 1#.PNG")) == "2026/08/größe 1#.PNG".encode()


def test_upload_is_limited_to_a_number(store: Store, bucket: str, folder: Path) -> None:
    assert upload_photographs(store, folder, 1) == 1 + len(BROKEN)
    assert names_in(store, bucket) == ["2026/08/größe 1#.PNG", *BROKEN]
    assert upload_photographs(store, folder, 99) == 3 + len(BROKEN)


def test_generated_scenes_are_uploaded(store: Store, bucket: str) -> None:
    assert upload_photographs(store, None, 3) == 3 + len(BROKEN)
    assert len(set(names_in(store, bucket)) - set(BROKEN)) == 3
    assert SCENES > 3


def test_unusable_folder_is_rejected(tmp_path: Path, store: Store, bucket: str) -> None:
    with pytest.raises(LocalError, match="no such folder"):
        find_images(tmp_path / "nonesuch")
    with pytest.raises(LocalError, match="no jpg, png"):
        upload_photographs(store, tmp_path, None)
    (tmp_path / "file.jpg").write_bytes(b"x")
    with pytest.raises(LocalError, match="no such folder"):
        find_images(tmp_path / "file.jpg")
    assert names_in(store, bucket) == []
