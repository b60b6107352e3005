"""The command line that docker-compose.yaml calls in its containers: `python -m cloudseg_local.compose`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cloudseg_local.compose.health import SERVICES, why_unhealthy
from cloudseg_ops.contracts.errors import CloudsegError

VOLUMES = Path("/var/lib/cloudseg")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as one message, without a traceback."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "healthy":
            return _healthy(options.service)
        if options.command == "keys":
            return _keys(options.volumes)
        if options.command == "cluster":
            return _cluster(options)
        return _prepare(options)
    except CloudsegError as error:
        print(f"cloudseg: {error}", file=sys.stderr)
        return 1


def _report(text: str) -> None:
    print(f"• {text}", flush=True)


def _healthy(service: str) -> int:
    problem = why_unhealthy(service)
    print(problem or "healthy")
    return 1 if problem else 0


# The functions below import lazily, because health checks run every few seconds.
def _keys(volumes: Path) -> int:
    from cloudseg_local.compose.keys import make_keys

    written = make_keys(volumes / "database", volumes / "keys", volumes / "login")
    _report(f"{len(written)} secrets created" if written else "keeping the secrets of an earlier start")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from cloudseg_local.compose.prepare import prepare_database, prepare_registry, prepare_storage
    from cloudseg_ops.config.settings import Settings

    settings = Settings.from_environment()
    prepare_storage(os.environ["STORAGE_EMULATOR_HOST"], options.photographs, _report)
    prepare_registry(options.volumes / "models", _report)
    prepare_database(settings.pool, options.slots, _report)
    _report(f"ready. Airflow will be at {options.ui_url} (user admin); to show its password:")
    print(f"  docker compose exec api-server cat {VOLUMES / 'login' / 'password'}", flush=True)
    return 0


def _cluster(options: argparse.Namespace) -> int:
    from cloudseg_local.compose.cluster import prepare_cluster
    from cloudseg_ops.config.settings import Settings

    pods = Settings.from_environment().pods
    kubeconfig = Path(os.environ["KUBECONFIG"])
    prepare_cluster(options.admin, kubeconfig, pods.namespace, str(pods.image), report=_report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudseg_local.compose", description=__doc__)
    parser.add_argument("--volumes", type=Path, default=VOLUMES, help="folder of the volumes (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keys", help="create missing secrets")
    prepare = commands.add_parser("prepare", help="create database, pool, buckets, registry and photographs")
    prepare.add_argument("--slots", type=int, required=True, help="number of concurrent chunks")
    prepare.add_argument("--photographs", type=int, required=True, help="number of generated scenes; 0 for none")
    prepare.add_argument("--ui-url", required=True, help="address of Airflow's UI in a browser")
    healthy = commands.add_parser("healthy", help="exit with 0 if a service is healthy")
    healthy.add_argument("service", choices=SERVICES)
    cluster = commands.add_parser("cluster", help="prepare the cluster of the k8s profile")
    cluster.add_argument("--admin", type=Path, required=True, help="the kubeconfig that k3s wrote")
    return parser


if __name__ == "__main__":
    sys.exit(main())
