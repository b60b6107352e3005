"""Amounts of memory and disk in Kubernetes notation."""

from __future__ import annotations

import re
from decimal import Decimal

# kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity
_SUFFIXES = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMGTPE]|[KMGTPE]i)?")
_SMALLEST_SIZE = "1Mi"


def check_size(text: str) -> str:
    """Validate an amount of memory or disk such as `12Gi`, and return it.

    Raises:
        ValueError: The text is not an amount, or is less than 1 MiB.
    """
    if not _SIZE.fullmatch(text):
        raise ValueError("memory and disk must be a number with a unit, such as 512Mi or 12Gi")
    if in_bytes(text) < in_bytes(_SMALLEST_SIZE):
        raise ValueError(f"that is less than {_SMALLEST_SIZE}: is its unit missing? Write it as 512Mi or 12Gi")
    return text


def in_bytes(text: str) -> int:
    """Return an amount that `check_size` accepts, in bytes."""
    number = text.rstrip("kKMGTPEi")
    return int(Decimal(number) * _SUFFIXES[text.removeprefix(number)])


def format_bytes(amount: float) -> str:
    """Format a number of bytes with three digits and a binary unit, such as `1.25 GiB`."""
    units = iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    # 1,000 KiB become 0.977 MiB, so that no number has four digits.
    while round(amount) >= 1000 and unit != "GiB":
        amount, unit = amount / 1024, next(units)
    return f"{amount:.0f} {unit}" if amount >= 1000 else f"{amount:.3g} {unit}"
