"""Receivers of notifications about failed runs, as `CLOUDSEG_ON_FAILURE` names them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from cloudseg_ops.contracts.imports import is_reference

_CONNECTION = re.compile(r"conn:([A-Za-z0-9_.-]+)")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver of notifications about failed runs.

    Attributes:
        kind: What `value` is.
        value: A webhook's address, the id of an Airflow connection that holds one, or `package.module:function`.
            Never shown, since a webhook's address is its password.
    """

    kind: Literal["webhook", "connection", "function"]
    value: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Receiver:
        """Parse a receiver.

        Raises:
            ValueError: The text does not name a receiver; the message does not repeat it.
        """
        if found := _CONNECTION.fullmatch(text):
            return cls("connection", found[1])
        if is_reference(text):
            return cls("function", text)
        return cls("webhook", checked_webhook(text))


def checked_webhook(address: str) -> str:
    """Return a webhook's address if it is valid: https, or http on this machine.

    Raises:
        ValueError: The address is invalid, or would cross a network in clear text; the message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)):
        raise ValueError(
            "give an https:// address, conn:ID with the id of an Airflow connection, or package.module:function"
        )
    return address
