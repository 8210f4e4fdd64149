"""A stage: steps that run together, one stripe of rows after the other.

A stage computes the output of its last step in stripes of full-width rows. For a stripe, every
earlier step computes the rows that are missing, into a buffer that holds only the rows that are
still read (a line buffer); nothing is computed twice. So a depthwise convolution and the pointwise
one behind it never hold the image between them, an addition is done while a convolution's rows
appear, and the first layers of a network run in patches. C++ twin: tflite_kernels/micro/stripes.h.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from edgeax.runtime.mcu.program import Elements, Program, Step, Window


@dataclasses.dataclass(frozen=True)
class Rows:
    """How a step of a stage works on rows.

    Attributes:
        step: Its place in the program.
        reads: Numbers of the storages that it reads, in the order of `Step.reads`, without
            constants.
        write: Number of the storage that it writes.
        window: Which rows it reads.
        in_place: The storages whose memory its output may be.
    """

    step: int
    reads: tuple[int, ...]
    write: int
    window: Window
    in_place: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a kernel in a stage.

    Attributes:
        place: Place of the step in the stage.
        begin: First row of the output that it computes.
        end: The row behind the last one.
        reads: The input rows it reads, `[first, behind the last)`.
    """

    place: int
    begin: int
    end: int
    reads: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Stripes:
    """A stage in stripes of a height.

    Attributes:
        steps: Its steps in the order in which they run in every stripe.
        height: Rows of the last step's output per stripe.
        calls: All calls in their order.
        lines: Rows that the buffer of each storage holds that exists only within the stage.
        moved_rows: Rows of each such storage that are moved to the front of its buffer, in all.
    """

    steps: tuple[Rows, ...]
    height: int
    calls: tuple[Call, ...]
    lines: Mapping[int, int]
    moved_rows: Mapping[int, int]


def rows_of(program: Program, position: int) -> Rows | None:
    """Returns how a step works on rows; None where it always computes everything."""
    step = program.steps[position]
    window = _window(program, step)
    if window is None:
        return None
    return Rows(
        step=position,
        reads=tuple(program.storage(value) for value in step.values_read),
        write=program.storage(step.writes[0]),
        window=window,
        in_place=_in_place(program, step),
    )


def _in_place(program: Program, step: Step) -> tuple[int, ...]:
    """Returns the storages whose rows may become the same rows of the output."""
    reads = [program.storage(value) for value in step.values_read]
    places = [step.reads[read] for read, _ in step.in_place]
    found = [program.storage(value) for value in places if isinstance(value, int)]
    is_free = isinstance(step.extent, Elements)
    return tuple(storage for storage in found if is_free and reads.count(storage) == 1)


def _window(program: Program, step: Step) -> Window | None:
    """Returns the rows of a step on images of batch 1; None where it has none."""
    images = [program.values[value] for value in (*step.values_read, *step.writes)]
    owners = [program.values[program.storage(image.index)] for image in images]
    if len(step.writes) != 1 or any(owner.is_state for owner in owners):
        return None
    if any(len(image.shape) != 4 or image.shape[0] != 1 for image in images):
        return None
    if isinstance(step.extent, Window):
        return step.extent
    rows = images[-1].shape[1]
    is_plain = len(step.values_read) == len(step.reads)  # a constant would have to move along
    if not isinstance(step.extent, Elements) or not is_plain:
        return None
    if any(image.shape != images[-1].shape for image in images):
        return None
    return Window(input_rows=rows, output_rows=rows)


def needed(window: Window, begin: int, end: int) -> tuple[int, int]:
    """Returns the rows `[first, last)` that output rows read; empty where all are padding."""
    first, last = window.needed(begin, end)
    first = min(first, window.input_rows)
    return first, max(first, last)


def stripes(steps: Sequence[Rows], whole: frozenset[int], height: int) -> Stripes:
    """Runs a stage without data.

    Args:
        steps: The steps in order; every one but the last is read by a later one or is in `whole`.
        whole: Storages written in the stage that are held whole, since they are read behind it.
        height: Rows of the last output per stripe, 1 or more.
    """
    return _Run(steps, whole, height).stripes()


class _Run:
    """What is computed and held while the stripes of a stage are computed one after the other."""

    def __init__(self, steps: Sequence[Rows], whole: frozenset[int], height: int) -> None:
        self._steps, self._whole, self._height = tuple(steps), whole, height
        self._producer = {step.write: place for place, step in enumerate(steps)}
        self._readers: dict[int, list[int]] = {step.write: [] for step in steps}
        for place, step in enumerate(steps):
            for read in set(step.reads) & self._readers.keys():
                self._readers[read].append(place)
        self._done = [0] * len(steps)
        self._begin = [0] * len(steps)
        self._calls: list[Call] = []
        inner = [step.write for step in steps if step.write not in whole]
        self._lines, self._moved = dict.fromkeys(inner, 0), dict.fromkeys(inner, 0)

    def stripes(self) -> Stripes:
        rows = self._steps[-1].window.output_rows
        for end in range(self._height, rows + self._height, self._height):
            targets = self._targets(min(end, rows), is_last=end >= rows)
            for place, target in enumerate(targets):
                if target > self._done[place]:
                    self._call(place, target)
        return Stripes(
            self._steps, self._height, tuple(self._calls), dict(self._lines), dict(self._moved)
        )

    def _targets(self, last: int, is_last: bool) -> list[int]:
        """Returns how many rows of each step must be there behind a stripe."""
        targets = list(self._done)
        targets[-1] = last
        for place in reversed(range(len(self._steps) - 1)):
            step = self._steps[place]
            if is_last and step.write in self._whole:
                targets[place] = step.window.output_rows
            for reader in self._readers[step.write]:
                if targets[reader]:
                    _, end = needed(self._steps[reader].window, 0, targets[reader])
                    targets[place] = max(targets[place], end)
        return targets

    def _call(self, place: int, target: int) -> None:
        """Computes the rows of a step that are missing, once there is room for them."""
        step, done = self._steps[place], self._done[place]
        if step.write in self._lines:
            keep = min(self._first_needed(step.write), done)
            if keep > self._begin[place]:
                self._moved[step.write] += done - keep
                self._begin[place] = keep
            held = target - self._begin[place]
            self._lines[step.write] = max(self._lines[step.write], held)
        self._calls.append(Call(place, done, target, needed(step.window, done, target)))
        self._done[place] = target

    def _first_needed(self, storage: int) -> int:
        """Returns the first row of a storage that is still read."""
        rows = self._steps[self._producer[storage]].window.output_rows
        for reader in self._readers[storage]:
            window, done = self._steps[reader].window, self._done[reader]
            rows = min(rows, needed(window, done, done + 1)[0])
        return rows


@dataclasses.dataclass(frozen=True)
class Sharing:
    """Where an output of a stage may lie in the memory of an input that is not read behind it.

    Attributes:
        behind: Bytes that the output must begin before the input, so that its rows follow those
            that have been read; the output's size or more: they share nothing.
        same: Whether they may begin at the same address.
    """

    behind: int
    same: bool


def sharing(run: Stripes, source: int, target: int, row_bytes: Mapping[int, int]) -> Sharing:
    """Returns how a storage that a stage writes may share the memory of one that it reads.

    Args:
        run: The stage.
        source: A storage that only this stage still reads.
        target: A storage that it writes, whole.
        row_bytes: Bytes of a row of each.
    """
    behind, same = 0, True
    later: int | None = None  # the first byte of the source that calls behind this one read
    for call in reversed(run.calls):
        step = run.steps[call.place]
        own = call.reads[0] * row_bytes[source] if source in step.reads else None
        first = min((at for at in (own, later) if at is not None), default=None)
        if step.write == target:
            end = call.end * row_bytes[target]
            behind = max(behind, end - first) if first is not None else behind
            kept = first if source not in step.in_place else later
            same = same and (kept is None or end <= kept)
        later = first
    in_place = any(source in step.in_place for step in run.steps if step.write == target)
    return Sharing(behind, same and in_place and row_bytes[source] == row_bytes[target])
