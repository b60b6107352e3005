"""gs:// addresses."""

from __future__ import annotations

from dataclasses import dataclass

from cloudseg_ops.contracts.errors import SettingsError

_SCHEME = "gs://"


@dataclass(frozen=True, slots=True, order=True)
class GcsUri:
    """The address of an object, or of a folder if `name` is empty or ends in a slash.

    >>> str(GcsUri.parse("gs://staging/runs") / "r1" / "snapshot.jsonl")
    'gs://staging/runs/r1/snapshot.jsonl'
    """

    bucket: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> GcsUri:
        """Parse `gs://bucket` or `gs://bucket/name`.

        Raises:
            SettingsError: The text is not such an address.
        """
        bucket, _, name = text.removeprefix(_SCHEME).partition("/")
        if not text.startswith(_SCHEME) or not bucket:
            raise SettingsError(f"{text!r} is not a Cloud Storage address; write it as gs://bucket/name")
        return cls(bucket, name)

    def __truediv__(self, part: str) -> GcsUri:
        """Return the address of `part` below this one, separated by one slash."""
        return GcsUri(self.bucket, f"{self.name.rstrip('/')}/{part}" if self.name else part)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.name}" if self.name else f"{_SCHEME}{self.bucket}"
