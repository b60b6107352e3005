"""Writes schemas.json: the schemas of the resources that deploy/terraform uses.

    pip download --no-deps cdktn-provider-google cdktn-provider-google-beta cdktn-provider-kubernetes
    # of each, unzip _jsii/*.tgz, and unpack that
    python -m tests.infra.read_schemas FOLDER_OF_GOOGLE FOLDER_OF_GOOGLE_BETA FOLDER_OF_KUBERNETES

If the providers are available, `terraform providers schema -json` prints the same and more. Those packages are
generated from its output: a class for each resource and block, with each argument's type, and whether it is required,
optional or computed. They do not have the maximum number of items of a repeated block, nor the types of composite
attributes that only a provider sets; those are left out here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.infra.terraform import CONFIGURATION, SCHEMAS

SIMPLE = {
    "string": "string",
    "boolean": "bool",
    "number": "number",
    "stringList": "string",
    "numberList": "number",
    "booleanList": "bool",
    "stringMap": "string",
    "numberMap": "number",
    "booleanMap": "bool",
    "anyMap": "string",
}
GETTERS = {"getStringAttribute": "string", "getNumberAttribute": "number", "getBooleanAttribute": "bool"}

_OPTIONAL = {"computed": False, "optional": True, "required": False}
_COMMENT = r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)"
_ENTRY = (
    r"^ +(\w+): \{\s+value: (.*?),\s+isBlock: (true|false),\s+type: \"(\w+)\",\s+storageClassType: \"(\w+)\",?\s+\}"
)


class Package:
    """An unpacked package of a provider.

    Args:
        folder: The folder that has `lib`.
        prefix: What its folders leave out of the names of its resources.
    """

    def __init__(self, folder: str, prefix: str = "") -> None:
        self.folder = Path(folder) / "lib"
        self.prefix = prefix
        self.versions: set[str] = set()

    def schemas(self, resources: Iterable[str], data_sources: Iterable[str]) -> dict[str, Any]:
        """The schemas of the provider itself, of resources and of data sources."""
        return {
            "provider": self._read("provider"),
            "resource_schemas": {
                name: self._read(name.removeprefix(self.prefix).replace("_", "-")) for name in resources
            },
            "data_source_schemas": {name: self._read("data-" + name.replace("_", "-")) for name in data_sources},
        }

    def _read(self, folder: str) -> dict[str, Any]:
        files = sorted((self.folder / folder).rglob("*.js"))
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        self.versions |= set(re.findall(r"providerVersion: '([^']+)'", text))
        start = re.search(r"class \w+ extends cdktn\.Terraform(?:Resource|DataSource|Provider)\b", text)
        assert start, f"no class in {self.folder / folder}"
        entries = text.index("synthesizeHclAttributes()", start.end())
        return {"version": 0, "block": _block(text, text[start.end() :], text[entries:])}


def _block(text: str, owner: str, entries: str) -> dict[str, Any]:
    """A block's schema.

    Args:
        text: All code of the resource.
        owner: The code of the block's class, and the code after it.
        entries: The list of its arguments, and the code after it.
    """
    owner = re.split(r"^(?:export )?class ", owner, maxsplit=1, flags=re.MULTILINE)[0]
    # The list of a block without arguments is empty.
    entries = re.split(r"^function |^class |// remove undefined", entries[1:], maxsplit=1, flags=re.MULTILINE)[0]
    flags = {
        name: {"computed": computed == "true", "optional": optional == "true", "required": required == "true"}
        for name, computed, optional, required in re.findall(_COMMENT, owner)
    }
    attributes: dict[str, Any] = {}
    blocks: dict[str, Any] = {}
    for name, value, is_block, kind, storage in re.findall(_ENTRY, entries, re.MULTILINE | re.DOTALL):
        argument = flags.get(name, _OPTIONAL)
        if is_block == "true":
            once = re.search(rf'new (?:\w+\.)?\w+OutputReference\(this, "{name}"\)', owner) is not None
            blocks[name] = {
                "nesting_mode": "single" if kind == "struct" else kind,
                "block": _nested(text, value),
                **({"min_items": 1} if argument["required"] else {}),
                **({"max_items": 1} if once and kind != "struct" else {}),
            }
        else:
            inner = SIMPLE[storage]
            attributes[name] = {"type": inner if kind == "simple" else [kind, inner], **_true(argument)}
    for name in flags.keys() - attributes.keys() - blocks.keys():
        getter = re.search(rf"this\.(get\w+Attribute)\(['\"]{name}['\"]\)", owner)
        if getter and getter[1] in GETTERS:
            attributes[name] = {"type": GETTERS[getter[1]], **_true(flags[name])}
    return {"attributes": dict(sorted(attributes.items())), "block_types": dict(sorted(blocks.items()))}


def _true(flags: dict[str, bool]) -> dict[str, bool]:
    return {flag: value for flag, value in flags.items() if value}


def _nested(text: str, value: str) -> dict[str, Any]:
    """The schema of a block within another, by the function that writes its value."""
    (function,) = [
        found for found in re.findall(r"(\w+)ToHclTerraform\b", value) if f"function {found}ToHclTerraform" in text
    ]
    owner = re.search(rf"class {function[0].upper()}{function[1:]}OutputReference extends", text)
    # A block of the provider has no such class, and only optional arguments.
    return _block(text, text[owner.end() :] if owner else "", text[text.index(f"function {function}ToHclTerraform") :])


def used(kind: str, prefix: str) -> list[str]:
    """Types of the resources, or of the data sources, that the configuration uses of a provider."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(CONFIGURATION.glob("*.tf")))
    return sorted(set(re.findall(rf'^{kind} "({prefix}\w+)" "', text, re.MULTILINE)))


def main(google: str, google_beta: str, kubernetes: str) -> None:
    """Write schemas.json."""
    packages = {
        "google": Package(google, "google_"),
        "google-beta": Package(google_beta),
        "kubernetes": Package(kubernetes, "kubernetes_"),
    }
    resources = {
        "google": used("resource", "google_"),
        "google-beta": ["google_composer_environment"],
        "kubernetes": used("resource", "kubernetes_"),
    }
    data_sources = {"google": used("data", "google_")}
    schemas = {name: package.schemas(resources[name], data_sources.get(name, ())) for name, package in packages.items()}
    document = {
        "versions": {name: min(package.versions) for name, package in packages.items()},
        "provider_schemas": {f"registry.terraform.io/hashicorp/{name}": schema for name, schema in schemas.items()},
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    # One line per resource, so that an update shows which have changed.
    SCHEMAS.write_text(re.sub(r'(?<=[{,])(?="\w+":\{"block":\{"attributes")', "\n", text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
