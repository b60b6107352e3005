"""The same, guided by the coverage of Pillow's and cloudseg's Python code. Needs atheris, which is not in the lock."""

import faulthandler
import logging
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "cloudseg_ops"]):
    from tests.fuzz.loop import HANG_SECONDS, check
    from tests.fuzz.targets import TARGETS


def main(name: str, seconds: float, folder: Path) -> None:
    """Run inputs of libFuzzer; seeds are the corpus."""
    logging.disable()
    faulthandler.dump_traceback_later(seconds + HANG_SECONDS, exit=True)
    target, current, count = TARGETS[name], folder / "input", folder / "count"
    # Kept between the slices of a target, so that later ones begin where earlier ones stopped.
    corpus = Path("build/fuzz/corpus") / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    ran, ends = 0, time.monotonic() + seconds

    def one(data: bytes) -> None:
        nonlocal ran
        ran += 1
        current.write_bytes(data)
        count.write_text(str(ran))
        check(target, data)
        if time.monotonic() > ends + 30:
            raise SystemExit

    options = [f"-max_total_time={max(1, round(seconds))}", "-max_len=65536", "-timeout=30", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[3]), Path(sys.argv[4]))
