"""Gathers what the buckets hold of many input versions, with few requests."""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.contracts.provenance import mask_name, quarantine_name
from cloudseg_ops.storage import Store


def gather_evidence(
    store: Store, versions: Sequence[InputObject], *, input_bucket: str, output_bucket: str
) -> list[Evidence]:
    """Look up a page of input versions, INPUT before OUTPUT: a version that moves in between is seen in OUTPUT."""
    names = [version.name for version in versions]
    current = store.stat_many(input_bucket, names)
    masks = store.stat_many(output_bucket, [mask_name(name) for name in names])
    copies = store.stat_many(output_bucket, [quarantine_name(name) for name in names])
    return [
        Evidence(current.get(name), masks.get(mask_name(name)), copies.get(quarantine_name(name))) for name in names
    ]
