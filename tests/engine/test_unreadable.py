"""Photographs that Cloud Storage refuses to return affect only themselves; an identity without a role fails soon."""

import gzip
from dataclasses import replace

import pytest

from cloudseg_ops.contracts.errors import ChunkUnfinishedError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Proof, proof_of
from cloudseg_ops.contracts.provenance import quarantine_reason
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.storage.evidence import gather_evidence
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, picture, run

CUSTOMER_KEY = "The target object is encrypted by a customer-supplied encryption key."
REQUESTER_PAYS = "Bucket is a requester pays bucket but no user project provided."


def put_many(lab: Lab, folder: str, count: int) -> list[InputObject]:
    return [lab.put(f"{folder}/{number:03}.png", picture(8, 8)) for number in range(count)]


def refuse(faults: FaultPlan, lab: Lab, folder: str, status: int, message: str = "") -> None:
    path = f"/download/.*/b/{lab.buckets.input}/o/{folder}/"
    faults.add(Fault(status=status, message=message, method="GET", path=path, times=10_000))


def test_good_photographs_behind_many_unreadable_ones_are_segmented(lab: Lab, faults: FaultPlan) -> None:
    encrypted, forbidden = put_many(lab, "encrypted", 40), put_many(lab, "forbidden", 40)
    good = put_many(lab, "good", 2)
    lab.write_chunk([*encrypted, *forbidden, *good])
    refuse(faults, lab, "encrypted", 400, CUSTOMER_KEY)
    refuse(faults, lab, "forbidden", 403)
    summary = run(lab)
    assert summary.complete
    results = lab.results()
    assert [str(result.outcome) for result in results] == [*["unreadable"] * 80, "done", "done"]
    assert {result.reason for result in results[:40]} == {results[0].reason}
    assert "customer-supplied key" in (results[0].reason or "")
    assert "grant the identity" in (results[79].reason or "")
    assert not [result for result in results if "try again later" in (result.reason or "")]


def test_objects_with_a_customer_key_never_fail_a_chunk(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(put_many(lab, "encrypted", 40))
    refuse(faults, lab, "encrypted", 400, CUSTOMER_KEY)
    assert run(lab).complete
    assert set(lab.outcomes().values()) == {"unreadable"}


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [(403, "", "grant the identity"), (400, REQUESTER_PAYS, "GOOGLE_CLOUD_QUOTA_PROJECT")],
)
def test_refusal_of_everything_fails_soon(lab: Lab, faults: FaultPlan, status: int, message: str, advice: str) -> None:
    lab.write_chunk(put_many(lab, "all", 50))
    refuse(faults, lab, "all", status, message)
    with pytest.raises(ChunkUnfinishedError, match=advice):
        run(lab)
    assert not lab.summary().complete
    faults.clear()
    assert run(lab).complete, "a later try reads them"


def test_few_refused_photographs_fail_the_chunk_if_none_was_read(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(put_many(lab, "all", 2))
    refuse(faults, lab, "all", 403)
    with pytest.raises(ChunkUnfinishedError, match="refused to return every photograph"):
        run(lab)
    assert not lab.summary().complete


def test_intact_object_with_a_wrong_content_encoding_is_quarantined(lab: Lab) -> None:
    data = picture(8, 8)
    blob = lab.store._client.bucket(lab.buckets.input).blob("wrong.png")
    blob.content_encoding = "gzip"
    blob.upload_from_string(data)
    info = lab.store.stat(GcsUri(lab.buckets.input, "wrong.png"))
    assert info is not None
    packed = lab.store._client.bucket(lab.buckets.input).blob("packed.png")
    packed.content_encoding = "gzip"
    packed.upload_from_string(gzip.compress(data))
    good = lab.store.stat(GcsUri(lab.buckets.input, "packed.png"))
    assert good is not None
    lab.write_chunk([InputObject(one.name, one.generation, one.size, one.crc32c) for one in (info, good)])
    assert run(lab).complete
    assert lab.outcomes() == {"wrong.png": "quarantined", "packed.png": "done"}
    copy = lab.store.stat(GcsUri(lab.buckets.output, "quarantine/wrong.png"))
    assert copy is not None
    assert "Content-Encoding is gzip, but its bytes are not" in (quarantine_reason(copy.metadata) or "")


@pytest.mark.parametrize("helpers", [0, 1], ids=["threads", "helper process"])
def test_checksum_of_a_mask_whose_listing_has_none_is_that_of_the_download(
    lab: Lab, faults: FaultPlan, helpers: int
) -> None:
    put = [lab.put("a.png", picture(8, 8)), lab.put("bad.png", b"bad")]
    faults.add(Fault(action="no_checksums", path=rf"/b/{lab.buckets.input}/o\?", times=1000))
    listed = [
        InputObject(info.name, info.generation, info.size, info.crc32c)
        for info in lab.store.list_objects(GcsUri(lab.buckets.input))
    ]
    assert [one.crc32c for one in listed] == ["", ""]
    lab.write_chunk(listed)
    lab.options = replace(lab.options, io_processes=helpers)
    assert run(lab).complete
    assert lab.outcomes() == {"a.png": "done", "bad.png": "quarantined"}
    assert lab.provenance("a.png").source.crc32c == put[0].crc32c
    buckets = {"input_bucket": lab.buckets.input, "output_bucket": lab.buckets.output}
    evidence = gather_evidence(lab.store, listed, **buckets)
    proofs = [
        proof_of(one, lab.buckets.input, seen, lab.ref.digest) for one, seen in zip(listed, evidence, strict=True)
    ]
    assert proofs == [Proof.MASKED, Proof.QUARANTINED]
    cleaned = clean_inputs(lab.store, listed, **buckets, model_digest=lab.ref.digest, after_success="delete")
    assert cleaned.counts["deleted"] == 2
