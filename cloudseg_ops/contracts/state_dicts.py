"""Finds the state dict of a network in a checkpoint: below entries such as `ema`, and prefixes such as `module.`.

`pull_model` and the engine use the same functions, so that what one accepts the other loads.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloudseg_ops.contracts.architectures import Shapes, StateDictRule
from cloudseg_ops.contracts.tensor_info import COUNTERS, FLOATS, ForeignObject, TensorInfo, show_name

_DEPTH = 2
"""Entries of the checkpoint, and entries of these."""
_MAX_MAPPINGS = 200
_MAX_PREFIXES = 16
_MAX_NAME = 500
_MAX_PARTS = 16
"""Bounds for hostile files; further dictionaries, prefixes, and parts of names are not looked at."""
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts that torch.compile, FSDP and activation checkpointing add in the middle of names, too."""
_COUNTER = "num_batches_tracked"
"""Batch norms of checkpoints from before PyTorch 0.4.1 lack it, and PyTorch fills it in."""
_LAYER_DIMENSIONS = 3
"""A tensor of so many dimensions is the weight of a convolution: it belongs to a network, not to a loss or a metric."""


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors of a checkpoint that may be the state dict of a network.

    Attributes:
        entry: The keys by which the dictionary is found in the checkpoint; empty: the checkpoint itself.
        prefix: What each name begins with in that dictionary; empty, or it ends with a dot.
        tensors: The tensors, by their names without prefix and wrappers.
        foreign: Python objects among them that are not tensors, each as a phrase.
        outside: Tensors of the same dictionary that lack the prefix, by name.
        unwrapped: Whether wrappers were removed from within names.
    """

    entry: tuple[str, ...]
    prefix: str
    tensors: Mapping[str, TensorInfo]
    foreign: tuple[str, ...] = ()
    outside: Mapping[str, TensorInfo] = field(default_factory=dict)
    unwrapped: bool = False

    @property
    def shapes(self) -> Shapes:
        """The shapes of the tensors, by name."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def key(self) -> str:
        """What `weights_key` in params.yaml calls it: the entries and the prefix, joined by dots."""
        return ".".join([*self.entry, *filter(None, [self.prefix.removesuffix(".")])])

    @property
    def is_average(self) -> bool:
        """Whether entry or prefix say that the weights are an exponential moving average."""
        return "ema" in re.split(r"[^a-z]+", self.key.lower())

    def has_key(self, key: str) -> bool:
        """Return whether `weights_key` names this state dict, or an entry that it is in."""
        return f"{self.key}.".startswith(f"{key.removesuffix('.')}.")

    def __str__(self) -> str:
        """Return where it is, for messages."""
        where = f"the entry {show_name('.'.join(self.entry))!r}" if self.entry else "the whole checkpoint"
        removed = [f"the prefix {show_name(self.prefix)!r}"] if self.prefix else []
        removed += ["wrappers such as `_orig_mod`"] if self.unwrapped else []
        return f"{where}, with {' and '.join(removed)} removed from names" if removed else where


@dataclass(frozen=True, slots=True)
class Differences:
    """How a state dict differs from what a network needs: names of tensors, and clauses about them."""

    missing: Sequence[str]
    unexpected: Sequence[str]
    reshaped: Sequence[str]
    unsupported: Sequence[str]

    def __len__(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.reshaped) + len(self.unsupported)


def compare(expected: Shapes, found: StateDict) -> Differences:
    """Return how a state dict differs from the shapes of a network's tensors."""
    tensors = found.tensors
    return Differences(
        [name for name in expected if name not in tensors and not name.endswith(_COUNTER)],
        [name for name in tensors if name not in expected],
        [
            f"{name} is {tensors[name].shape} instead of {shape}"
            for name, shape in expected.items()
            # PyTorch also accepts a counter as a vector, as before 0.4.
            if name in tensors and tensors[name].shape != shape and (shape or tensors[name].shape != (1,))
        ],
        [
            f"{name} holds {tensors[name].storage.removesuffix('Storage')}"
            for name in expected
            if name in tensors and tensors[name].storage not in (COUNTERS if name.endswith(_COUNTER) else FLOATS)
        ],
    )


def guess_values(rule: StateDictRule, found: StateDict) -> tuple[dict[str, int], Shapes] | None:
    """Return what a state dict may have been made with, and the shapes that this gives; None: nothing is known.

    Args:
        rule: The rule of an architecture.
        found: The state dict.

    Returns:
        The in_channels, n_classes and arguments by name, and the shapes of the network's tensors.
    """
    try:
        values = rule.infer(found.shapes)
        arguments = {name: value for name, value in values.items() if name not in ("in_channels", "n_classes")}
        return values, rule.shapes(values["in_channels"], values["n_classes"], arguments)
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def infer_values(rule: StateDictRule, found: StateDict) -> dict[str, int] | None:
    """Return the in_channels, n_classes and arguments that a state dict was made with, by name; None: with none.

    Args:
        rule: The rule of an architecture.
        found: The state dict.
    """
    guess = guess_values(rule, found)
    return guess[0] if guess and not compare(guess[1], found) and not found.foreign else None


def find_candidates(content: object, names: Collection[str], key: str | None = None) -> list[StateDict]:
    """Return everything in a checkpoint that may be the state dict of a network.

    Args:
        content: What lies in the checkpoint.
        names: Names of the network's tensors.
        key: The `weights_key` of params.yaml; None: anywhere.
    """
    found = [
        candidate for entry, mapping in _mappings(content) for candidate in _candidates_in(entry, mapping, set(names))
    ]
    return [candidate for candidate in found if key is None or candidate.has_key(key)]


def choose(fits: Sequence[StateDict]) -> StateDict | None:
    """Return the state dict to use of those that fit; None if that cannot be decided.

    A moving average is preferred, as it is what was evaluated. State dicts that share their tensors are the same.
    """
    distinct = [fit for place, fit in enumerate(fits) if all(fit.tensors != other.tensors for other in fits[:place])]
    averages = [fit for fit in distinct if fit.is_average]
    found = distinct if len(distinct) == 1 else averages
    return found[0] if len(found) == 1 else None


def other_layers(chosen: StateDict, fits: Sequence[StateDict]) -> list[str]:
    """Return the tensors next to a state dict that seem to be further layers of the same network.

    Args:
        chosen: A state dict that fits.
        fits: All that fit: their tensors belong to other networks.
    """
    prefixes = tuple(fit.prefix for fit in fits if fit.entry == chosen.entry)
    return [
        name
        for name, tensor in chosen.outside.items()
        if len(tensor.shape) >= _LAYER_DIMENSIONS and not name.startswith(prefixes)
    ]


def _mappings(content: object) -> Iterator[tuple[tuple[str, ...], Mapping[object, object]]]:
    """Yield the dictionaries that have tensors, from the outside to the inside."""
    queue: deque[tuple[tuple[str, ...], object]] = deque([((), content)])
    seen: set[int] = set()
    while queue and len(seen) < _MAX_MAPPINGS:
        entry, value = queue.popleft()
        if not isinstance(value, Mapping) or id(value) in seen:
            continue
        seen.add(id(value))
        if any(isinstance(item, TensorInfo) for item in value.values()):
            yield entry, value
        if len(entry) < _DEPTH:
            inner = ((name, item) for name, item in value.items() if isinstance(item, Mapping))
            queue.extend(((*entry, str(name)[:_MAX_NAME]), item) for name, item in inner)


def _candidates_in(
    entry: tuple[str, ...], mapping: Mapping[object, object], names: Collection[str]
) -> Iterator[StateDict]:
    items = {str(name): value for name, value in mapping.items() if isinstance(value, (TensorInfo, ForeignObject))}
    counts: Counter[str] = Counter()
    for name in items:
        counts.update(_prefixes(name, names))
    most = max(counts.values(), default=0)
    prefixes = [prefix for prefix, count in counts.most_common(_MAX_PREFIXES) if count * 4 >= most] or [""]
    for prefix in prefixes:
        # Tensors below a longer prefix are those of another network.
        longer = tuple(other for other in prefixes if other != prefix and other.startswith(prefix))
        group = {
            name: value
            for name, value in items.items()
            if name.startswith(prefix) and not (longer and name.startswith(longer))
        }
        foreign = (
            f"{value.name} (its entry {show_name(name)!r})"
            for name, value in group.items()
            if isinstance(value, ForeignObject)
        )
        outside = {name: value for name, value in _tensors(items).items() if not name.startswith(prefix)}
        tensors = {name[len(prefix) :]: tensor for name, tensor in _tensors(group).items()}
        plain = {_unwrapped(name): tensor for name, tensor in tensors.items()}
        unwrapped = len(plain) == len(tensors) and plain.keys() != tensors.keys()
        yield StateDict(entry, prefix, plain if unwrapped else tensors, tuple(foreign), outside, unwrapped)


def _tensors(items: Mapping[str, object]) -> Mapping[str, TensorInfo]:
    return {name: value for name, value in items.items() if isinstance(value, TensorInfo)}


def _prefixes(name: str, names: Collection[str]) -> Iterator[str]:
    """Yield what remains of a name before the name of a tensor of the network."""
    parts = name[:_MAX_NAME].split(".")[:_MAX_PARTS]
    for place, part in enumerate(parts):
        if part not in _WRAPPERS and _unwrapped(".".join(parts[place:])) in names:
            yield "".join(f"{before}." for before in parts[:place])


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
