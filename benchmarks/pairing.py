"""Fair timing on a noisy machine: child processes take turns, and only ratios within a round count.

Two sides that cannot share a process (their packages exclude each other) are started together.
A slow minute of the machine then hits both sides of a round, and leaves their ratio alone.
The children speak the protocol of `benchmarks/children/turns.py`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.children.turns import MARK, READY, TURN
from benchmarks.harness import REPOSITORY


@dataclass(frozen=True)
class Child:
    """A process that measures one side.

    Attributes:
        command: Program and arguments; runs in the root of the repository.
        environment: Variables added to this process's own.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedTimes:
    """Median step times of all sides: `step_ms[side][round]`."""

    step_ms: Mapping[str, Sequence[float]]

    def median_ms(self, side: str) -> float:
        """Median over rounds of one side's step time, in milliseconds."""
        return statistics.median(self.step_ms[side])

    def ratio(self, side: str, baseline: str) -> float:
        """Median over rounds of `side` / `baseline`, each ratio taken within one round."""
        return statistics.median(self._ratios(side, baseline))

    def ratio_quartiles(self, side: str, baseline: str) -> tuple[float, float]:
        """First and third quartile of the ratios whose median `ratio` gives; needs two rounds."""
        first, _, third = statistics.quantiles(self._ratios(side, baseline), n=4)
        return first, third

    def _ratios(self, side: str, baseline: str) -> list[float]:
        pairs = zip(self.step_ms[side], self.step_ms[baseline], strict=True)
        return [ours / theirs for ours, theirs in pairs]


def run_paired(children: Mapping[str, Child], rounds: int) -> PairedTimes:
    """Lets the children take turns, one at a time, and collects what they measured.

    Args:
        children: Side name to process. All get ready at once, then only one works at any time.
        rounds: Turns of each child, at least 1. The order is reversed in every second round, so
            that a machine growing slower favors nobody.
    Raises:
        ValueError: `rounds` is below 1.
        RuntimeError: A child ended early; its messages are on stderr.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1. Received: {rounds}.")
    step_ms: dict[str, list[float]] = {name: [] for name in children}
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, child in children.items():
            running[name] = _start(child)
        for name, process in running.items():
            _answer(name, process, READY)
        for number in range(rounds):
            names = list(running)
            for name in reversed(names) if number % 2 else names:
                _say(name, running[name], TURN)
                step_ms[name].append(float(_answer(name, running[name], TURN)))
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
    return PairedTimes(step_ms)


def _start(child: Child) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(child.command),
        cwd=REPOSITORY,
        env={**os.environ, **child.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _say(name: str, process: subprocess.Popen[str], word: str) -> None:
    try:
        print(word, file=process.stdin, flush=True)
    except BrokenPipeError:
        raise _ended(name, process) from None


def _answer(name: str, process: subprocess.Popen[str], word: str) -> str:
    """Reads on until the child's answer to `word`; other lines are chatter of its libraries."""
    for line in process.stdout or ():
        mark, _, rest = line.strip().partition(" ")
        answered, _, value = rest.partition(" ")
        if mark == MARK and answered == word:
            return value
    raise _ended(name, process)


def _ended(name: str, process: subprocess.Popen[str]) -> RuntimeError:
    return RuntimeError(
        f"The child process of {name!r} ended with exit code {process.wait()} before its turn was "
        f"over. Its messages are on stderr; run it alone to see more: {process.args!r}."
    )
