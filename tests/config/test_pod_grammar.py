from collections.abc import Callable
from typing import Any

import pytest

from cloudseg_ops.config import pod_grammar as grammar
from cloudseg_ops.contracts.quantities import check_size, in_bytes

GOOD: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (grammar.check_cpu, ["1", "4", "0.5", "500m", "1500m"]),
    (check_size, ["1Mi", "512Mi", "12Gi", "1.5Gi", "64M", "2Ti", "1048576"]),
    (grammar.check_label_name, ["cloudseg", "a", "0-9", "a" * 63]),
    (grammar.check_subdomain, ["default", "my.pull-secret", ".".join(["a" * 63] * 3)]),
    (grammar.check_label_value, ["", "a", "A_b-c.d", "nvidia-l4", "x" * 63]),
    (
        grammar.check_keys,
        [{}, {"a": ""}, {"cloud.google.com/gke-spot": "x y"}, {"a.b-c_D": ""}, {"p.q/" + "k" * 63: ""}],
    ),
    (grammar.check_labels, [{"team": "clouds"}, {"cloud.google.com/gke-nodepool": "gpu"}]),
    (grammar.check_team_labels, [{"team": "clouds", "dag": "x"}]),
    (grammar.check_variables, [{"A": "", "_b1": "x y", "GOOGLE_CLOUD_PROJECT": "p"}]),
]
BAD: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (grammar.check_cpu, ["", "0", "0m", "0.0", "-1", "1k", "4Gi", "1e3", "two", "1\n", ".5", "٣"]),
    (check_size, ["", "0", "12", "512m", "-1Gi", "1gi", "12GB", "1 Gi", "1023Ki", "1Gi\n", "0Gi", "much"]),
    (grammar.check_label_name, ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "a\n", "a b"]),
    (grammar.check_subdomain, ["", "A", "a..b", ".a", "a.", "a/b", "a_b", ".".join(["a" * 63] * 4), "a\n"]),
    (grammar.check_label_value, ["-a", "a.", "a b", "a/b", "x" * 64, "a\n", "ä", "2026-08-26T03:00:00+00:00"]),
    (grammar.check_keys, [{"": ""}, {"a b": ""}, {"/a": ""}, {"a/": ""}, {"a/b/c": ""}, {"A/b": ""}, {"k" * 64: ""}]),
    (grammar.check_labels, [{"a": "b c"}, {"a b": "c"}]),
    (grammar.check_team_labels, [{name: "1"} for name in grammar.AIRFLOW_LABELS] + [{"a": "b c"}]),
    (grammar.check_variables, [{"": ""}, {"1A": ""}, {"A-B": ""}, {"A=B": ""}, {"A\n": ""}]),
]


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD for value in values])
def test_valid_value_is_returned(check: Callable[[Any], Any], value: Any) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in BAD for value in values])
def test_invalid_value_is_rejected(check: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        check(value)


@pytest.mark.parametrize(
    ("text", "count"), [("1Mi", 2**20), ("1M", 10**6), ("1.5Gi", 3 * 2**29), ("2Ei", 2**61), ("7", 7), ("3k", 3000)]
)
def test_quantities_are_converted_to_bytes(text: str, count: int) -> None:
    assert in_bytes(text) == count


DIGEST = "@sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "name", ["cloudseg", "eu.gcr.io/p/r", "localhost:5000/cloudseg", "a/b__c/d-e--f", "host.example/x:v1.2_RC"]
)
def test_image_needs_a_digest(name: str) -> None:
    assert grammar.check_image(name + DIGEST, by_digest=True) == name + DIGEST
    assert grammar.check_image(name, by_digest=False) == name
    with pytest.raises(ValueError, match="a tag may mean another image tomorrow"):
        grammar.check_image(name, by_digest=True)


@pytest.mark.parametrize(
    "text",
    ["", "https://eu.gcr.io/p/r" + DIGEST, "Cloudseg" + DIGEST, "a b" + DIGEST, "a" + DIGEST[:-1], "a" + DIGEST + "0",
     "a" + DIGEST.upper(), DIGEST, "a:b:c" + DIGEST, "a/" + DIGEST, "a" + DIGEST + "\n", "a@sha1:00"],
)  # fmt: skip
def test_invalid_image_is_rejected(text: str) -> None:
    for by_digest in (True, False):
        with pytest.raises(ValueError, match="an image is"):
            grammar.check_image(text, by_digest=by_digest)


def test_pairs_are_read_from_text_or_json() -> None:
    assert grammar.read_pairs("a=1, b = x=y ,,c=") == {"a": "1", "b": "x=y", "c": ""}
    assert grammar.read_pairs(' {"a": "1,2"}') == {"a": "1,2"}
    assert grammar.read_pairs("") == {}
    assert grammar.read_pairs({"a": "1"}) == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "error"),
    [("a", "'a' is not key=value"), ("a=1,b", "'b' is not key=value"), ("a=1,a=2", "'a' twice"), ('{"a": ', "invalid"),
     ('{"a": 1}', "value of 'a' is not text"), ('{"a": {"b": "c"}}', "value of 'a' is not text"), ("{a=1}", "invalid")],
)  # fmt: skip
def test_invalid_pairs_are_rejected(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        grammar.read_pairs(text)


def test_words_are_read_from_text() -> None:
    assert grammar.parse_list(" a, b ,,") == ("a", "b")
    assert grammar.check_each(grammar.check_cpu)(("1", "2")) == ("1", "2")
    with pytest.raises(ValueError, match="CPUs"):
        grammar.check_each(grammar.check_cpu)(("1", "x"))
