"""A stage in stripes of rows as C++: a loop over stripes with a call of every step."""

from collections.abc import Callable, Iterator, Sequence

from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.plan import Call, Plan, Stage
from edgeax.runtime.mcu.ports import place
from edgeax.runtime.mcu.program import Elements, Window
from edgeax.runtime.mcu.stripes import Rows, Stripes

HEADER = "stripes.h"

CallText = Callable[[Call, str, Sequence[str], Sequence[str]], str]
"""Writes a call of a kernel from what part it computes, and where its inputs that are no constants
and its outputs lie."""


def loop(plan: Plan, stage: Stage, run: Stripes, call_text: CallText) -> list[str]:
    """Returns the statements that compute a stage.

    Args:
        plan: The plan that the stage is part of.
        stage: The stage.
        run: How it runs.
        call_text: Writes calls.
    """
    return list(_Loop(plan, stage, run, call_text).lines())


class _Loop:
    """Names and rows of a stage.

    Every image is a `Band`: image 0 to n are those that the steps write, the others are read from
    outside.
    """

    def __init__(self, plan: Plan, stage: Stage, run: Stripes, call_text: CallText) -> None:
        self._plan, self._stage, self._run, self._call_text = plan, stage, run, call_text
        self._images = [step.write for step in run.steps]
        outside = (read for step in run.steps for read in step.reads)
        self._images += [s for s in dict.fromkeys(outside) if s not in self._images]

    def lines(self) -> Iterator[str]:
        steps = self._run.steps
        yield "  {"
        for at, step in enumerate(steps):
            window = step.window
            if not _is_same(window):
                reach = (window.kernel - 1) * window.dilation + 1
                numbers = f"{window.input_rows}, {window.stride}, {window.pad}, {reach}"
                yield f"    constexpr StripeWindow window{at} = {{{numbers}}};"
        for storage in self._images:
            yield f"    {self._band(storage)}"
        last, rows = len(steps) - 1, steps[-1].window.output_rows
        height, done = self._run.height, f"{self._name(steps[-1].write)}.end"
        yield f"    for (int32_t stripe = {height}; {done} < {rows}; stripe += {height}) {{"
        yield f"      const int32_t end{last} = Smaller(stripe, {rows});"
        for at in reversed(range(last)):
            yield f"      const int32_t end{at} = {self._target(at)};"
        for at, step in enumerate(steps):
            yield from self._step(at, step)
        yield "    }"
        yield "  }"

    def _name(self, storage: int) -> str:
        return f"image{self._images.index(storage)}"

    def _band(self, storage: int) -> str:
        """Returns the declaration of an image."""
        size = self._plan.program.values[storage].size_bytes
        rows = self._rows(storage)
        is_written = storage in [step.write for step in self._run.steps]
        memory = place(self._plan, "uint8_t", self._stage.buffer(storage))
        end = 0 if is_written else rows
        const = "" if is_written else "const "
        return f"{const}Band {self._name(storage)} = {{{memory}, {size // rows}, 0, {end}}};"

    def _rows(self, storage: int) -> int:
        for step in self._run.steps:
            if step.write == storage:
                return step.window.output_rows
            if storage in step.reads:
                return step.window.input_rows
        raise ValueError(f"`storage` must belong to the stage. Received: {storage}.")

    def _readers(self, storage: int) -> list[int]:
        return [at for at, step in enumerate(self._run.steps) if storage in step.reads]

    def _target(self, at: int) -> str:
        """Returns how many rows of a step there must be behind a stripe."""
        storage = self._run.steps[at].write
        ends = [self._end_read(reader) for reader in self._readers(storage)]
        if storage not in self._stage.lines and not self._is_read_whole(at):
            rows, last = self._rows(storage), len(self._run.steps) - 1
            ends.append(f"end{last} == {self._rows(self._run.steps[last].write)} ? {rows} : 0")
        return _nested("Larger", ends)

    def _end_read(self, reader: int) -> str:
        """Returns the row behind the last one that a step reads in a stripe."""
        is_same = _is_same(self._run.steps[reader].window)
        return f"end{reader}" if is_same else f"EndRead(window{reader}, end{reader})"

    def _first_read(self, reader: int) -> str:
        """Returns the first row that a step still reads."""
        step = self._run.steps[reader]
        done = f"{self._name(step.write)}.end"
        return done if _is_same(step.window) else f"FirstRead(window{reader}, {done})"

    def _is_read_whole(self, at: int) -> bool:
        """Returns whether steps of the stage read the last row of a step's output."""
        ends = [
            call.reads[1]
            for call in self._run.calls
            if self._run.steps[at].write in self._run.steps[call.place].reads
        ]
        return max(ends, default=0) == self._run.steps[at].window.output_rows

    def _step(self, at: int, step: Rows) -> Iterator[str]:
        name = self._name(step.write)
        yield f"      if (end{at} > {name}.end) {{"
        if step.write in self._stage.lines:
            first = [self._first_read(reader) for reader in self._readers(step.write)]
            yield f"        DropBefore({_nested('Smaller', first)}, &{name});"
        yield f"        {self._call(at, step)}"
        yield f"        {name}.end = end{at};"
        yield "      }"

    def _call(self, at: int, step: Rows) -> str:
        """Returns the call of a step for the rows that are missing."""
        call, name, program = self._stage.calls[at], self._name(step.write), self._plan.program
        first = self._first_read(at)
        extent = f"{{{name}.end, end{at}, {first}}}"
        if isinstance(call.step.extent, Elements):
            elements = call.step.extent.count // step.window.output_rows
            extent = f"(end{at} - {name}.end) * {elements}"

        def row(value: int, row: str) -> str:
            kind = TYPES[program.values[value].dtype]
            return f"RowOf<{kind}>({self._name(program.storage(value))}, {row})"

        reads = [row(value, first) for value in call.step.values_read]
        writes = [row(value, f"{name}.end") for value in call.step.writes]
        return self._call_text(call, extent, reads, writes)


def _is_same(window: Window) -> bool:
    """Returns whether an output row reads just the input row of the same number."""
    return window == Window(window.input_rows, window.input_rows)


def _nested(function: str, words: Sequence[str]) -> str:
    """Returns a call of a function of two for several."""
    text = words[-1]
    for word in reversed(words[:-1]):
        text = f"{function}({word}, {text})"
    return text
