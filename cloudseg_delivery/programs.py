"""Runs gcloud, docker and git; in a dry run, only those commands that change nothing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cloudseg_ops.contracts.errors import CommandFailedError, ConcurrentDeliveryError, MissingPermissionError

_REFUSED = re.compile(r"PERMISSION_DENIED|\b403\b|does not have (?:permission|\S+ access)|[Pp]ermission \S+ denied")
_NOT_FOUND = re.compile(r"NOT_FOUND|\b404\b|[Nn]ot found|matched no objects")
_OVERTAKEN = re.compile(r"\b412\b|pre-?conditions? (?:you specified )?(?:failed|did not hold)", re.IGNORECASE)
_SHOWN_LINES = 5
_KEPT_LINES = 200


class _MissingError(CommandFailedError):
    """The resource that a program was asked for does not exist."""


class Programs:
    """Runs programs in the repository.

    Args:
        root: Working directory of the programs.
        report: Receives a line about each change.
        dry_run: Report changes without making them.
    """

    def __init__(self, root: Path, report: Callable[[str], None], *, dry_run: bool = False) -> None:
        self.root = root
        self.report = report
        self.dry_run = dry_run

    def query(self, *command: str) -> str:
        """Run a read-only program, and return its output.

        Raises:
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed.
        """
        return self._call(command, {}).strip()

    def query_optional(self, *command: str) -> str | None:
        """Run a read-only program, and return its output; None if the resource does not exist.

        Raises:
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed for another reason.
        """
        try:
            return self.query(*command)
        except _MissingError:
            return None

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        display: Sequence[str] = (),
        stream: bool = False,
    ) -> None:
        """Run a program that changes something; in a dry run, only report it.

        Args:
            command: The program and its arguments.
            environment: Environment variables to add to this process's.
            display: What to print instead of the arguments, if these contain confidential values.
            stream: Print the program's output line by line, for programs that take minutes.

        Raises:
            ConcurrentDeliveryError: The object to change has been changed by another delivery.
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed.
        """
        more = environment or {}
        shown = shlex.join([*(f"{key}={value}" for key, value in more.items()), *(display or command)])
        if self.dry_run:
            self.report(f"  would run: {shown}")
            return
        self.report(f"  {shown}")
        if stream:
            self._call_streaming(command, more)
        else:
            self._call(command, more)

    def _call(self, command: tuple[str, ...], more: Mapping[str, str]) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=_environment(more),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise _missing_program(command, error) from None
        if done.returncode:
            raise _failure(command, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def _call_streaming(self, command: tuple[str, ...], more: Mapping[str, str]) -> None:
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            with subprocess.Popen(
                command,
                cwd=self.root,
                env=_environment(more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                for line in process.stdout or ():
                    last.append(line)
                    self.report(f"    {line.rstrip()}")
        except OSError as error:
            raise _missing_program(command, error) from None
        if process.returncode:
            raise _failure(command, process.returncode, "".join(last))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", **more}


def _missing_program(command: tuple[str, ...], error: OSError) -> CommandFailedError:
    return CommandFailedError(f"`{command[0]}` cannot be run ({error.strerror}); install it, or put it on the PATH")


def _failure(command: tuple[str, ...], code: int, output: str) -> CommandFailedError | ConcurrentDeliveryError:
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    # gcloud prints the error on a line that starts with ERROR, and details below it.
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR")] or [-_SHOWN_LINES]
    shown = " | ".join(lines[starts[-1] :][:_SHOWN_LINES])
    message = f"`{shlex.join(command[:5])}…` ended with exit code {code}: {shown or 'no output'}"
    if _REFUSED.search(shown):
        return MissingPermissionError(
            f"{message}. The deployer lacks a permission: docs/delivery.md lists what each step needs"
        )
    if _OVERTAKEN.search(shown):
        return ConcurrentDeliveryError(
            f"{message}. Another delivery to this environment is in progress: wait for it to end, then deliver again"
        )
    return (_MissingError if _NOT_FOUND.search(shown) else CommandFailedError)(message)
