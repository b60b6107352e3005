"""Checks values by Kubernetes' grammars, so that a mistake is reported before a pod is requested."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cloudseg_ops.contracts.json_text import load_json

AIRFLOW_LABELS = frozenset(
    {
        "dag_id",
        "task_id",
        "run_id",
        "map_index",
        "try_number",
        "parent_dag_id",
        "kubernetes_pod_operator",
        "airflow_version",
        "airflow_kpo_in_cluster",
        "already_checked",
        "airflow-worker",
    }
)
"""Labels by which Airflow finds its pods; one set by hand makes it start a second pod or adopt another task's."""

_CPU = re.compile(r"([0-9]+(?:\.[0-9]+)?)m?")
# kubernetes.io/docs/concepts/overview/working-with-objects/names and …/labels
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_NAME = re.compile(_LABEL)
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){_LABEL}(?:\.{_LABEL})*/)?{_WORD}")
_VALUE = re.compile(rf"(?:{_WORD})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# github.com/distribution/reference
_IMAGE = re.compile(
    r"(?:[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)


def check_cpu(text: str) -> str:
    """Check a number of CPUs, such as `3` or `500m`."""
    if not (match := _CPU.fullmatch(text)) or not Decimal(match[1]):
        raise ValueError("CPUs must be a number above 0, such as 4 or 500m")
    return text


def check_label_name(text: str) -> str:
    """Check the name of a namespace."""
    if not _LABEL_NAME.fullmatch(text):
        raise ValueError("use at most 63 lower-case letters, digits and '-', with no '-' at the start or the end")
    return text


def check_subdomain(text: str) -> str:
    """Check the name of a service account or a secret."""
    if not _SUBDOMAIN.fullmatch(text):
        raise ValueError("use at most 253 lower-case letters, digits, '-' and '.', with no '-' or '.' at either end")
    return text


def check_label_value(text: str) -> str:
    """Check the value of a label."""
    if not _VALUE.fullmatch(text):
        raise ValueError(f"the label value {text!r} must be at most 63 letters, digits, '-', '_' and '.'")
    return text


def check_labels(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Check the keys and values of labels."""
    for text in check_keys(pairs).values():
        check_label_value(text)
    return pairs


def check_team_labels(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Check labels that a team sets on its pods."""
    if taken := sorted(AIRFLOW_LABELS & pairs.keys()):
        raise ValueError(f"Airflow uses the label {taken[0]} to find its pods; give yours another name")
    return check_labels(pairs)


def check_keys(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Check the keys of annotations or labels."""
    if wrong := [key for key in pairs if not _KEY.fullmatch(key)]:
        raise ValueError(
            f"the key {wrong[0]!r} must be at most 63 letters, digits, '-', '_' and '.', optionally after a domain "
            "and '/'"
        )
    return pairs


def check_variables(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Check the names of environment variables."""
    if wrong := [name for name in pairs if not _VARIABLE.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is not a valid name of an environment variable")
    return pairs


def check_image(text: str, *, by_digest: bool) -> str:
    """Check an image's reference.

    Args:
        text: The reference.
        by_digest: Whether a digest is required; otherwise a tag is accepted as well.
    """
    if not (match := _IMAGE.fullmatch(text)):
        raise ValueError("an image is host/path@sha256:…, in lower case and without a scheme")
    if by_digest and not match["digest"]:
        raise ValueError(
            "a tag may mean another image tomorrow; give image@sha256:… (64 hexadecimal digits), or set "
            "CLOUDSEG_IMAGE_PULL_POLICY=Never for an image that the nodes have already"
        )
    return text


def read_pairs(value: Any) -> Any:
    """Parse `key=value,key=value` or a JSON object; return anything but text unchanged."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return _read_object(value)
    pairs: dict[str, str] = {}
    for word in parse_list(value):
        key, equals, text = (part.strip() for part in word.partition("="))
        if not equals:
            raise ValueError(f"{word!r} is not key=value; give key=value,key=value or a JSON object")
        if key in pairs:
            raise ValueError(f"it has the key {key!r} twice")
        pairs[key] = text
    return pairs


def _read_object(text: str) -> dict[str, str]:
    try:
        pairs: dict[str, Any] = load_json(text)
    except ValueError as error:
        raise ValueError(f"it begins like JSON but is invalid: {error}") from None
    if wrong := [key for key, value in pairs.items() if not isinstance(value, str)]:
        raise ValueError(f"the value of {wrong[0]!r} is not text; put it in quotes")
    return pairs


def parse_list(value: Any) -> Any:
    """Parse comma-separated words; return anything but text unchanged."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def check_each(check: Callable[[str], str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return a check of several texts that applies a check of one."""
    return lambda texts: tuple(check(text) for text in texts)
