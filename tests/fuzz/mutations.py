"""Derives inputs from seeds, always the same ones from the same number."""

import random
from collections.abc import Callable, Sequence

_NUMBERS = (0, 1, 2, 3, 5, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
_TOKENS = (
    b"null", b"true", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 400, b"9" * 5000, b'"\\ud800"', b"\xff\xfe", b"{}",
    b"[]", b"[" * 3000, b'{"a":' * 3000, b"\n", b"\0", b"2001-99-99", b"&a [*a, *a]", b"!!python/object:os.system",
    b"? [1]\n", b"\xd9\xa3", b"1_0", b" 7 ", b"-0.0",
)  # fmt: skip
_MOST_BYTES = 200_000

Change = Callable[[random.Random, bytearray, bytes], None]


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """The input of a number: a seed with up to eight changes."""
    chance = random.Random(number)
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        chance.choice(_CHANGES)(chance, data, chance.choice(seeds))
    return bytes(data[:_MOST_BYTES])


def _place(chance: random.Random, data: bytearray) -> int:
    # Headers are at the beginning, where most of the decisions are made.
    return chance.randrange(min(len(data), chance.choice((16, 64, 256, 10**6))) + 1)


def _flip(chance: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(chance, data)
    if at < len(data):
        data[at] ^= 1 << chance.randrange(8)


def _number(chance: random.Random, data: bytearray, _: bytes) -> None:
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(_NUMBERS) % (1 << 8 * size)
    at = _place(chance, data)
    data[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))


def _cut(chance: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(chance, data)
    del data[at : at + chance.choice((1, 2, 4, 16, 64, len(data)))]


def _repeat(chance: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(chance, data)
    data[at:at] = data[at : at + chance.randrange(1, 65)] * chance.choice((1, 2, 50))


def _insert(chance: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(chance, data)
    data[at:at] = chance.choice((chance.choice(_TOKENS), chance.randbytes(chance.randrange(1, 33))))


def _replace(chance: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(chance, data)
    data[at : at + chance.randrange(1, 9)] = chance.choice(_TOKENS)


def _join(chance: random.Random, data: bytearray, other: bytes) -> None:
    at = _place(chance, data)
    data[at:] = other[chance.randrange(len(other) + 1) :]


_CHANGES: tuple[Change, ...] = (_flip, _flip, _number, _number, _cut, _repeat, _insert, _replace, _join)
