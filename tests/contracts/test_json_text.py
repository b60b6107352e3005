import pytest

from cloudseg_ops.contracts.errors import ManifestError, ModelParamsError
from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.model_section import parse_section
from cloudseg_ops.runs.chunk_plan import parse_plan
from cloudseg_ops.runs.run_plan import parse_dry_run

DEEP = b"[" * 100_000


def test_load_json_rejects_deep_nesting() -> None:
    assert load_json('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(ValueError, match="nested too deeply"):
        load_json(DEEP)
    with pytest.raises(ValueError, match="utf-8"):
        load_json(b'"\xff"')


@pytest.mark.parametrize("document", [DEEP, b"", b"1", b"{}", b"[1]", b'[{"index": 1e999}]', b"\xff"])
def test_damaged_run_files_are_manifest_errors(document: bytes) -> None:
    for parse in (parse_dry_run, ModelRef.parse, *([] if document == b"{}" else [parse_plan])):
        with pytest.raises(ManifestError, match=r"^gs://b/file\.json is not .*; clear `p"):
            parse(document, "gs://b/file.json")


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "a: 2001-99-99", "? [1]\n: 2", "model: &a [*a]", "!!python/object:os.system x", "\0", "model: 3"],
)
def test_invalid_yaml_is_a_params_error(text: str) -> None:
    with pytest.raises(ModelParamsError, match=r"^params\.yaml: "):
        parse_section(text, "params.yaml")
