"""Numbers, durations and times formatted for people."""

from __future__ import annotations

from datetime import UTC, datetime

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


def readable_bytes(number: int) -> str:
    """Format a number of bytes in decimal units with three digits: `1.25 GB`."""
    value = float(number)
    for unit in _BYTES:
        if value < 999.5 or unit == _BYTES[-1]:
            break
        value /= 1000
    return f"{number} B" if unit == "B" else f"{three_digits(value)} {unit}"


def three_digits(value: float) -> str:
    """Format a non-negative number with about three digits: `0.05`, `3.14`, `27.2`, `1,250`."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def readable_seconds(seconds: float) -> str:
    """Format a duration: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def readable_percent(fraction: float) -> str:
    """Format a share, 0–1, in percent; only exactly 0 and 1 become `0 %` and `100 %`."""
    if 0 < fraction < 0.005:
        return "< 1 %"
    if 0.995 <= fraction < 1:
        return "> 99 %"
    return f"{fraction * 100:.0f} %"


def readable_time(text: str) -> str:
    """Format an ISO 8601 time to the minute in UTC (`26 August 2026, 03:00 UTC`); return other text unchanged."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
