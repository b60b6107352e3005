"""Exported programs that run code when they are opened or called: each attack creates the file that it is given.

`OPENED` do so in `torch.export.load(…).module()(images)` of PyTorch 2.13, which a test proves. `OTHERS` are of the same
kinds; whether they succeed depends on versions and on what else is installed.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from typing import Any

from tests.support.archives import members, packed, saved

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"
Attack = Callable[[bytes, str], bytes]


class _Create:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self._path, "w")


def with_document(program: bytes, name: str, change: Callable[[Any], None]) -> bytes:
    """Return a program in which a JSON document is changed."""
    content = members(program)
    document = json.loads(content[name])
    change(document)
    return packed({**content, name: json.dumps(document).encode()})


def call(path: str) -> str:
    """Return an expression of Python that creates a file."""
    return f"__import__('pathlib').Path('{path}').touch()"


def _graph(document: Any) -> Any:
    return document["graph_module"]["graph"]


def _edit(change: Callable[[Any, str], None]) -> Attack:
    return lambda program, path: with_document(program, MODEL, lambda document: change(document, path))


def _replace_text(pattern: str, text: Callable[[str], str]) -> Attack:
    def attack(program: bytes, path: str) -> bytes:
        content = members(program)
        model = content[MODEL].decode()
        changed = re.sub(pattern, lambda _: text(path), model)
        assert changed != model
        return packed({**content, MODEL: changed.encode()})

    return attack


def _samples(program: bytes, path: str) -> bytes:
    return packed({**members(program), SAMPLES: saved(((_Create(path),), {}))})


def _sample_key(program: bytes, path: str) -> bytes:
    """Make the sample input a dictionary, whose key becomes part of a guard's message."""
    samples = members(members(program)[SAMPLES])
    found = samples["data.pkl"]
    key = f"+{call(path)}+".encode()
    # ((tensor,), {}) becomes (({key: tensor},), {}): MARK, dict, key, before the tensor; SETITEM behind it.
    start = found.index(b"ctorch._utils")
    end = found.rindex(b"\x85")
    text = b"X" + len(key).to_bytes(4, "little") + key
    samples["data.pkl"] = found[:start] + b"}" + text + found[start:end] + b"s" + found[end:]
    return packed({**members(program), SAMPLES: packed(samples)})


def _pickled(folder: str, file: str, config: str) -> Attack:
    def attack(program: bytes, path: str) -> bytes:
        payload = {"path_name": file, "is_param": False, "use_pickle": True, "tensor_meta": None}
        plain = file.startswith("opaque")
        data = pickle.dumps(_Create(path)) if plain else saved(_Create(path))
        changed = with_document(program, folder + config, lambda document: document["config"].update(extra=payload))
        return packed({**members(changed), folder + file: data})

    return attack


def _whole_member(name: str) -> Attack:
    return lambda program, path: packed({**members(program), name: saved({"extra": _Create(path)})})


def _twice(name: str) -> Attack:
    return lambda program, path: packed(members(program), (name, saved(((_Create(path),), {}))))


def _legacy(program: bytes, path: str) -> bytes:
    pickled = saved((_Create(path),))
    return packed(
        {
            "version": b"8.20",
            "serialized_exported_program.json": members(program)[MODEL],
            "serialized_state_dict.pt": pickled,
            "serialized_constants.pt": pickled,
            "serialized_example_inputs.pt": pickled,
        },
        root="",
    )


def _rename_input(document: Any, path: str) -> None:
    """Rename the input of the program to a default argument, which Python evaluates when it defines the function."""
    found = _graph(document)["inputs"][-1]["as_tensor"]["name"]
    name = f"{found}={call(path)}"
    text = json.dumps(document).replace(json.dumps({"name": found}), json.dumps({"name": name}))
    document.update(json.loads(text))
    values = _graph(document)["tensor_values"]
    values[name] = values.pop(found)


def _name_argument(document: Any, path: str) -> None:
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    signature["forward_arg_names"] = [f"images={call(path)}"]


def _call_target(target: str, **arguments: Any) -> Callable[[Any, str], None]:
    """Add a node that calls a function; `...` stands for the path."""

    def change(document: Any, path: str) -> None:
        inputs = [{"name": name, "arg": _argument(value, path), "kind": 1} for name, value in arguments.items()]
        node = {"target": target, "inputs": inputs, "metadata": {}, "name": "extra"}
        graph = _graph(document)
        one = {"as_int": 1}
        graph["tensor_values"]["extra"] = {**next(iter(graph["tensor_values"].values())), "sizes": [one]}
        graph["tensor_values"]["extra"]["strides"] = [one]
        graph["nodes"].insert(0, {**node, "outputs": [{"as_tensor": {"name": "extra"}}]})

    return change


def _argument(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"as_bool": value}
    return {"as_int": value} if isinstance(value, int) else {"as_string": path if value is ... else value}


def _import_module(kind: str) -> Callable[[Any, str], None]:
    """Make the tree of outputs name a module, which is imported."""
    context: Any = {"default_factory_module": "left_behind", "default_factory_name": "dict", "dict_context": []}
    if kind == "builtins.dict":
        context = json.dumps([{"__enum__": True, "fqn": "left_behind:Kind", "name": "ONE"}])
    tree = json.dumps([1, {"type": kind, "context": context, "children_spec": []}])

    def change(document: Any, _: str) -> None:
        document["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = tree

    return change


_EXPRESSION = r'"expr_str": "[^"]+"'

OPENED: dict[str, Attack] = {
    "a pickle in the sample inputs": _samples,
    "a key in the sample inputs": _sample_key,
    "a pickle among the weights": _pickled(WEIGHTS, "weight_99", "model_weights_config.json"),
    "a pickle among the constants": _pickled(CONSTANTS, "tensor_99", "model_constants_config.json"),
    "an opaque object": _pickled(CONSTANTS, "opaque_obj_0", "model_constants_config.json"),
    "weights as one pickle": _whole_member("data/weights/model.pt"),
    "constants as one pickle": _whole_member("data/constants/model.pt"),
    "an expression as a size": _replace_text(_EXPRESSION, lambda path: f'"expr_str": "{call(path)}"'),
    "an expression as a guard": _edit(lambda document, path: document["guards_code"].append(f"{call(path)} is None")),
    "the name of an input": _edit(_rename_input),
    "a file that is mapped": _edit(_call_target("torch.ops.aten.from_file.default", filename=..., shared=True, size=1)),
    "a module in the tree of outputs": _edit(_import_module("collections.defaultdict")),
    "an enumeration in the tree of outputs": _edit(_import_module("builtins.dict")),
    "the format of PyTorch 2.7": _legacy,
}


def _renamed(old: str, new: Callable[[str], str]) -> Attack:
    return lambda program, path: with_document(
        program,
        MODEL,
        lambda document: document.update(json.loads(json.dumps(document).replace(f'"{old}"', json.dumps(new(path))))),
    )


def _moved(name: str, new: str) -> Attack:
    """Add a pickle under a name that only some readers take for another one."""
    return lambda program, path: packed({new: saved(((_Create(path),), {})), **members(program)})


def _nested(program: bytes, path: str) -> bytes:
    """Make the sample inputs TorchScript, which torch.load passes on to torch.jit.load."""
    script = {"data.pkl": pickle.dumps(_Create(path), protocol=2), "constants.pkl": b"\x80\x02).", "version": b"3\n"}
    return packed({**members(program), SAMPLES: packed(script)})


def _added(name: str, data: bytes = b"\x7fELF") -> Attack:
    return lambda program, path: packed({**members(program), name: data})


OTHERS: dict[str, Attack] = {
    "expressions in a list": _replace_text(_EXPRESSION, lambda path: f'"expr_str": ["{call(path)}"]'),
    "an expression as the range of a symbol": _edit(
        lambda document, path: document["range_constraints"].update({call(path): {"min_val": 1, "max_val": 2}})
    ),
    "an expression as a hint": _replace_text('"as_int": 8', lambda path: f'"as_int": "{call(path)}"'),
    "the name of an argument": _edit(_name_argument),
    "the name of a parameter": _renamed("c.weight", lambda path: f'x", {call(path)}, "y'),
    "a function of the standard library": _edit(_call_target("torch.os.mkdir", path=...)),
    "a function as an argument": _edit(
        lambda document, _: _graph(document)["nodes"][0]["inputs"].append(
            {"name": "function", "arg": {"as_string_to_argument": {"metadata": {"as_operator": "torch.os.system"}}}}
        )
    ),
    "an operator that writes a file": _edit(_call_target("torch.ops.aten.save.default", item=1, filename=...)),
    "an operator of another library": _edit(_call_target("torch.ops.torchvision.nms.default", iou=1)),
    "an attribute of an operator": _edit(_call_target("torch.ops.aten.add.__class__", name=...)),
    "a script object": _edit(
        lambda document, _: _graph(document).update(
            custom_obj_values={"engine": {"name": "engine", "class_fqn": "__torch__.torch.classes.a.B"}}
        )
    ),
    "a pickle in another format": lambda program, path: packed(
        {**members(program), SAMPLES: pickle.dumps(((_Create(path),), {}))}
    ),
    "TorchScript as sample inputs": _nested,
    "a member twice": _twice(SAMPLES),
    "a member in another case": _moved(SAMPLES, SAMPLES.upper()),
    "a member outside of the folder": lambda program, path: packed(
        members(program), ("../" + SAMPLES, saved(_Create(path)))
    ),
    "an archive before the program": lambda program, path: _samples(program, path) + program,
    "an archive behind the program": lambda program, path: program + _samples(program, path),
    "a compressed archive": lambda program, path: packed(members(program), method=zipfile.ZIP_DEFLATED),
    "a compiled library": _added("data/aotinductor/model/kernel.so"),
    "a second program": _added("models/other.json", b"{}"),
    "another version of the archive": _added("archive_version", b"1"),
    "a document that is nested too deep": _added(MODEL, b"[" * 100_000),
}
