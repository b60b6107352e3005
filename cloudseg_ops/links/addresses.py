"""Addresses that a person opens in a browser: Google Cloud's console, the emulator's pages, a git host.

Plain functions of names alone. Uploaders choose names, so every name is quoted. Where an address would be a
guess, there is none.
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

# How each host's page of a commit follows the repository's own.
_COMMIT_PAGES = {"github": "/commit/", "gitlab": "/-/commit/", "bitbucket": "/commits/"}
_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
# Names under which the same hosts take ssh through a firewall, or a browser finds them.
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
    """The emulator's address as a browser needs it, from what `STORAGE_EMULATOR_HOST` may hold.

    >>> emulator_address("127.0.0.1:4443/")
    'http://127.0.0.1:4443'
    """
    return (host if "://" in host else f"http://{host}").rstrip("/")


def emulator_buckets(base: str = "") -> str:
    """The emulator's page of its buckets.

    Args:
        base: The emulator's address; empty: relative to it.
    """
    return base + EMULATOR_PAGES


def emulator_folder(folder: GcsUri, base: str = "") -> str:
    """The emulator's page of a folder.

    Args:
        folder: Bucket, and what the names begin with.
        base: The emulator's address; empty: relative to it.
    """
    query = f"?prefix={quote(folder.name, safe='')}" if folder.name else ""
    return f"{base}{EMULATOR_PAGES}/{quote(folder.bucket, safe='')}{query}"


def emulator_object(uri: GcsUri, base: str = "") -> str:
    """The emulator's page about an object."""
    return f"{base}{EMULATOR_PAGES}/{quote(uri.bucket, safe='')}/{quote(uri.name, safe='')}"


def emulator_content(uri: GcsUri, base: str = "") -> str:
    """What the emulator holds under a name, as a browser shows it."""
    return f"{emulator_object(uri, base)}/content"


def object_address(uri: GcsUri, *, emulator: str | None = None) -> str:
    """Where a browser opens an object, once its person has logged in.

    Args:
        uri: The object.
        emulator: The emulator's address; None: Cloud Storage.
    """
    if emulator is not None:
        return emulator_content(uri, emulator)
    return f"{_DOWNLOADS}/{_path(uri)}"


def folder_address(folder: GcsUri, *, project: str | None = None, emulator: str | None = None) -> str:
    """Where a browser lists a folder; a name that does not end in a slash is that of a folder all the same.

    Args:
        folder: The folder, or a bucket.
        project: Project that the console is to be in; None: the one that it is in.
        emulator: The emulator's address; None: the console.
    """
    if emulator is not None:
        name = folder.name and folder.name.rstrip("/") + "/"
        return emulator_folder(GcsUri(folder.bucket, name), emulator)
    of_project = f"?project={quote(project, safe='')}" if project else ""
    return f"{_CONSOLE}/storage/browser/{_path(GcsUri(folder.bucket, folder.name.rstrip('/')))}{of_project}"


def folder_of(bucket: str, prefix: str) -> GcsUri:
    """The innermost folder that holds all names with a prefix.

    >>> str(folder_of("masks", "2026/08/img_"))
    'gs://masks/2026/08/'
    """
    return GcsUri(bucket, prefix[: prefix.rfind("/") + 1])


class LoggedContainer(NamedTuple):
    """A container of a pod on GKE, as Cloud Logging tells it from all others.

    Attributes:
        project: Project of the cluster.
        location: Region or zone of the cluster.
        cluster: Its name.
        namespace: Namespace of the pod.
        pod: Name of the pod, which no other pod has had.
        container: The container.
        since: RFC 3339 time before its first line.
    """

    project: str
    location: str
    cluster: str
    namespace: str
    pod: str
    container: str
    since: str


def log_address(logged: LoggedContainer) -> str:
    """Where Cloud Logging shows a container's log: from its start on, for it may still be running.

    The time stands in the query, which makes the Logs Explorer ignore its own time range, an hour by default.
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
    """A commit's page on GitHub, GitLab or Bitbucket; None for paths, and for hosts that are not clearly one of these.

    A team's own GitLab or GitHub is known by its host's first word: `gitlab.example.com`.

    Args:
        repository: URL or path of a git repository, as git takes it.
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
    # A browser takes `.` and `..` between slashes for steps, quoted or not: there the slashes are quoted.
    steps = any(part in (".", "..") for part in uri.name.split("/"))
    name = quote(uri.name, safe="" if steps else "/")
    return f"{quote(uri.bucket, safe='')}/{name}" if name else quote(uri.bucket, safe="")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _host_and_path(repository: str) -> tuple[str, str, str, str] | None:
    """Scheme, host, port (with its colon) and path of the repository's web page; None where there is none."""
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
    # The port is that of ssh, and says nothing of the web page.
    return ("https", host, "", url.path) if url.scheme in ("ssh", "git+ssh", "ssh+git") else None


def _kind(host: str) -> str | None:
    if known := _HOSTS.get(host):
        return known
    first, _, rest = host.partition(".")
    own = "." in rest and first in ("gitlab", "github")
    return first if own else "github" if host.endswith(".ghe.com") else None
