import gzip
import io
import threading

import pytest
from PIL import Image

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.gallery import pictures
from cloudseg_ops.gallery.errors import BusyError, NotShownError
from cloudseg_ops.gallery.locating import Shown
from cloudseg_ops.gallery.pictures import make_picture
from cloudseg_ops.storage import ObjectInfo, Store
from tests.conftest import Buckets
from tests.gallery.runs import photograph, put_mask, put_photograph


def put(store: Store, buckets: Buckets, data: bytes) -> ObjectInfo:
    return store.write(GcsUri(buckets.input, "a.jpg"), data)


def test_every_shape_is_drawn(store: Store, buckets: Buckets) -> None:
    version = put_photograph(store, buckets, "a.jpg", photograph((640, 480)))
    found, mask = store.stat(GcsUri(buckets.input, "a.jpg")), put_mask(store, buckets, version)
    sizes = {}
    for shown in (Shown(found, mask), Shown(found), Shown(None, mask), Shown(None, mask, found)):
        picture = make_picture(store, shown, 320)
        image = Image.open(io.BytesIO(picture.data))
        assert Image.MIME[image.format or ""] == picture.content_type
        sizes[shown.shape.value] = image.size
    assert sizes == {"pair": (644, 240), "photograph": (320, 240), "mask": (64, 48), "preview": (640, 480)}


def test_large_file_is_not_read(store: Store, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    with pytest.raises(NotShownError, match="more than the 100 that are read"):
        make_picture(store, Shown(put(store, buckets, photograph())), 320)


def test_empty_file_is_reported(store: Store, buckets: Buckets) -> None:
    with pytest.raises(NotShownError, match="empty"):
        make_picture(store, Shown(put(store, buckets, b"")), 320)


def test_compressed_content_is_not_decompressed(store: Store, buckets: Buckets) -> None:
    blob = store._client.bucket(buckets.input).blob("a.jpg")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(bytes(50_000_000)))
    info = store.stat(GcsUri(buckets.input, "a.jpg"))
    with pytest.raises((NotShownError, StorageError)):
        make_picture(store, Shown(info), 320)


def test_preview_must_be_a_jpeg(store: Store, buckets: Buckets) -> None:
    info = put(store, buckets, b"<script>alert(1)</script>")
    with pytest.raises(NotShownError, match="not a JPEG"):
        make_picture(store, Shown(None, None, info), 320)


def test_number_of_concurrent_pictures_is_limited(
    store: Store, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown(put(store, buckets, photograph()))
    monkeypatch.setattr(pictures, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(pictures, "_WAIT_SECONDS", 0.05)
    with pictures._slot(), pytest.raises(BusyError, match="load it again"):
        make_picture(store, shown, 320)
    assert make_picture(store, shown, 320).data
