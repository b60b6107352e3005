import json

import pytest

from cloudseg_ops.contracts.errors import CorruptModelError, ManifestError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.network.reference import read_model_ref, read_weights
from tests.support.lab import Lab


def test_the_staged_model_is_read_back(lab: Lab) -> None:
    ref = read_model_ref(lab.store, lab.options.model)
    assert ref == lab.ref
    assert read_weights(lab.store, ref)


def test_weights_with_another_checksum_are_rejected(lab: Lab) -> None:
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    with pytest.raises(CorruptModelError, match=f"has md5 .*{lab.ref.md5}"):
        read_weights(lab.store, lab.ref)


def test_parameters_that_do_not_match_the_digest_are_rejected(lab: Lab) -> None:
    fields = lab.ref.to_json()
    fields["params"]["max_side"] = 512
    lab.store.write(lab.options.model, json.dumps(fields).encode())
    with pytest.raises(CorruptModelError, match=lab.ref.digest):
        read_model_ref(lab.store, lab.options.model)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"md5": 1}'])
def test_invalid_model_reference_is_rejected(lab: Lab, data: bytes) -> None:
    lab.store.write(lab.options.model, data)
    with pytest.raises(ManifestError, match="pull_model"):
        read_model_ref(lab.store, lab.options.model)
