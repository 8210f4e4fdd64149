"""Runs a plan on memory whose bytes know which byte of which value they hold."""

import numpy as np

from edgeax.runtime.mcu.plan import Call, Place, Plan, Stage
from edgeax.runtime.mcu.program import Window

_LOST = -1


def run(plan: Plan) -> None:
    """Asserts that all calls find what they read, and that outputs are there in the end.

    Kernels may write any output byte before they read any input byte of the same call, but where
    they compute in place; scratch is overwritten.
    """
    _Run(plan).run()


class _Run:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.program = plan, plan.program
        self.memory = np.full(plan.arena_bytes, _LOST, np.int64)

    def run(self) -> None:
        for value in self.program.inputs:
            storage = self.program.storage(value)
            self.write(storage, self.at(storage), 0, self.size(storage))
        for stage in self.plan.stages:
            if stage.run is None:
                for call in stage.calls:
                    self.whole(call)
            else:
                _Stripes(self, stage).run()
        for value in self.program.outputs:
            storage = self.program.storage(value)
            self.check(storage, self.at(storage), 0, self.size(storage))

    def size(self, storage: int) -> int:
        return self.program.values[storage].size_bytes

    def at(self, buffer: int) -> int:
        return self.plan.buffers[buffer].offset

    def tokens(self, storage: int, begin: int, end: int) -> np.ndarray:
        return storage * 2**32 + np.arange(begin, end)

    def write(self, storage: int, at: int, begin: int, end: int) -> None:
        """Writes bytes [begin, end) of a value, of which byte 0 lies or would lie at `at`."""
        assert 0 <= at + begin <= at + end <= len(self.memory)
        self.memory[at + begin : at + end] = self.tokens(storage, begin, end)

    def check(self, storage: int, at: int, begin: int, end: int) -> None:
        held = self.memory[at + begin : at + end]
        np.testing.assert_array_equal(held, self.tokens(storage, begin, end))

    def lose(self, begin: int, end: int) -> None:
        assert 0 <= begin <= end <= len(self.memory)
        self.memory[begin:end] = _LOST

    def whole(self, call: Call) -> None:
        step = call.step
        reads = [
            (self.program.storage(value), self.at(where.buffer))
            for value, where in zip(step.reads, call.reads, strict=True)
            if isinstance(where, Place)
        ]
        writes = [
            (self.program.storage(value), self.at(where.buffer))
            for value, where in zip(step.writes, call.writes, strict=True)
        ]
        self.call(
            call,
            [(s, at, 0, self.size(s)) for s, at in reads],
            [(s, at, 0, self.size(s)) for s, at in writes],
        )

    def call(
        self,
        call: Call,
        reads: list[tuple[int, int, int, int]],
        writes: list[tuple[int, int, int, int]],
    ) -> None:
        """Runs a kernel on parts of values: storage, address of byte 0, first byte, end."""
        if call.scratch is not None:
            at = self.at(call.scratch.buffer)
            assert at % 8 == 0
            self.lose(at, at + call.step.scratch_bytes)
        if call.step.kernel == "Relocate":
            (_, source, _, size), (_, target, _, _) = *reads, *writes
            self.memory[target : target + size] = self.memory[source : source + size].copy()
            return
        for storage, at, begin, end in writes:
            shared = {
                at + begin
                for place, target in call.step.in_place
                if self.program.storage(call.step.writes[target]) == storage
                for s, source, first, last in reads
                if s == self.program.storage(call.step.reads[place])
                and source + first == at + begin
            }
            if not shared:
                self.lose(at + begin, at + end)
        for part in reads:
            self.check(*part)
        for part in writes:
            self.write(*part)


class _Stripes:
    """A stage in stripes, run with the rules of tflite_kernels/micro/stripes.h."""

    def __init__(self, run: _Run, stage: Stage) -> None:
        self.run_, self.stage, self.stripes = run, stage, stage.run
        self.begin = {step.write: 0 for step in self.stripes.steps}
        self.end = {step.write: 0 for step in self.stripes.steps}

    def run(self) -> None:
        steps = self.stripes.steps
        rows = steps[-1].window.output_rows
        for stripe in range(self.stripes.height, rows + self.stripes.height, self.stripes.height):
            ends = {steps[-1].write: min(stripe, rows)}
            for step in reversed(steps[:-1]):
                ends[step.write] = self.wanted(step.write, ends, stripe >= rows)
            for step, call in zip(steps, self.stage.calls, strict=True):
                if ends[step.write] > self.end[step.write]:
                    self.step(step, call, ends[step.write])
        held = {step.write for step in steps} - set(self.stage.lines)
        for step in steps:
            if step.write in held:
                assert self.end[step.write] == step.window.output_rows

    def wanted(self, storage: int, ends: dict[int, int], is_last: bool) -> int:
        wanted = [0]
        for step in self.stripes.steps:
            if step.write == storage and is_last and storage not in self.stage.lines:
                wanted.append(step.window.output_rows)
            if storage in step.reads and ends[step.write]:
                wanted.append(_rows(step.window, ends[step.write] - 1)[1])
        return max(wanted)

    def row_bytes(self, storage: int) -> int:
        for step in self.stripes.steps:
            if step.write == storage:
                return self.run_.size(storage) // step.window.output_rows
            if storage in step.reads:
                return self.run_.size(storage) // step.window.input_rows
        raise AssertionError(storage)

    def base(self, storage: int) -> int:
        """Returns where byte 0 of a storage lies or would lie."""
        at = self.run_.at(self.stage.buffer(storage))
        return at - self.begin.get(storage, 0) * self.row_bytes(storage)

    def step(self, step, call: Call, end: int) -> None:
        storage, done = step.write, self.end[step.write]
        if storage in self.stage.lines:
            self.drop(storage, end)
        first, last = _rows(step.window, done)[0], _rows(step.window, end - 1)[1]
        reads = [(s, self.base(s), self.row_bytes(s)) for s in step.reads]
        size = self.row_bytes(storage)
        self.run_.call(
            call,
            [(s, at, first * row, max(first, last) * row) for s, at, row in reads],
            [(storage, self.base(storage), done * size, end * size)],
        )
        self.end[storage] = end

    def drop(self, storage: int, end: int) -> None:
        readers = [step for step in self.stripes.steps if storage in step.reads]
        keep = min(_rows(step.window, self.end[step.write])[0] for step in readers)
        keep = min(keep, self.end[storage])
        size, line = self.row_bytes(storage), self.stage.lines[storage]
        if keep > self.begin[storage]:
            at = self.run_.at(line)
            from_row = self.base(storage) + keep * size
            kept = (self.end[storage] - keep) * size
            self.run_.memory[at : at + kept] = self.run_.memory[from_row : from_row + kept].copy()
            self.begin[storage] = keep
        assert (end - self.begin[storage]) * size <= self.stage.locals[line]


def _rows(window: Window, row: int) -> tuple[int, int]:
    first = row * window.stride - window.pad
    end = first + (window.kernel - 1) * window.dilation + 1
    return tuple(max(0, min(at, window.input_rows)) for at in (first, end))
