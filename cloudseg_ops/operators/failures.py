"""How a failed task describes its error: in XComs, notifications and the last lines of its log."""

from __future__ import annotations

from dataclasses import dataclass

from cloudseg_ops.contracts import errors
from cloudseg_ops.operators.remedies import REMEDIES, Remedy

_LONGEST_MESSAGE = 2000
_UNKNOWN_ERROR = Remedy(
    True,
    "This is not one of cloudseg's own errors: the traceback above shows where it comes from. If it names "
    "cloudseg_ops, please report it as a bug, with this log.",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as XComs and notifications carry it.

    Attributes:
        error: Name of the error's class.
        message: What was found, and where.
        todo: What a person should do.
    """

    error: str
    message: str
    todo: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an error; a very long message is truncated."""
        return cls(type(error).__name__, str(error)[:_LONGEST_MESSAGE], remedy(error).todo)

    def to_json(self) -> dict[str, str]:
        """Return it as plain JSON."""
        return {"error": self.error, "message": self.message, "todo": self.todo}


def remedy(error: BaseException) -> Remedy:
    """Return the remedy for an error: the entry of its class, or of the nearest base class."""
    return next((REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES), _UNKNOWN_ERROR)


def origin(error: BaseException) -> BaseException:
    """Return the cloudseg error that led to another error; the error itself if there is none."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, errors.CloudsegError):
            return found
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return error


def failure_summary(error: BaseException, *, attempt: int, attempts: int, again: bool) -> list[str]:
    """Return the last lines of a failed task's log: whether it is retried, what happened, what to do.

    Args:
        error: What ended the task.
        attempt: Number of the try, from 1.
        attempts: Number of tries that the task has.
        again: Whether Airflow retries the task.

    Returns:
        Three lines, in this order.
    """
    error = origin(error)
    failure = Failure.of(error)
    if again:
        standing = f"Try {attempt} of {max(attempt, attempts)} failed; Airflow tries again."
    elif not remedy(error).retry and attempt < attempts:
        standing = f"Try {attempt} of {attempts} failed, and a retry cannot fix it, so there is none."
    else:
        standing = f"Try {attempt} of {max(attempt, attempts)} failed; it was the last one."
    return [standing, f"What happened: {failure.error}: {failure.message}", f"What to do: {failure.todo}"]
