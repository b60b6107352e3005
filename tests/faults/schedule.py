"""Decides which request gets which fault, from a seed: the same requests in the same order get the same faults."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from urllib.parse import parse_qs, urlsplit

STATUSES = (408, 429, 500, 502, 503, 504)
ALWAYS = (
    *(f"status {status}" for status in STATUSES),
    "reset before",
    "reset after",
    "half body",
    "short body",
    "stall",
    "trickle",
    "duplicate",
    "late ghost",
    "empty 200",
)
"""Faults of any request."""
OF_MEDIA = ("wrong byte", "gzip lie")
OF_LISTINGS = ("tiny page", "empty page")
KINDS = (*ALWAYS, *OF_MEDIA, *OF_LISTINGS)


def is_media(method: str, target: str) -> bool:
    """Return whether a request downloads the content of an object."""
    return method == "GET" and "media" in parse_qs(urlsplit(target).query).get("alt", [])


def is_listing(method: str, target: str) -> bool:
    """Return whether a request lists the objects of a bucket."""
    return method == "GET" and urlsplit(target).path.endswith("/o")


class Schedule:
    """Faults by seed and rate; safe to share between threads.

    Args:
        seed: Number that all decisions depend on.
        rate: Share of the requests that get a fault, 0–1.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self.rate = rate
        self._seed = seed
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.requests = 0

    def decide(self, method: str, target: str) -> str | None:
        """Return the kind of fault for a request, and count it; None: it passes.

        The decision depends on the request and on how often it was sent, not on time or on other requests.
        """
        key = f"{method} {target}"
        with self._lock:
            attempt = self._seen[key]
            self._seen[key] += 1
            self.requests += 1
            draw = random.Random(hashlib.sha256(f"{self._seed} {attempt} {key}".encode()).digest())
            if draw.random() >= self.rate:
                return None
            kinds = list(ALWAYS)
            kinds += OF_MEDIA * 3 if is_media(method, target) else ()
            kinds += OF_LISTINGS * 3 if is_listing(method, target) else ()
            kind = draw.choice(kinds)
            self.injected[kind] += 1
            return kind
