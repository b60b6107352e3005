"""`cloudseg resolve` and `cloudseg registry init`, on real repositories."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudseg_ops.cli.commands import main

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def git_identity() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "t")
            patch.setenv(f"GIT_{role}_EMAIL", "t@example.org")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, git_identity: None) -> Path:
    """A folder with `registry`, made by the command, and its DVC remote `store`."""
    root = tmp_path_factory.mktemp("made")
    assert _init(root) == 0
    return root


def _init(root: Path, *options: str) -> int:
    return main(["registry", "init", str(root / "registry"), "--remote", str(root / "store"), *options])


def _resolve(capsys: Output, *arguments: str) -> dict[str, object]:
    assert main(["resolve", *arguments, "--json"]) == 0
    model: dict[str, object] = json.loads(capsys.readouterr().out)
    return model


def test_init_can_be_repeated_and_prints_commands_that_work(tmp_path: Path, capsys: Output) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin")], check=True)
    assert _init(tmp_path, "--origin", str(tmp_path / "origin")) == 0
    first = capsys.readouterr()
    assert "version clouds@v1.0.0" in first.err
    assert _init(tmp_path, "--origin", str(tmp_path / "origin")) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert [line.strip() for line in second.err.splitlines()] == [
        f"weights are in the remote 'models' ({tmp_path / 'store'})"
    ]
    for line in first.out.splitlines():
        if line.startswith("  git "):
            subprocess.run(shlex.split(line), check=True, capture_output=True)
    variables = dict(line.strip().split("=", 1) for line in first.out.splitlines() if "CLOUDSEG_" in line)
    model = _resolve(
        capsys, variables["CLOUDSEG_MODEL_REVISION"], "--repository", variables["CLOUDSEG_MODEL_REPOSITORY"]
    )
    assert f"commit {model['commit']}, weights md5 {model['md5']}" in first.out


def test_resolve_says_what_dvc_says_and_where_it_came_from(made: Path, capsys: Output) -> None:
    from dvc.api import artifacts_show, get_url

    registry = str(made / "registry")
    for asked, arguments in {
        "clouds": {},
        "clouds#prod": {"stage": "prod"},
        "clouds@v1.0.0": {"version": "v1.0.0"},
    }.items():
        model = _resolve(capsys, asked, "--repository", registry)
        assert {"rev": model["commit"], "path": model["path"]} == artifacts_show("clouds", repo=registry, **arguments)
    url = get_url(str(model["path"]), repo=registry, rev=str(model["commit"]))
    assert "".join(Path(url).parts[-2:]) == model["md5"]
    assert model["size"] == (made / "registry" / "model.pt").stat().st_size
    assert model["path_origin"] == "the artifact 'clouds' in dvc.yaml"
    origins = model["origins"]
    assert isinstance(origins, dict)
    assert origins["architecture"].startswith(f"params.yaml of {registry} at clouds@v1.0.0")
    assert origins["size_multiple"] == "the default"


def test_resolve_prints_a_table(made: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSEG_MODEL_REPOSITORY", str(made / "registry"))
    monkeypatch.setenv("CLOUDSEG_MODEL_PATH", "weights/other.pt")
    assert main(["resolve", "main"]) == 2
    assert "has no 'weights/other.pt'; DVC tracks there: ['model.pt']" in capsys.readouterr().err
    assert main(["resolve", "main", "--path", "model.pt"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["path"].endswith("CLOUDSEG_MODEL_PATH")
    assert "params.yaml of " in rows["architecture"]


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("MODEL_REMOTE=elsewhere", "'elsewhere'"),
        ("MODEL_REVISIONS=signed", "needs CLOUDSEG_MODEL_SIGNERS"),
        ("MODEL_REMOTE_OPTIONS=profile", "'profile' is not name=value"),
        ("MODEL_PARAMS=params.yaml:net", "no `net` section, only ['model']"),
    ],
)
def test_resolve_ends_with_the_error_of_a_run(
    made: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(*f"CLOUDSEG_{variable}".split("="))
    # As a URL, so that the cache of the folder does not have the weights.
    assert main(["resolve", "clouds", "--repository", (made / "registry").as_uri()]) == 2
    assert told in capsys.readouterr().err


def test_init_refuses_what_it_did_not_make(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "params.yaml").write_text("train: {}\n")
    assert _init(tmp_path) == 2
    assert "has params.yaml already, but not the artifact 'clouds'" in capsys.readouterr().err
    assert not (tmp_path / "registry" / ".git").exists()


def test_init_names_the_package_of_the_remote(tmp_path: Path, capsys: Output) -> None:
    assert main(["registry", "init", str(tmp_path / "registry"), "--remote", "s3://bucket/models"]) == 2
    assert "`pip install 'dvc[s3]'`" in capsys.readouterr().err


def test_init_needs_a_whole_model(tmp_path: Path, capsys: Output) -> None:
    assert _init(tmp_path, "--weights", "mine.pt") == 2
    assert "--weights FILE --params FILE" in capsys.readouterr().err
    assert _init(tmp_path, "--weights", "mine.pt", "--params", "mine.yaml") == 2
    assert "there is no file mine.pt" in capsys.readouterr().err
