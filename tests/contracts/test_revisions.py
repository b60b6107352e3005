import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import InvalidRevisionError
from cloudseg_ops.contracts.revisions import (
    ADDRESS_PATTERN,
    COMMIT_PATTERN,
    OFFERED_BRANCHES,
    OFFERED_TAGS,
    REVISION_PATTERN,
    check_revision,
    is_address,
    is_revision,
    newest_first,
    offer,
    parse_address,
)


@pytest.mark.parametrize(
    "text",
    ["v1.2.0", "main", "feature/new-net", "0123456789abcdef0123456789abcdef01234567", "a", "_x", "v1+cu130", "a@b",
     "release-2026.08", "a" * 200, "a-b_c.d/e+f"],
)  # fmt: skip
def test_valid_revisions(text: str) -> None:
    assert check_revision(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-", "--upload-pack=x", "-v1", ".hidden", "/v1", "v1/", "v1.", "v1.lock", "a.lock/b", "a..b", "a//b", "a/.b",
     "v1 ", " v1", "v 1", "v1\n", "\nv1", "v1;ls", "$(ls)", "`ls`", "v1~1", "v1^", "v1:x", "v1?", "v*", "[a]", "a\\b",
     "HEAD@{1}", "größe", "v1\x00", "a" * 201],
)  # fmt: skip
def test_invalid_revisions_are_rejected(text: str) -> None:
    with pytest.raises(InvalidRevisionError, match="tag, a branch or a commit"):
        check_revision(text)


def test_long_revision_is_truncated_in_the_message() -> None:
    with pytest.raises(InvalidRevisionError) as raised:
        check_revision("x" * 10_000)
    assert len(str(raised.value)) < 400


# Compared with git's check, for many names per example.
@given(st.lists(st.from_regex(REVISION_PATTERN, fullmatch=True), min_size=1, max_size=30))
def test_git_accepts_every_valid_revision(names: list[str]) -> None:
    passed = []
    for name in names:
        try:
            passed.append(check_revision(name))
        except InvalidRevisionError:
            continue
    for name in passed[:2]:
        done = subprocess.run(["git", "check-ref-format", "--allow-onelevel", name], check=False, timeout=10)
        assert done.returncode == 0, name


@given(st.text() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,20}\n?", fullmatch=True))
def test_pattern_of_the_dag_param_accepts_the_same_revisions(text: str) -> None:
    try:
        check_revision(text)
    except InvalidRevisionError:
        passed = False
    else:
        passed = True
    # As JSON schema matches, which validates values in the trigger form and in the API.
    assert bool(re.search(REVISION_PATTERN, text)) is is_revision(text) is passed


def test_revision_must_be_text() -> None:
    assert not any(map(is_revision, (None, 7, ["v1"], b"v1")))


def test_tags_are_ordered_by_version() -> None:
    tags = ["v1", "v10", "v2", "v10rc1", "model-v11", "release/2.1", "old", "zebra"]
    assert newest_first(tags) == ["model-v11", "v10", "v10rc1", "release/2.1", "v2", "v1", "zebra", "old"]
    assert newest_first(["cirrus-2026.08", "cirrus-2026.11"]) == ["cirrus-2026.11", "cirrus-2026.08"]


def test_offered_revisions() -> None:
    assert offer(["v1", "v2", "größe", "-x", "a..b"], ["dev", "main", "x.lock"]) == ["v2", "v1", "main", "dev"]
    assert offer(["main", "v1"], ["main"]) == ["v1", "main"]
    assert offer([], []) == []


def test_many_tags_leave_room_for_branches() -> None:
    offered = offer([f"v{number}" for number in range(500)], [f"b{number:03}" for number in range(500)] + ["main"])
    assert len(offered) == OFFERED_TAGS + OFFERED_BRANCHES
    assert offered[:2] == ["v499", "v498"]
    assert offered[OFFERED_TAGS : OFFERED_TAGS + 2] == ["main", "b000"]


def test_commit_is_forty_hex_digits() -> None:
    assert re.fullmatch(COMMIT_PATTERN, "0123456789abcdef" * 2 + "01234567")
    assert not re.fullmatch(COMMIT_PATTERN, "v1")
    assert not re.fullmatch(COMMIT_PATTERN, "0123456789ABCDEF" * 2 + "01234567")


@pytest.mark.parametrize(
    ("text", "artifact", "rest"),
    [
        ("clouds", "clouds", (None, None, None)),
        ("clouds@v1.2.0-rc.1+a", "clouds", ("v1.2.0-rc.1+a", None, None)),
        ("clouds@latest", "clouds", (None, None, None)),
        ("clouds#prod", "clouds", (None, "prod", None)),
        ("clouds#prod#3", "clouds", (None, "prod", 3)),
        ("ml/sky:clouds@v1.2.0", "ml/sky:clouds", ("v1.2.0", None, None)),
        ("ml/sky=clouds#prod#12", "ml/sky:clouds", (None, "prod", 12)),
        ("ml/sky/dvc.yaml:clouds", "ml/sky:clouds", (None, None, None)),
        ("dvc.yaml:clouds", "clouds", (None, None, None)),
        ("v1.2", None, (None, None, None)),
        ("release/2026_08", "release/2026_08", (None, None, None)),
        ("a" * 200, "a" * 200, (None, None, None)),
    ],
)
def test_parts_of_an_address(text: str, artifact: str | None, rest: tuple[str | None, str | None, int | None]) -> None:
    address = parse_address(text)
    assert (address.artifact, (address.version, address.stage, address.number)) == (artifact, rest)
    assert address.newest is text.endswith("@latest")
    assert address.text == text


@pytest.mark.parametrize(
    "text",
    ["", "-x", "--upload-pack=x", "a:b:c", "a=b=c", ":clouds", "=clouds", "clouds#", "clouds#prod#", "clouds#prod#x",
     "clouds#-prod", "clouds@v1.0.0!", "clouds#prod!#4", "sky:-clouds", "../sky:clouds", "/sky:clouds", "a/../b:clouds",
     "a.lock:b", "clouds@v1#prod", "clouds #prod", "clouds#prod\n", "v1:params.yaml", "a" * 201, "größe#prod"],
)  # fmt: skip
def test_invalid_addresses_are_rejected(text: str) -> None:
    with pytest.raises(InvalidRevisionError, match=r"name@v1\.2\.0"):
        parse_address(text)
    assert not is_address(text)
    assert not re.search(ADDRESS_PATTERN, text)


@given(st.lists(st.from_regex(ADDRESS_PATTERN, fullmatch=True), min_size=1, max_size=30))
def test_git_accepts_the_tag_of_every_address(addresses: list[str]) -> None:
    passed = [parse_address(address).tag for address in addresses if is_address(address)]
    for tag in passed[:2]:
        done = subprocess.run(["git", "check-ref-format", "--allow-onelevel", tag], check=False, timeout=10)
        assert done.returncode == 0, tag


def test_every_revision_is_an_address() -> None:
    for text in ("v1.2.0", "main", "a@b", "v1+cu130", "release-2026.08", "feature/new-net"):
        assert is_address(check_revision(text))
        assert parse_address(text).may_be_revision


def test_addresses_are_offered_first() -> None:
    addresses = ["clouds#prod", "clouds@v1.0.0", "clouds#größe"]
    assert offer(["v1", "v2"], ["main"], addresses) == ["clouds#prod", "clouds@v1.0.0", "v2", "v1", "main"]
