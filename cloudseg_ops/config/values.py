"""Types of single settings, and how their values are read from the text of a variable."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator

from cloudseg_ops.config.extensions import check_name
from cloudseg_ops.config.receivers import Receiver
from cloudseg_ops.config.results_formats import RESULTS_FORMATS
from cloudseg_ops.config.runtimes import RUNTIMES
from cloudseg_ops.contracts.errors import InvalidRevisionError
from cloudseg_ops.contracts.objects import prefix_problem
from cloudseg_ops.contracts.revisions import parse_address

# cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def check_bucket(text: str) -> str:
    """Return the name of a bucket.

    Raises:
        ValueError: Cloud Storage does not allow the name.
    """
    if not _BUCKET.fullmatch(text):
        raise ValueError("a bucket's name has 3 or more lower-case letters, digits, '-', '_' or '.', without gs://")
    return text


def check_default_revision(text: str) -> str:
    """Return the address of a model in the registry.

    Raises:
        ValueError: It is not a valid address.
    """
    try:
        return parse_address(text).text
    except InvalidRevisionError as error:
        raise ValueError(str(error)) from None


def check_prefix(text: str) -> str:
    """Return the prefix of object names.

    Raises:
        ValueError: It is too long, contains a line break, or names a bucket.
    """
    if problem := prefix_problem(text):
        raise ValueError(problem)
    return text


def parse_list(value: Any) -> Any:
    """Split a comma-separated text; other values are returned unchanged."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def read_extensions(value: Any) -> Any:
    """Split comma-separated file extensions, in lower case and without their dots."""
    return tuple(word.lower().removeprefix(".") for word in parse_list(value)) if isinstance(value, str) else value


def read_arguments(value: Any) -> Any:
    """Split command-line options in shell syntax."""
    return tuple(shlex.split(value)) if isinstance(value, str) else value


def read_receiver(value: Any) -> Any:
    """Parse the receiver of failure notifications."""
    return Receiver.parse(value) if isinstance(value, str) else value


Bucket = Annotated[str, AfterValidator(check_bucket)]
RuntimeName = Annotated[str, AfterValidator(lambda name: check_name(name, RUNTIMES))]
FormatName = Annotated[str, AfterValidator(lambda name: check_name(name, RESULTS_FORMATS))]
