from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.evidence import gather_evidence
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.storage.conftest import Counter
from tests.support.samples import put_copy, put_input, put_inputs, put_mask, source_of


def test_evidence_is_in_the_order_of_the_versions(store: Store, buckets: Buckets) -> None:
    # One name is a prefix of the next, and the suffix of masks changes their order.
    names = ["b.jpg", "a.jpg-2.jpg", "a.jpg", "quarantine/a.jpg"]
    versions = put_inputs(store, buckets.input, names)
    put_mask(store, buckets.output, source_of(versions[2], buckets.input))
    put_copy(store, buckets.output, source_of(versions[0], buckets.input))
    store.delete_many(buckets.input, [(versions[0].name, versions[0].generation)])
    put_input(store, buckets.input, "a.jpg-2.jpg", b"newer")
    found = gather_evidence(store, versions, input_bucket=buckets.input, output_bucket=buckets.output)
    assert [bool(evidence.current) for evidence in found] == [False, True, True, True]
    assert [bool(evidence.mask) for evidence in found] == [False, False, True, False]
    assert [bool(evidence.quarantined) for evidence in found] == [True, False, False, False]
    assert found[1].current is not None
    assert found[1].current.generation != versions[1].generation
    assert found[2].mask is not None
    assert found[2].mask.name == "a.jpg.mask.png"
    assert found[2].mask.metadata["cloudseg-source-name"] == "a.jpg"


def test_no_versions_give_no_evidence(store: Store, buckets: Buckets) -> None:
    assert gather_evidence(store, [], input_bucket=buckets.input, output_bucket=buckets.output) == []


def test_only_output_is_listed_for_a_proof(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    versions = put_inputs(store, buckets.input, ["a.jpg", "b.jpg"])
    put_mask(store, buckets.output, source_of(versions[0], buckets.input))
    calls = Counter(emulator)
    found = gather_evidence(store, versions, input_bucket=None, output_bucket=buckets.output)
    assert [(bool(one.current), bool(one.mask), bool(one.quarantined)) for one in found] == [
        (False, True, False),
        (False, False, False),
    ]
    assert calls["objects.list"] == 2


def test_version_that_moves_between_the_listings_is_found(store: Store, buckets: Buckets) -> None:
    """A move writes the copy first, so listing INPUT first finds the version at least once."""
    version = put_input(store, buckets.input, "a.jpg")
    listings: list[str] = []

    class Moving(Store):
        def stat_many(self, bucket, names):  # type: ignore[no-untyped-def]
            found = super().stat_many(bucket, names)
            listings.append(bucket)
            if len(listings) == 1:
                put_mask(store, buckets.output, source_of(version, buckets.input))
                store.delete_many(buckets.input, [(version.name, version.generation)])
            return found

    (found,) = gather_evidence(
        Moving(store._client), [version], input_bucket=buckets.input, output_bucket=buckets.output
    )
    assert store.stat(GcsUri(buckets.input, "a.jpg")) is None
    assert found.current is not None
    assert found.mask is not None
    assert listings[0] == buckets.input
