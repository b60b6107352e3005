"""Operators, names and trees in an exported program."""

import json
from typing import Any

import pytest

from cloudseg_ops.contracts.program_graph import UnsafeTextError, check_document
from cloudseg_ops.contracts.program_names import check_operator, check_tree

LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}


def tree(kind: str, context: Any, *children: Any) -> str:
    return json.dumps([1, {"type": kind, "context": json.dumps(context), "children_spec": list(children)}])


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.conv2d.default", "torch.ops.aten.__and__.Tensor", "torch.ops.aten._unsafe_view.default",
     "torch.ops.higher_order.wrap_with_set_grad_enabled", "_operator.floordiv", "math.trunc", "torch.sym_max"],
)  # fmt: skip
def test_operators_of_pytorch_are_allowed(target: str) -> None:
    check_operator(target, ())


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.from_file.default", "torch.ops.aten.save.default", "torch.ops.aten.set_.source_Tensor",
     "torch.ops.aten._sparse_coo_tensor_unsafe.default", "torch.ops.aten.__class__.default",
     "torch.ops.aten.add.__class__", "torch.ops.aten.add", "torch.ops.aten.add.Tensor.decompose",
     "torch.ops.load_library",
     "torch.ops.torchvision.nms.default", "torch.ops.higher_order.flat_apply", "torch.os.system", "torch.load",
     "torch.hub.load", "_operator.methodcaller", "_operator.attrgetter", "_operator.call", "math.factorial",
     "builtins.eval", "#example:op", "eval", "torch.ops.aten.add\n.Tensor", "", 1, None, ["torch.sym_max"]],
)  # fmt: skip
def test_other_operators_are_refused(target: object) -> None:
    with pytest.raises(ValueError, match=r"^it is "):
        check_operator(target, ())


def test_a_setting_allows_operators_of_other_libraries() -> None:
    check_operator("torch.ops.torchvision.nms.default", ["torchvision::nms"])
    check_operator("torch.ops.torchvision.roi_align.default", ["torchvision::*"])
    check_operator("torch.ops.higher_order.strict_mode", ["higher_order::strict_mode"])
    with pytest.raises(ValueError, match="does not name torchvision::roi_align"):
        check_operator("torch.ops.torchvision.roi_align.default", ["torchvision::nms", "other::*"])
    with pytest.raises(ValueError, match="reaches outside"):
        check_operator("torch.ops.aten.from_file.default", ["aten::*"])


def test_trees_of_tensors_are_allowed() -> None:
    inner = json.loads(tree("builtins.tuple", None, LEAF, LEAF))[1]
    check_tree(tree("builtins.dict", ["out", "aux-1"], LEAF, inner), inputs=False)
    check_tree(tree("collections.OrderedDict", ["out"], LEAF), inputs=False)
    # It is refused by PyTorch, unless its library is imported.
    check_tree(tree("transformers.modeling_outputs.SemanticSegmenterOutput", ["logits"], LEAF), inputs=False)


@pytest.mark.parametrize(
    "text",
    [
        tree("collections.defaultdict", None),
        tree("transformers.modeling_outputs.SemanticSegmenterOutput", {"__enum__": True}, LEAF),
        tree("collections.namedtuple", ["a"], LEAF),
        tree("collections.defaultdict", ["a"], LEAF),
        tree("collections.deque", None, LEAF),
        tree("torch.nn.attention.flex_attention.BlockMask", ["a"], LEAF),
        tree("os", ["a"], LEAF),
        json.dumps([1, {"type": "builtins.dict", "context": ["a"], "children_spec": [LEAF]}]),
        tree("builtins.dict", [{"__enum__": True, "fqn": "os:x", "name": "y"}], LEAF),
        tree("builtins.dict", {"__enum__": True, "fqn": "os:x", "name": "y"}, LEAF),
        tree("builtins.tuple", {"__enum__": True, "fqn": "os:x", "name": "y"}, LEAF),
        tree("builtins.dict", ["a'): print(1) #"], LEAF),
        tree("builtins.dict", ["__class__"], LEAF),
        tree("builtins.list", None, {**LEAF, "context": "null"}),
        json.dumps([2, LEAF]),
        "[" * 100_000,
        "{}",
        "",
    ],
)
def test_other_trees_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_tree(text, inputs=False)


def test_keys_of_inputs_are_names_of_arguments() -> None:
    with pytest.raises(ValueError, match=r"names the type other\.Input"):
        check_tree(tree("other.Input", ["a"], LEAF), inputs=True)
    check_tree(tree("builtins.dict", ["images"], LEAF), inputs=True)
    with pytest.raises(ValueError, match="other characters"):
        check_tree(tree("builtins.dict", ["an image"], LEAF), inputs=True)


NODE = {"target": "torch.ops.aten._assert_scalar.default", "metadata": {"stack_trace": "File 'a.py':\n  f(x)"}}
MESSAGE = {"name": "assert_msg", "arg": {"as_string": "Eq(Mod(s0, 2), 0) failed on 'x'"}, "kind": 1}
HARMLESS: list[Any] = [
    {**NODE, "inputs": [MESSAGE]},
    {"as_string": "bhwc,hkc->bhwk"},
    {"tensor_values": {"metadata": {"sizes": [{"as_int": 1}]}, "target": {"dtype": 7}}},
    {"parameter_name": "layers.conv-1.weight", "value": "-Infinity", "a_key_of_a_newer_version": ["plain", 1, None]},
    {"range_constraints": {"4*s39": {"min_val": 8, "max_val": None}}},
]
CODE = "__import__('os').system('true')"
HOSTILE: list[Any] = [
    {**NODE, "target": "torch.ops.aten.pad.default", "inputs": [MESSAGE]},
    {**NODE, "inputs": [{**MESSAGE, "arg": {"as_string": "a", "as_operator": "torch.os.system"}}]},
    {"inputs": [MESSAGE]},
    {**NODE, "inputs": [{**MESSAGE, "arg": {"as_string": 'a"; system("true"); "'}}]},
    {"tensor_values": {"metadata": {"as_expr": {"expr_str": CODE}}}},
    {"as_string_to_argument": {"metadata": {"as_operator": "torch.os.system"}}},
    {"sym_int_values": {CODE: {"as_int": 1}}},
    {"metadata": {"stack_trace": "a\rimport os"}},
    {"metadata": {"custom": {"expr_str": CODE}}},
    {"a_key_of_a_newer_version": {"code": [CODE]}},
    {"expr_str": {"s0": "s1"}},
    {"hint": {"as_int": CODE}},
    {"guards_code": [f"{CODE} is None"]},
    {"guards_code": CODE},
    {"parameter_name": 'a", "b'},
    {"name": "x.__class__"},
    {"name": "a" * 2_000},
    {"custom_obj_values": {"a": {}}},
    {"as_strings": ["a", CODE]},
    [CODE],
    CODE,
]


@pytest.mark.parametrize("document", HARMLESS)
def test_documents_of_plain_names_pass(document: object) -> None:
    check_document(document, ())


@pytest.mark.parametrize("document", HOSTILE)
def test_a_text_that_could_be_code_is_refused_anywhere(document: object) -> None:
    with pytest.raises(UnsafeTextError, match=r" is ['\"].*: "):
        check_document(document, ())


def test_the_place_is_named() -> None:
    with pytest.raises(UnsafeTextError, match=r"^graph\.nodes\[1\]\.target is 'torch\.load': it is outside of aten"):
        check_document({"graph": {"nodes": [{"target": "math.trunc"}, {"target": "torch.load"}]}}, ())
