"""Builds addresses to open in a browser: of Google Cloud's console, the emulator's pages, and git hosts.

Uploaders choose object names, so every name is quoted. No address is returned where it would be a guess.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from cloudseg_ops.contracts.revisions import COMMIT_PATTERN
from cloudseg_ops.contracts.uris import GcsUri

EMULATOR_PAGES = "/_emulator/browse"
_CONSOLE = "https://console.cloud.google.com"
_DOWNLOADS = "https://storage.cloud.google.com"

# What comes between a repository's address and the commit, on each host.
_COMMIT_PAGES = {"github": "/commit/", "gitlab": "/-/commit/", "bitbucket": "/commits/"}
_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
# Other names of these hosts: for browsers, and for ssh through a firewall.
_ALIASES = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "www.gitlab.com": "gitlab.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
_SCP_FORM = re.compile(r"(?:[^@/:]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:]+)")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[\w.~-]+")


def emulator_address(host: str) -> str:
    """Return the emulator's address for a browser, given the value of `STORAGE_EMULATOR_HOST`.

    >>> emulator_address("127.0.0.1:4443/")
    'http://127.0.0.1:4443'
    """
    return (host if "://" in host else f"http://{host}").rstrip("/")


def emulator_buckets(base: str = "") -> str:
    """Return the address of the emulator's list of buckets.

    Args:
        base: The emulator's address; empty: return a relative address.
    """
    return base + EMULATOR_PAGES


def emulator_folder(folder: GcsUri, base: str = "") -> str:
    """Return the address of the emulator's page for a folder.

    Args:
        folder: Bucket and name prefix.
        base: The emulator's address; empty: return a relative address.
    """
    query = f"?prefix={quote(folder.name, safe='')}" if folder.name else ""
    return f"{base}{EMULATOR_PAGES}/{quote(folder.bucket, safe='')}{query}"


def emulator_object(uri: GcsUri, base: str = "") -> str:
    """Return the address of the emulator's page about an object."""
    return f"{base}{EMULATOR_PAGES}/{quote(uri.bucket, safe='')}/{quote(uri.name, safe='')}"


def emulator_content(uri: GcsUri, base: str = "") -> str:
    """Return the address at which the emulator serves an object's content to a browser."""
    return f"{emulator_object(uri, base)}/content"


def object_address(uri: GcsUri, *, emulator: str | None = None) -> str:
    """Return the address at which a browser opens an object; Cloud Storage asks the user to log in.

    Args:
        uri: The object.
        emulator: The emulator's address; None: Cloud Storage.
    """
    if emulator is not None:
        return emulator_content(uri, emulator)
    return f"{_DOWNLOADS}/{_path(uri)}"


def folder_address(folder: GcsUri, *, project: str | None = None, emulator: str | None = None) -> str:
    """Return the address at which a browser lists a folder.

    Args:
        folder: The folder, with or without a slash at the end, or a bucket.
        project: Project that the console should select; None: the one already selected.
        emulator: The emulator's address; None: the console.
    """
    if emulator is not None:
        name = folder.name and folder.name.rstrip("/") + "/"
        return emulator_folder(GcsUri(folder.bucket, name), emulator)
    of_project = f"?project={quote(project, safe='')}" if project else ""
    return f"{_CONSOLE}/storage/browser/{_path(GcsUri(folder.bucket, folder.name.rstrip('/')))}{of_project}"


def folder_of(bucket: str, prefix: str) -> GcsUri:
    """Return the innermost folder that contains all names with a prefix.

    >>> str(folder_of("masks", "2026/08/img_"))
    'gs://masks/2026/08/'
    """
    return GcsUri(bucket, prefix[: prefix.rfind("/") + 1])


class LoggedContainer(NamedTuple):
    """A container of a pod on GKE, as Cloud Logging identifies it.

    Attributes:
        project: Project of the cluster.
        location: Region or zone of the cluster.
        cluster: Name of the cluster.
        namespace: Namespace of the pod.
        pod: Name of the pod, which no other pod has had.
        container: Name of the container.
        since: RFC 3339 time before its first log line.
    """

    project: str
    location: str
    cluster: str
    namespace: str
    pod: str
    container: str
    since: str


def log_address(logged: LoggedContainer) -> str:
    """Return the address at which Cloud Logging shows a container's log, without an end, as it may still be running.

    A time in the query makes the Logs Explorer ignore its own time range, which is an hour by default.
    """
    labels = {
        "project_id": logged.project,
        "location": logged.location,
        "cluster_name": logged.cluster,
        "namespace_name": logged.namespace,
        "pod_name": logged.pod,
        "container_name": logged.container,
    }
    query = "\n".join(
        [
            'resource.type="k8s_container"',
            *(f"resource.labels.{label}={_literal(value)}" for label, value in labels.items()),
            f"timestamp>={_literal(logged.since)}",
        ]
    )
    return f"{_CONSOLE}/logs/query;query={quote(query, safe='')}?project={quote(logged.project, safe='')}"


def commit_address(repository: str, commit: str) -> str | None:
    """Return the address of a commit on GitHub, GitLab or Bitbucket; None for paths and for unknown hosts.

    A self-hosted GitLab or GitHub is recognized by the first part of its host name, as in `gitlab.example.com`.

    Args:
        repository: URL or path of a git repository, as git accepts it.
        commit: 40 hex digits.
    """
    if not re.fullmatch(COMMIT_PATTERN, commit) or (parts := _host_and_path(repository)) is None:
        return None
    scheme, host, port, path = parts
    host = _ALIASES.get(host, host)
    kind = _kind(host)
    segments = path.strip("/").removesuffix(".git").split("/")
    if kind is None or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return None
    if len(segments) < 2 or (kind != "gitlab" and len(segments) != 2):
        return None
    return f"{scheme}://{host}{port}/{'/'.join(segments)}{_COMMIT_PAGES[kind]}{commit}"


def _path(uri: GcsUri) -> str:
    # Browsers resolve `.` and `..` between slashes, even if they are quoted; quoting the slashes prevents that.
    steps = any(part in (".", "..") for part in uri.name.split("/"))
    name = quote(uri.name, safe="" if steps else "/")
    return f"{quote(uri.bucket, safe='')}/{name}" if name else quote(uri.bucket, safe="")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _host_and_path(repository: str) -> tuple[str, str, str, str] | None:
    """Return scheme, host, port (with its colon) and path of the repository's web page; None if it has none."""
    if "://" not in repository:
        found = _SCP_FORM.fullmatch(repository)
        return ("https", found["host"].lower(), "", found["path"]) if found else None
    try:
        url = urlsplit(repository)
        port = url.port
    except ValueError:
        return None
    host = (url.hostname or "").lower()
    if url.scheme in ("http", "https"):
        return url.scheme, host, f":{port}" if port else "", url.path
    # The port is for ssh and says nothing about the web page.
    return ("https", host, "", url.path) if url.scheme in ("ssh", "git+ssh", "ssh+git") else None


def _kind(host: str) -> str | None:
    if known := _HOSTS.get(host):
        return known
    first, _, rest = host.partition(".")
    own = "." in rest and first in ("gitlab", "github")
    return first if own else "github" if host.endswith(".ghe.com") else None
