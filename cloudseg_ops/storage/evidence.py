"""Gathers what the buckets hold of many input versions, with few requests.

The engine, clean-up, audit and gallery apply the rules of `cloudseg_ops.contracts.proof` to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.contracts.provenance import mask_name, quarantine_name
from cloudseg_ops.storage import Store


def gather_evidence(
    store: Store, versions: Sequence[InputObject], *, input_bucket: str | None, output_bucket: str
) -> list[Evidence]:
    """Look up a page of input versions, INPUT before OUTPUT: a version that moves in between is seen in OUTPUT.

    Args:
        store: Cloud Storage.
        versions: The input versions.
        input_bucket: Bucket of the photographs; None: only OUTPUT is looked at, as for a proof.
        output_bucket: Bucket of masks and quarantine.

    Returns:
        The evidence of each version, in their order.
    """
    names = [version.name for version in versions]
    current = store.stat_many(input_bucket, names) if input_bucket else {}
    masks = store.stat_many(output_bucket, [mask_name(name) for name in names])
    copies = store.stat_many(output_bucket, [quarantine_name(name) for name in names])
    return [
        Evidence(current.get(name), masks.get(mask_name(name)), copies.get(quarantine_name(name))) for name in names
    ]
