"""The grammar of the expressions in an exported program.

PyTorch evaluates them as Python: symbolic sizes with `sympy.sympify`, and guards with `exec`. Here they are parsed and
never evaluated. Only arithmetic and comparisons of sizes pass, with the functions that `program_grammar` names.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cloudseg_ops.contracts.program_grammar import (
    ATOMS,
    COMPARISONS,
    GUARD_FUNCTIONS,
    MAX_CHARS,
    MAX_DEPTH,
    NUMBER,
    POWERS,
    SYMBOL,
    SYMBOL_BITS,
    SYMPY,
    TENSOR_METHODS,
    TRUTHS,
    Value,
    call_of,
    larger,
    power_of,
    product_of,
    read_number,
    split_tokens,
    sum_of,
)

_SMALL = re.compile(r"\d{1,3}", re.ASCII)


def check_size(text: object) -> None:
    """Check an expression of symbolic sizes, such as `Mul(Integer(2), Symbol('s0', integer=True))`.

    Raises:
        ValueError: It is not in the grammar; the message is a clause that says why.

    >>> check_size("FloorDiv(Symbol('s77', positive=True, integer=True), Integer(2))")
    >>> check_size("open(s0)")
    Traceback (most recent call last):
    ValueError: it uses the name open
    """
    _parse(text, guard=False)


def check_guard(text: object) -> None:
    """Check a condition on the inputs of a program, such as `L['x'].size()[2] % 16 == 0`.

    Raises:
        ValueError: It is not in the grammar; the message is a clause that says why.
    """
    _parse(text, guard=True)


def _parse(text: object, *, guard: bool) -> None:
    if not isinstance(text, str):
        # SymPy evaluates the strings in a list, too.
        raise ValueError(f"it is a {type(text).__name__}, not an expression")  # noqa: TRY004
    if len(text) > MAX_CHARS:
        raise ValueError(f"it has {len(text)} characters, more than {MAX_CHARS}")
    parser = _Parser(split_tokens(text), guard=guard)
    parser.expression()
    if parser.kind != "end":
        raise ValueError(f"{parser.token!r} follows its end")


class _Parser:
    """A recursive descent parser; each method parses one rule of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]], *, guard: bool) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._guard = guard

    @property
    def kind(self) -> str:
        return self._tokens[self._place][0]

    @property
    def token(self) -> str:
        return self._tokens[self._place][1]

    def expression(self) -> Value:
        """Parse a condition or a value, up to what cannot belong to it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        value = self._not_test()
        while self._guard and self._skip("and", "or"):
            value = larger(value, self._not_test())
        self._depth -= 1
        return value

    def _not_test(self) -> Value:
        while self._guard and self._skip("not"):
            pass
        return self._chain(self._sum, COMPARISONS, larger)

    def _sum(self) -> Value:
        return self._chain(self._term, {"+", "-"}, sum_of)

    def _term(self) -> Value:
        return self._chain(self._factor, {"*", "/", "//", "%"}, product_of)

    def _factor(self) -> Value:
        sign = 1
        while mark := self._skip("+", "-"):
            sign = -sign if mark == "-" else sign
        value = self._primary()
        if self._skip("**"):
            value = power_of(value, self._factor())
        return value if value.number is None else Value(value.bits, sign * value.number)

    def _primary(self) -> Value:
        if self.kind == "number":
            return read_number(self._take())
        if self._skip("("):
            value = self.expression()
            self._expect(")")
            return value
        if self.kind != "name":
            raise ValueError(f"{self.token or 'its end'!r} stands where a value should be")
        name = self._take()
        if self._guard:
            return self._of_guard(name)
        if SYMBOL.fullmatch(name) or name in TRUTHS:
            return Value(SYMBOL_BITS)
        return self._atom(name) if name in ATOMS else self._call(name, SYMPY | POWERS)

    def _of_guard(self, name: str) -> Value:
        if name == "L":
            return self._input()
        if name in ("True", "False"):
            return Value(1)
        while self._skip("."):
            name += f".{self._take('name')}"
        return self._call(name, GUARD_FUNCTIONS)

    def _input(self) -> Value:
        # L['x'][0].size()[2]: an input of the program, or a property of it.
        self._index("text", "number")
        while self._at("["):
            self._index("text", "number")
        if self._skip("."):
            if (method := self._take("name")) not in TENSOR_METHODS:
                raise ValueError(f"it uses the method {method}")
            self._expect("(")
            self._expect(")")
            if self._at("["):
                self._index("number")
        return Value(SYMBOL_BITS)

    def _index(self, *kinds: str) -> None:
        self._expect("[")
        self._take(*kinds)
        self._expect("]")

    def _atom(self, name: str) -> Value:
        # Symbol('s0', positive=True, integer=True) or Float('0.5', precision=53)
        self._expect("(")
        text = self._take("text").strip("'")
        if not (SYMBOL if name == "Symbol" else NUMBER).fullmatch(text):
            raise ValueError(f"it names {name} {text!r}")
        while self._skip(","):
            self._take("name")
            self._expect("=")
            if self.token not in TRUTHS and not _SMALL.fullmatch(self.token):
                raise ValueError(f"{self.token!r} stands where True, False or a precision should be")
            self._take()
        self._expect(")")
        return Value(SYMBOL_BITS) if name == "Symbol" else read_number(text.lstrip("-"))

    def _call(self, name: str, known: frozenset[str]) -> Value:
        if name not in known:
            raise ValueError(f"it uses the name {name}")
        self._expect("(")
        values = []
        while not self._at(")"):
            values.append(self.expression())
            if not self._skip(","):
                break
        self._expect(")")
        return call_of(name, values)

    def _chain(
        self, rule: Callable[[], Value], marks: frozenset[str] | set[str], join: Callable[[Value, Value], Value]
    ) -> Value:
        value = rule()
        while self.kind == "mark" and self.token in marks:
            self._take()
            value = join(value, rule())
        return value

    def _at(self, *tokens: str) -> bool:
        return self.kind in ("mark", "name") and self.token in tokens

    def _skip(self, *tokens: str) -> str:
        return self._take() if self._at(*tokens) else ""

    def _expect(self, token: str) -> None:
        if not self._skip(token):
            raise ValueError(f"{self.token or 'its end'!r} stands where {token!r} should be")

    def _take(self, *kinds: str) -> str:
        kind, token = self._tokens[self._place]
        if kinds and kind not in kinds:
            raise ValueError(f"{token or 'its end'!r} stands where a {' or a '.join(kinds)} should be")
        self._place += 1
        return token
