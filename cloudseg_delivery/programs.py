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
_TOLD_LINES = 5
_KEPT_LINES = 200


class _MissingError(CommandFailedError):
    """The resource that a program was asked for does not exist."""


class Programs:
    """Runs programs in the repository.

    Args:
        root: Working directory of the programs.
        tell: Receives a line about each change.
        dry_run: Report changes without making them.
    """

    def __init__(self, root: Path, tell: Callable[[str], None], *, dry_run: bool = False) -> None:
        self.root = root
        self.tell = tell
        self.dry_run = dry_run

    def ask(self, *words: str) -> str:
        """Run a read-only program, and return its output.

        Raises:
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed.
        """
        return self._call(words, {}).strip()

    def ask_for(self, *words: str) -> str | None:
        """Run a read-only program, and return its output; None if the resource does not exist.

        Raises:
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed for another reason.
        """
        try:
            return self.ask(*words)
        except _MissingError:
            return None

    def do(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        told: Sequence[str] = (),
        aloud: bool = False,
    ) -> None:
        """Run a program that changes something; in a dry run, only report it.

        Args:
            words: The program and its arguments.
            environment: Environment variables to add to this process's.
            told: What to print instead of the arguments, if these contain confidential values.
            aloud: Print the program's output line by line, for programs that take minutes.

        Raises:
            ConcurrentDeliveryError: The object to change has been changed by another delivery.
            MissingPermissionError: A permission is missing.
            CommandFailedError: The program failed.
        """
        more = environment or {}
        shown = shlex.join([*(f"{key}={value}" for key, value in more.items()), *(told or words)])
        if self.dry_run:
            self.tell(f"  would run: {shown}")
            return
        self.tell(f"  {shown}")
        if aloud:
            self._call_aloud(words, more)
        else:
            self._call(words, more)

    def _call(self, words: tuple[str, ...], more: Mapping[str, str]) -> str:
        try:
            done = subprocess.run(
                words,
                cwd=self.root,
                env=_environment(more),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise _missing_program(words, error) from None
        if done.returncode:
            raise _failure(words, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def _call_aloud(self, words: tuple[str, ...], more: Mapping[str, str]) -> None:
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            with subprocess.Popen(
                words,
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
                    self.tell(f"    {line.rstrip()}")
        except OSError as error:
            raise _missing_program(words, error) from None
        if process.returncode:
            raise _failure(words, process.returncode, "".join(last))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", **more}


def _missing_program(words: tuple[str, ...], error: OSError) -> CommandFailedError:
    return CommandFailedError(f"`{words[0]}` cannot be run ({error.strerror}); install it, or put it on the PATH")


def _failure(words: tuple[str, ...], code: int, said: str) -> CommandFailedError | ConcurrentDeliveryError:
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    # gcloud prints the error on a line that starts with ERROR, and details below it.
    begins = [number for number, line in enumerate(lines) if line.startswith("ERROR")] or [-_TOLD_LINES]
    shown = " | ".join(lines[begins[-1] :][:_TOLD_LINES])
    told = f"`{shlex.join(words[:5])}…` ended with exit code {code}: {shown or 'no output'}"
    if _REFUSED.search(shown):
        return MissingPermissionError(
            f"{told}. The deployer lacks a permission: docs/delivery.md lists what each step needs"
        )
    if _OVERTAKEN.search(shown):
        return ConcurrentDeliveryError(
            f"{told}. Another delivery to this environment is in progress: wait for it to end, then deliver again"
        )
    return (_MissingError if _NOT_FOUND.search(shown) else CommandFailedError)(told)
