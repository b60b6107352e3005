"""A stand-in for gcloud, docker and make, depending on its name: records calls, and keeps a cloud in a folder.

CLOUD/calls.jsonl     the calls, one JSON list per line
CLOUD/composer.json   the Composer environment, as `describe` gives it
CLOUD/images.json     images in Artifact Registry: name with tag → digest
CLOUD/unusual.json    [{"kind": "busy" or "odd" (incomplete), "after": a word of a call, "looks": how many}]
CLOUD/faults.json     [{"match": regular expression on the call, "error": …, "skip": calls to let pass, "done": …}]
CLOUD/gs/BUCKET/…     objects; CLOUD/generations.json: generations that were queried
"""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

CLOUD = Path(os.environ.get("CLOUD", "."))


def end(message: str = "", code: int = 0) -> NoReturn:
    if code:
        print(message, file=sys.stderr)
    elif message:
        print(message)
    sys.exit(code)


def load(name: str, default: Any) -> Any:
    file = CLOUD / name
    return json.loads(file.read_text()) if file.exists() else default


def save(name: str, value: Any) -> None:
    (CLOUD / name).write_text(json.dumps(value))


def note(words: list[str]) -> None:
    with (CLOUD / "calls.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n")
    faults = load("faults.json", [])
    for fault in faults:
        if fault["done"] or not re.search(fault["match"], " ".join(words)):
            continue
        fault["done"] = not fault["skip"]
        fault["skip"] -= 1
        save("faults.json", faults)
        if fault["done"]:
            end(fault["error"], 1)


def place(uri: str) -> Path:
    return CLOUD / "gs" / uri.removeprefix("gs://").partition("#")[0] if uri.startswith("gs://") else Path(uri)


def flag(words: list[str], name: str) -> str | None:
    return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), None)


def pairs(text: str) -> dict[str, str]:
    """Parse a mapping as gcloud does: separated by commas, or by the delimiter between two carets at its beginning."""
    delimiter = ","
    if text.startswith("^"):
        _, delimiter, text = text.split("^", 2)
    return dict(pair.split("=", 1) for pair in text.split(delimiter))


def unusual() -> None:
    """Change the answer to a query after the call that the file names."""
    calls = (CLOUD / "calls.jsonl").read_text()
    asked = load("unusual.json", [])
    for each in asked:
        if each["looks"] and each["after"] in calls:
            each["looks"] -= 1
            save("unusual.json", asked)
            end(json.dumps({"state": "UPDATING" if each["kind"] == "busy" else "RUNNING"}))


def composer(words: list[str]) -> None:
    environment = load("composer.json", None)
    if words[0] == "describe":
        unusual()
        end(json.dumps(environment)) if environment else end("ERROR: (gcloud) NOT_FOUND: Environment not found", 1)
    software = environment["config"]["softwareConfig"]
    if words[0] == "update":
        kinds = {"pypi" if "pypi" in word else "env" for word in words if word.startswith(("--update-", "--remove-"))}
        if len(kinds) != 1:
            end("ERROR: (gcloud.composer.environments.update) exactly one update type", 2)
        for word in words:
            if word.startswith("--update-pypi-package="):
                name = re.split(r"[\[=]", package := word.partition("=")[2])[0]
                software["pypiPackages"][name] = package.removeprefix(name)
        for key, option in (("pypiPackages", "--remove-pypi-packages"), ("envVariables", "--remove-env-variables")):
            for name in (flag(words, option) or "").split(","):
                software[key].pop(name, None)
        if given := flag(words, "--update-env-variables"):
            software["envVariables"].update(pairs(given))
        save("composer.json", environment)
    end()


def generations(file: Path, written: bool = False) -> int:
    known = load("generations.json", {})
    if written:
        known[str(file)] = known.get(str(file), 0) + 1
        save("generations.json", known)
    return known.get(str(file), 1) if file.exists() else 0


def copy(words: list[str]) -> None:
    source, destination = (place(word) for word in words if not word.startswith("--"))
    wanted = flag(words, "--if-generation-match")
    if wanted is not None and int(wanted) != generations(destination):
        end("ERROR: HTTPError 412: At least one of the pre-conditions you specified did not hold.", 1)
    if not source.is_file():
        end("ERROR: (gcloud.storage.cp) The following URLs matched no objects or files", 1)
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    generations(destination, written=True)
    end()


def rsync(words: list[str]) -> None:
    source, destination = (place(word) for word in words if not word.startswith("--"))
    if not source.is_dir():
        end("ERROR: (gcloud.storage.rsync) Did not find existing container at: source", 1)
    if "--delete-unmatched-destination-objects" in words:
        shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(source, destination, dirs_exist_ok=True)
    end()


def storage(words: list[str]) -> None:
    command, *rest = words
    if command in {"cp", "rsync"}:
        (copy if command == "cp" else rsync)(rest)
    file = place(next(word for word in rest if word.startswith("gs://")))
    if not file.exists():
        end(f"ERROR: (gcloud.storage.{command}) The following URLs matched no objects or files: {file}", 1)
    if command == "cat":
        end(file.read_text())
    if command == "ls":
        end(str(file))
    if command == "objects":
        end(str(generations(file)))
    if command == "rm":
        shutil.rmtree(file) if "--recursive" in rest else file.unlink()
        end()
    end(f"ERROR: gcloud storage {command} is not known here", 2)


def gcloud(words: list[str]) -> None:
    if words[0] == "beta" and words[3] == "restart-web-server":
        end()
    if words[:2] == ["composer", "environments"]:
        composer(words[2:])
    if words[0] == "storage":
        storage(words[1:])
    if words[:2] == ["auth", "print-access-token"]:
        end("a-token")
    if words[:2] == ["auth", "configure-docker"]:
        end()
    if words[:4] == ["artifacts", "docker", "images", "describe"]:
        digest = load("images.json", {}).get(words[4])
        end(digest) if digest else end("ERROR: (gcloud.artifacts.docker.images.describe) Image not found.", 1)
    end(f"ERROR: gcloud {words[0]} is not known here", 2)


def docker(words: list[str]) -> None:
    if words[0] == "push":
        images = load("images.json", {})
        images[words[-1]] = "sha256:" + hashlib.sha256(words[-1].encode()).hexdigest()
        save("images.json", images)
    end()


if __name__ == "__main__":
    program = Path(sys.argv[0]).name
    note([program, *sys.argv[1:]])
    if program in {"gcloud", "docker"}:
        (gcloud if program == "gcloud" else docker)(sys.argv[1:])
