"""Which revisions a run may use, on real git repositories with real signatures."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import RegistryError, RevisionRefusedError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.registry import RevisionPolicy, pull_model
from cloudseg_ops.registry._policy import check_policy
from cloudseg_ops.storage import Store
from tests.registry.conftest import Registry


class Signed:
    """A repository with a signed tag of each kind, and the keys."""

    def __init__(self, root: Path) -> None:
        self.path = root / "repository"
        self.path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.first = self.commit("one")
        self.git("tag", "plain")
        self.git("tag", "--annotate", "annotated", "--message", "one")
        self.key, self.other = (self._make_key(root / name) for name in ("key", "other"))
        public = self.key.with_suffix(".pub").read_text().split()
        self.signers = f'ann@example.org namespaces="git" {public[0]} {public[1]}'
        self.sign("signed", self.key)
        self.sign("foreign", self.other)
        self.second = self.commit("two")
        self.sign("sky@v1.0.0", self.key)
        self.git("tag", "--annotate", "sky#prod#1", "--message", "assigned")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        command = ["git", "-C", str(self.path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def sign(self, tag: str, key: Path) -> None:
        self.git("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "tag", "--sign", tag, "--message", tag)

    def check(self, revision: str, commit: str, policy: RevisionPolicy) -> None:
        check_policy(policy, str(self.path), revision=revision, commit=commit, where="the registry")

    @staticmethod
    def _make_key(path: Path) -> Path:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return Signed(tmp_path_factory.mktemp("signed"))


def test_any_revision_is_allowed_by_default(signed: Signed) -> None:
    signed.check("main", signed.second, RevisionPolicy())


@pytest.mark.parametrize("revision", ["plain", "annotated", "signed"])
def test_tags_are_allowed(signed: Signed, revision: str) -> None:
    signed.check(revision, signed.first, RevisionPolicy("tags"))


@pytest.mark.parametrize("revision", ["sky", "sky@latest", "sky@v1.0.0", "sky#prod", "sky#prod#1"])
def test_versions_and_stages_are_tags(signed: Signed, revision: str) -> None:
    signed.check(revision, signed.second, RevisionPolicy("tags"))


def test_branches_and_commits_are_refused_where_tags_are_asked_for(signed: Signed) -> None:
    for revision in ("main", signed.first, signed.first[:10]):
        with pytest.raises(RevisionRefusedError, match=r"=tags does not allow .* not a tag.* at that commit are anno"):
            signed.check(revision, signed.first, RevisionPolicy("tags"))
    # The tag has moved since the revision was resolved.
    with pytest.raises(RevisionRefusedError, match="does not allow 'plain'"):
        signed.check("plain", signed.second, RevisionPolicy("tags"))


def test_a_signed_tag_is_allowed(signed: Signed, tmp_path: Path) -> None:
    file = tmp_path / "signers"
    file.write_text(f"# keys\n{signed.signers}\n")
    for signers in (signed.signers, str(file)):
        signed.check("signed", signed.first, RevisionPolicy("signed", signers))
    signed.check(signed.first, signed.first, RevisionPolicy("signed", signed.signers))
    signed.check("sky@v1.0.0", signed.second, RevisionPolicy("signed", signed.signers))
    signed.check("sky", signed.second, RevisionPolicy("signed", signed.signers))


@pytest.mark.parametrize(
    ("revision", "found"),
    [
        ("plain", "the tag plain is not signed"),
        ("annotated", "the tag annotated is not signed"),
        ("foreign", r"the tag foreign has no valid signature by a known key"),
        ("main", r"it is not a tag.*`git tag --sign`"),
    ],
)
def test_other_tags_are_refused(signed: Signed, revision: str, found: str) -> None:
    with pytest.raises(RevisionRefusedError, match=found):
        signed.check(revision, signed.first, RevisionPolicy("signed", signed.signers))


def test_the_tag_of_the_stage_must_be_signed_itself(signed: Signed) -> None:
    with pytest.raises(RevisionRefusedError, match="the tag sky#prod#1 is not signed"):
        signed.check("sky#prod", signed.second, RevisionPolicy("signed", signed.signers))


def test_a_signed_tag_under_another_name_is_refused(signed: Signed) -> None:
    signed.git("update-ref", "refs/tags/renamed", signed.git("rev-parse", "refs/tags/signed"))
    with pytest.raises(RevisionRefusedError, match="renamed was signed under another name"):
        signed.check("renamed", signed.first, RevisionPolicy("signed", signed.signers))


def test_the_configuration_of_the_registry_does_not_verify(signed: Signed, tmp_path: Path) -> None:
    yes = tmp_path / "yes"
    yes.write_text('#!/bin/sh\necho Good \\"git\\" signature for ann with ED25519 key SHA256:x\nexit 0\n')
    yes.chmod(0o755)
    signed.git("config", "gpg.ssh.program", str(yes))
    signed.git("config", "gpg.ssh.allowedSignersFile", str(signed.other.with_suffix(".pub")))
    with pytest.raises(RevisionRefusedError, match="the tag foreign has no valid signature"):
        signed.check("foreign", signed.first, RevisionPolicy("signed", signed.signers))


def test_a_file_of_keys_that_is_missing_is_named(signed: Signed) -> None:
    with pytest.raises(RegistryError, match=r"CLOUDSEG_MODEL_SIGNERS=/nowhere/keys cannot be read"):
        signed.check("signed", signed.first, RevisionPolicy("signed", "/nowhere/keys"))


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_openpgp_signatures_are_verified(signed: Signed, tmp_path: Path) -> None:
    # A socket of the agent has a path of at most 107 bytes.
    home = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    try:
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        subprocess.run([*gpg, "--quick-generate-key", "t@example.org", "ed25519"], check=True, capture_output=True)
        wrapper = tmp_path / "gpg"
        wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir "{home}" "$@"\n')
        wrapper.chmod(0o755)
        signed.git(
            "-c", f"gpg.program={wrapper}", "tag", "--local-user=t@example.org", "pgp", "--message", "pgp", signed.first
        )
        keys = tmp_path / "keys.asc"
        keys.write_bytes(subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        # The agent may still be removing its sockets.
        shutil.rmtree(home, ignore_errors=True)
    signed.check("pgp", signed.first, RevisionPolicy("signed", str(keys)))
    with pytest.raises(RevisionRefusedError, match="the tag pgp has no valid signature"):
        signed.check("pgp", signed.first, RevisionPolicy("signed", signed.signers))
    with pytest.raises(RevisionRefusedError, match="the tag signed has no valid signature"):
        signed.check("signed", signed.first, RevisionPolicy("signed", str(keys)))


def test_pull_model_refuses_a_branch(store: Store, layout: RunLayout, registry: Registry) -> None:
    with pytest.raises(RevisionRefusedError, match=r"does not allow 'main'"):
        _pull(store, layout, registry, "main", RevisionPolicy("tags"))
    assert store.stat(layout.model) is None
    model = _pull(store, layout, registry, "v2", RevisionPolicy("tags"))
    assert model.admitted == "tags"


def test_a_run_that_is_cleared_is_checked_under_a_stricter_policy(
    store: Store, layout: RunLayout, own_registry: Registry
) -> None:
    before = _pull(store, layout, own_registry, "v2", RevisionPolicy("tags"))
    own_registry.commit("three")
    own_registry.git("tag", "--force", "v2")
    # The run keeps its model, even if the tag has moved.
    assert _pull(store, layout, own_registry, "v2", RevisionPolicy("tags")).commit == before.commit
    with pytest.raises(RevisionRefusedError, match="does not allow 'v2'"):
        _pull(store, layout, own_registry, "v2", RevisionPolicy("signed", "ann ssh-ed25519 AAAA"))


def _pull(store: Store, layout: RunLayout, registry: Registry, revision: str, policy: RevisionPolicy) -> ModelRef:
    return pull_model(store, layout, repository=str(registry.path), revision=revision, path="model.pt", policy=policy)
