import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.uris import GcsUri


@pytest.mark.parametrize(
    ("text", "bucket", "name"),
    [
        ("gs://b", "b", ""),
        ("gs://b/", "b", ""),
        ("gs://b/a/b.jpg", "b", "a/b.jpg"),
        ("gs://b//odd", "b", "/odd"),
        ("gs://b/Größe 1#2?3.jpg", "b", "Größe 1#2?3.jpg"),
        ("gs://b/gs://c/d", "b", "gs://c/d"),
    ],
)
def test_parse(text: str, bucket: str, name: str) -> None:
    assert GcsUri.parse(text) == GcsUri(bucket, name)


@pytest.mark.parametrize("text", ["", "b/a", "gs:/b/a", "gs://", "gs:///a", "s3://b/a", "https://b/a", " gs://b/a"])
def test_invalid_address_is_rejected_with_the_value(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        GcsUri.parse(text)
    assert repr(text) in str(raised.value)
    assert "gs://bucket/name" in str(raised.value)


@pytest.mark.parametrize("text", ["gs://b", "gs://b/a", "gs://b/a/", "gs://b//a"])
def test_text_round_trip(text: str) -> None:
    assert str(GcsUri.parse(text)) == text


def test_join_to_bucket_and_folder() -> None:
    assert str(GcsUri("b") / "runs" / "r" / "x.jsonl") == "gs://b/runs/r/x.jsonl"
    assert GcsUri("b", "folder/") / "x" == GcsUri("b", "folder") / "x" == GcsUri("b", "folder/x")
