"""Addresses for browsers, parsed again as a browser does."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.addresses import (
    LoggedContainer,
    commit_address,
    emulator_address,
    emulator_buckets,
    emulator_content,
    emulator_folder,
    emulator_object,
    folder_address,
    folder_of,
    log_address,
    object_address,
)
from gcs_emulator import addresses as paths

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPORT = GcsUri("masks", "reports/manual__2026-11-24T10:00:00+00:00/report.html")
HOSTILE = [
    'a"><script>alert(1)</script>.jpg', "a b/c+d:e&f=g?h#i;j%2F.jpg", "größe/ü.png", "../../etc/passwd", "a/./b", "/a",
    "a//b", "javascript:alert(1)", "x" * 1024,
]  # fmt: skip


def test_report_address_requires_a_login() -> None:
    assert object_address(REPORT) == (
        "https://storage.cloud.google.com/masks/reports/manual__2026-11-24T10%3A00%3A00%2B00%3A00/report.html"
    )


def test_folder_address_is_in_the_cloud_console() -> None:
    assert folder_address(GcsUri("staging", "runs/manual__2026-11-24T10:00:00+00:00"), project="p-1") == (
        "https://console.cloud.google.com/storage/browser/staging/runs/manual__2026-11-24T10%3A00%3A00%2B00%3A00"
        "?project=p-1"
    )
    assert folder_address(GcsUri("masks")) == "https://console.cloud.google.com/storage/browser/masks"
    assert folder_address(GcsUri("masks", "a/b/"), project="x&y") == (
        "https://console.cloud.google.com/storage/browser/masks/a/b?project=x%26y"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_object_names_survive_url_parsing(name: str) -> None:
    url = urlsplit(object_address(GcsUri("masks", name)))
    assert url.netloc == "storage.cloud.google.com"
    assert (url.query, url.fragment) == ("", "")
    assert unquote(url.path) == f"/masks/{name}"
    # A browser would resolve these as relative path segments.
    assert not {".", ".."} & set(unquote(url.path.replace("%2F", "|")).split("/"))


@given(st.text(min_size=1, max_size=50))
def test_object_names_cannot_escape_their_url_path(name: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return
    for address in (
        emulator_object(GcsUri("masks", name), "http://e"),
        emulator_folder(GcsUri("masks", name), "http://e"),
    ):
        assert re.fullmatch(r"http://e/_emulator/browse/masks[/?][\w.~%=-]+", address)


def test_emulator_pages_replace_those_of_google() -> None:
    base = emulator_address("127.0.0.1:4443")
    assert base == emulator_address("http://127.0.0.1:4443/") == "http://127.0.0.1:4443"
    assert emulator_address("https://gcs.example") == "https://gcs.example"
    assert emulator_buckets(base) == "http://127.0.0.1:4443/_emulator/browse"
    assert object_address(REPORT, emulator=base) == emulator_content(REPORT, base)
    assert emulator_content(REPORT, base).endswith("%2B00%3A00%2Freport.html/content")
    for folder in ("a/b", "a/b/"):
        at = folder_address(GcsUri("masks", folder), project="p", emulator=base)
        assert parse_qs(urlsplit(at).query) == {"prefix": ["a/b/"]}
    assert folder_address(GcsUri("masks"), emulator=base) == "http://127.0.0.1:4443/_emulator/browse/masks"


@pytest.mark.parametrize(
    ("prefix", "folder"), [("", ""), ("img_", ""), ("2026/", "2026/"), ("2026/08/img", "2026/08/"), ("/x", "/")]
)
def test_folder_of_a_prefix_ends_at_its_last_slash(prefix: str, folder: str) -> None:
    assert folder_of("masks", prefix) == GcsUri("masks", folder)


def test_log_address_queries_one_container() -> None:
    logged = LoggedContainer(
        "p-1", "europe-west4", "gpus", "cloudseg", "cloudseg-00003-x1", "engine", "2026-11-24T10:00:00+00:00"
    )
    url = urlsplit(log_address(logged))
    assert (url.netloc, url.query) == ("console.cloud.google.com", "project=p-1")
    page, _, query = url.path.partition(";query=")
    assert page == "/logs/query"
    assert ";" not in query
    assert unquote(query).splitlines() == [
        'resource.type="k8s_container"',
        'resource.labels.project_id="p-1"',
        'resource.labels.location="europe-west4"',
        'resource.labels.cluster_name="gpus"',
        'resource.labels.namespace_name="cloudseg"',
        'resource.labels.pod_name="cloudseg-00003-x1"',
        'resource.labels.container_name="engine"',
        'timestamp>="2026-11-24T10:00:00+00:00"',
    ]


def test_log_query_values_are_escaped() -> None:
    logged = LoggedContainer('p" OR "', "l\\", "c", "n", "pod", "engine", "t")
    query = unquote(urlsplit(log_address(logged)).path)
    assert 'project_id="p\\" OR \\""' in query
    assert 'location="l\\\\"' in query


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/sky/models.git", "https://github.com/sky/models/commit/"),
        ("https://github.com/sky/models/", "https://github.com/sky/models/commit/"),
        ("https://user:token@github.com/sky/models", "https://github.com/sky/models/commit/"),
        ("https://www.GitHub.com/sky/models.git", "https://github.com/sky/models/commit/"),
        ("git@github.com:sky/models.git", "https://github.com/sky/models/commit/"),
        ("ssh://git@ssh.github.com:443/sky/models.git", "https://github.com/sky/models/commit/"),
        ("https://github.example.com/sky/models", "https://github.example.com/sky/models/commit/"),
        ("https://sky.ghe.com/team/models", "https://sky.ghe.com/team/models/commit/"),
        ("https://gitlab.com/sky/ml/models.git", "https://gitlab.com/sky/ml/models/-/commit/"),
        ("git@gitlab.example.com:sky/ml/models.git", "https://gitlab.example.com/sky/ml/models/-/commit/"),
        ("ssh://git@gitlab.example.com:2222/sky/models", "https://gitlab.example.com/sky/models/-/commit/"),
        ("http://gitlab.example.com:8080/sky/models", "http://gitlab.example.com:8080/sky/models/-/commit/"),
        ("git+ssh://git@altssh.gitlab.com:443/sky/models", "https://gitlab.com/sky/models/-/commit/"),
        ("https://bitbucket.org/sky/models.git", "https://bitbucket.org/sky/models/commits/"),
        ("git@bitbucket.org:sky/models.git", "https://bitbucket.org/sky/models/commits/"),
    ],
)
def test_commit_address_follows_the_git_host(repository: str, page: str) -> None:
    assert commit_address(repository, COMMIT) == page + COMMIT


@pytest.mark.parametrize(
    "repository",
    [
        "/srv/models", "models", "../models.git", "file:///srv/github.com/sky/models", "",
        "https://source.developers.google.com/p/project/r/models", "https://git.example.org/models.git",
        "https://example.com/github.com/sky/models", "https://notgithub.com/sky/models", "https://github.io/sky/models",
        "https://evil.example/github.com/sky/models", "https://gitlab.com/models", "https://github.com/sky",
        "https://github.com/sky/models/tree/main", "https://github.com/../models", "https://github.com/sky/mo dels",
        "https://github.com/sky/%2e%2e", "git@github.com:models",
        "https://[::1/sky/models", "https://github.com:port/sky/models", "github.com/sky/models",
        "ssh://git@bitbucket.example.com/sky/models", "s3://github.com/sky/models", "javascript://github.com/sky/models",
    ],
)  # fmt: skip
def test_unknown_repository_has_no_commit_address(repository: str) -> None:
    assert commit_address(repository, COMMIT) is None


@pytest.mark.parametrize("commit", ["", "main", "0123456", COMMIT.upper(), COMMIT + "\n", COMMIT + "/../x"])
def test_invalid_commit_has_no_address(commit: str) -> None:
    assert commit_address("https://github.com/sky/models", commit) is None


@pytest.mark.parametrize(("bucket", "name"), [("masks", ""), ("masks", "a/b c.png"), ("masks", "../x?y#z/")])
def test_emulator_addresses_match_its_routes(bucket: str, name: str) -> None:
    uri = GcsUri(bucket, name)
    assert emulator_buckets() == paths.buckets_path()
    assert emulator_folder(uri) == paths.folder_path(bucket, name)
    assert emulator_object(uri) == paths.object_path(bucket, name)
    assert emulator_content(uri) == paths.content_path(bucket, name)
