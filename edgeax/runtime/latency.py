"""Fair timing of several files on one machine."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from edgeax.runtime.interpreter import Interpreter

_WARM_UP = 3
_DEVIATIONS = 1.96  # of a normal distribution, between which 95 % lie


def measure(
    interpreters: Mapping[str, Interpreter], inputs: Any, repeats: int = 50
) -> dict[str, float]:
    """Measures the median time of one invoke of every interpreter.

    The interpreters take turns, one invoke each, so that whatever else the machine does meets all
    of them alike. Only the invoke is timed, not the conversion of inputs.

    Args:
        interpreters: Name to interpreter. All must take the same inputs.
        inputs: Real values as for `Interpreter.feed`: an array, or a list or dict of arrays.
        repeats: Timed rounds, at least 1; a few untimed ones go before.
    Returns:
        Name to median milliseconds.
    Raises:
        ValueError: `repeats` is below 1, or the inputs do not fit an interpreter.
    Example: `measure({"int8": Interpreter(a), "edgeax": Interpreter(b)}, images[:1])`.
    """
    times_ms = turns(interpreters, inputs, repeats)
    return {name: statistics.median(times) for name, times in times_ms.items()}


def turns(
    interpreters: Mapping[str, Interpreter], inputs: Any, repeats: int = 50
) -> dict[str, list[float]]:
    """Measures as `measure` does.

    Args:
        interpreters: See `measure`.
        inputs: See `measure`.
        repeats: See `measure`.
    Returns:
        Name to the milliseconds of each round.
    Raises:
        ValueError: See `measure`.
    """
    if repeats < 1:
        raise ValueError(
            f"`repeats` must be at least 1. Received: {repeats}. Fifty give a stable median."
        )
    arrays = tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)
    for interpreter in interpreters.values():
        interpreter.feed(*arrays)
    times_ms: dict[str, list[float]] = {name: [] for name in interpreters}
    for repeat in range(_WARM_UP + repeats):
        for name, interpreter in interpreters.items():
            elapsed_ms = _invoke_ms(interpreter)
            if repeat >= _WARM_UP:
                times_ms[name].append(elapsed_ms)
    return times_ms


def speed(ours_ms: Sequence[float], theirs_ms: Sequence[float]) -> float:
    """Returns how many times as fast a file is as another one: the median of the ratios within each
    round.

    Args:
        ours_ms: Milliseconds of each round of the file, as `turns` gives them.
        theirs_ms: Those of the other.
    """
    pairs = zip(ours_ms, theirs_ms, strict=True)
    return statistics.median(theirs / ours for ours, theirs in pairs)


def noise(some_ms: Sequence[float], others_ms: Sequence[float]) -> float:
    """Returns how far off the ratio of two files may be, as a part of it.

    The ratios within each round have a median, which 95 % of repetitions would find between two of
    them that are counted off in their order; the result is how far the further one is away.

    Args:
        some_ms: Milliseconds of each round of one file, as `turns` gives them.
        others_ms: Those of the other.
    """
    ratios = sorted(some / other for some, other in zip(some_ms, others_ms, strict=True))
    count = len(ratios)
    place = max(0, math.floor((count - _DEVIATIONS * math.sqrt(count)) / 2))
    middle = statistics.median(ratios)
    return max(middle / ratios[place], ratios[count - 1 - place] / middle) - 1.0


def _invoke_ms(interpreter: Interpreter) -> float:
    start = time.perf_counter()
    interpreter.invoke()
    return 1000.0 * (time.perf_counter() - start)
