"""The grammar of the expressions in an exported program."""

import time

import pytest

from cloudseg_ops.contracts.program_expressions import check_guard, check_size

S0 = "Symbol('s0', positive=True, integer=True)"
SIZES = [
    S0,
    "s77",
    "2*s39 + 1",
    "4*(s0 // 2) % 32 - u0**2",
    f"Add(FloorDiv(Add({S0}, Integer(-1)), Integer(2)), Integer(1))",
    f"Max(Integer(1), TruncToInt(Mul(Float('0.5', precision=53), ToFloat({S0}))))",
    f"Pow({S0}, Integer(-1))",
    f"Mul(Rational(1, 2), {S0})",
    f"And(Ne({S0}, Integer(1)), StrictGreaterThan({S0}, Integer(2)))",
    f"PowByNatural({S0}, Integer(2))",
]
GUARDS = [
    "L['x'].size()[2] % 16 == 0",
    "L['flat_args'][0].size()[0] >= 2",
    "math.trunc(0.5*torch.sym_float(1 + (((-1) + L['x'].size()[2]) // 2))) != 1",
    "not (max(1, L['x'].stride()[3]) < 4) and L['n'] <= 1e3",
]
CODE = [
    "__import__('os').system('true')",
    "s0.__class__",
    "open(s0)",
    "exec",
    "[s0]",
    "(s0, s1)",
    "s0 if s0 else s1",
    "lambda: s0",
    "s0 s1",
    "s0()",
    "(s0)(s1)",
    "s0\nimport os",
    "s0; s1",
    "s0 := 1",
    "f's0'",
    "0x10",
    "s０",
    "Symbol('os')",
    "Symbol('s0')('a')",
    "Symbol(s0)",
    "Float('0.5', precision=999999999)",
    "Integer(s0)",
    "Function('f')",
    "Lambda(s0, s0)",
    "((s0)",
    "s0)",
    "Mul(",
    "",
]
LARGE = [
    "9**9**9",
    "2**s0",
    "Pow(Pow(Pow(10, 60), 60), 60)",
    "LShift(Integer(1), Integer(1000000))",
    f"PowByNatural(Integer(2), {S0})",
    "9" * 41,
    "1e9999",
    "Mul(" * 70 + "s0" + ")" * 70,
    "s0 + " * 10_000 + "s0",
]


@pytest.mark.parametrize("text", SIZES)
def test_arithmetic_of_sizes_is_allowed(text: str) -> None:
    check_size(text)


@pytest.mark.parametrize("text", GUARDS)
def test_conditions_on_inputs_are_allowed(text: str) -> None:
    check_guard(text)


@pytest.mark.parametrize("text", CODE)
def test_other_python_is_refused(text: str) -> None:
    for check in (check_size, check_guard):
        with pytest.raises(ValueError, match=r"^(it|'|\")"):
            check(text)


@pytest.mark.parametrize("text", LARGE)
def test_large_numbers_are_not_computed(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"more than|exponent|digits|contains|follows"):
        check_size(text)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("value", [["s0"], {"s0": "s1"}, None, 1, True])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not an expression"):
        check_size(value)


@pytest.mark.parametrize(
    "text",
    ["L['x'].__class__", "L['x'].size", "L['x'].size().x", "L[\"x\"]", "L['x\\'']", "L", "L.x", "torch.load('x')",
     "math.system(1)", "L['x'] == 'a'", "L['x'].save()", "torch.sym_float.__call__(1)", "s0 > 1"],
)  # fmt: skip
def test_a_guard_reads_only_sizes_of_inputs(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|'|\")"):
        check_guard(text)
