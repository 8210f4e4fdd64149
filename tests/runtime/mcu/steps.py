"""Programs of steps that nobody runs: only their memory and their words count."""

from collections.abc import Sequence

from edgeax.runtime.mcu.program import Array, Program, Step, Struct, Value


def value(number: int, size: int, dtype: str = "int8", is_state: bool = False) -> Value:
    """Returns a value named v and its number."""
    return Value(number, f"v{number}", dtype, (size,), 0.5, 3, is_state)


def step(reads: Sequence[int | Array], writes: Sequence[int], **options) -> Step:
    """Returns a call of the kernel F of f.h, or of what options say."""
    options = {"kernel": "F", "header": "f.h", "arguments": Struct("FArgs", {}), **options}
    label = f"{'-'.join(map(str, writes))} F"
    return Step(label, reads=tuple(reads), writes=tuple(writes), **options)


def program(sizes, steps, inputs, outputs, aliases=None, states=()) -> Program:
    """Returns a program of int8 values of so many bytes."""
    values = {n: value(n, size, is_state=n in states) for n, size in sizes.items()}
    return Program(values, tuple(steps), aliases or {}, tuple(inputs), tuple(outputs))
