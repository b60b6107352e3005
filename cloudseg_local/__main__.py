"""The command line behind the Makefile's local targets: `python -m cloudseg_local`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from cloudseg_local.audits import audit_local_run, local_layout, newest_run
from cloudseg_local.cluster_image import DEFAULT_IMAGE
from cloudseg_local.demo import DemoOptions, run_demo
from cloudseg_local.emulator import local_store
from cloudseg_local.pod_runtime import DEFAULT_NAMESPACE, delete_pods
from cloudseg_local.processes import end_processes, leftovers
from cloudseg_local.state import REPOSITORY, LocalState
from cloudseg_local.watch import print_line
from cloudseg_ops.cli.commands import print_audit
from cloudseg_ops.cli.progress import show_run
from cloudseg_ops.contracts.errors import CloudsegError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as one message, without a traceback."""
    options = _parser().parse_args(arguments)
    state = LocalState(options.state.resolve(), options.ui_port, options.gcs_port)
    for number in _STOPPING:
        signal.signal(number, _stop)
    try:
        if options.command == "down":
            return _down(state)
        if options.command in {"audit", "progress"}:
            return _inspect(options)
        return run_demo(
            state,
            DemoOptions(
                options.images,
                options.count,
                options.revision,
                keep_running=options.command == "up",
                runtime=options.runtime,
                image=options.image,
                namespace=options.namespace,
            ),
        )
    except CloudsegError as error:
        print(f"cloudseg: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cloudseg: {error.strerror}: {error.filename}; check free space and permissions", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print_line("• stopped. Inputs without a proof are still in the input bucket: the next run picks them up")
        return 130


def _stop(*_: object) -> None:
    # Cleaning up takes seconds; a second Ctrl-C must not interrupt it.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _inspect(options: argparse.Namespace) -> int:
    with local_store(options.state) as store:
        run_id = options.run or newest_run(store)
        if options.command == "audit":
            return print_audit(run_id, audit_local_run(store, run_id), as_json=options.json)
        return show_run(store, local_layout(run_id), watch=options.watch, as_json=options.json, at_once=None)


def _down(state: LocalState) -> int:
    with state.locked():
        found = leftovers(state.root)
        end_processes(found)
        delete_pods(state, lambda text: print_line(f"• {text}"))
        state.up_file.unlink(missing_ok=True)
    print_line(f"• stopped {len(found)} processes" if found else "• nothing was running")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudseg_local", description=__doc__)
    parser.add_argument("command", choices=("demo", "up", "down", "audit", "progress"))
    parser.add_argument(
        "--state", type=Path, default=REPOSITORY / ".cloudseg", help="state folder (default: %(default)s)"
    )
    parser.add_argument("--ui-port", type=int, default=os.environ.get("UI_PORT") or "8080")
    parser.add_argument("--gcs-port", type=int, default=os.environ.get("GCS_PORT") or "4443")
    parser.add_argument("--images", type=Path, help="folder of photographs (default: generated scenes)")
    parser.add_argument("--count", type=_positive, help="maximum number of photographs")
    parser.add_argument("--revision", help="model revision (default: the pinned one)")
    parser.add_argument(
        "--runtime", choices=("local", "kubernetes"), default="local", help="where chunks run (default: %(default)s)"
    )
    parser.add_argument("--image", default=DEFAULT_IMAGE, help="engine image, for kubernetes")
    parser.add_argument("--namespace", default=DEFAULT_NAMESPACE, help="Kubernetes namespace of the pods")
    parser.add_argument("--run", metavar="RUN_ID", help="run for audit and progress (default: the newest)")
    parser.add_argument("--watch", action="store_true", help="progress: refresh every five seconds until the run ends")
    parser.add_argument("--json", action="store_true", help="audit and progress: print JSON")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
