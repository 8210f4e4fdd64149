"""The child's half of paired timing: wait for a turn, do some steps, say their median time.

Standard library only, for it runs in every peer's environment.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

# A line of the protocol is `MARK word value`; anything else on stdout is chatter of libraries.
MARK = "@benchmark"
READY = "ready"
TURN = "turn"


def take_turns(step: Callable[[], object], steps: int) -> None:
    """Answers every `TURN` line on stdin by a timed turn, until stdin closes.

    Args:
        step: What is timed; must return only when its work is done, and be warm (traced) already.
        steps: Timed calls per turn. One untimed call before them brings caches and input queue
            back to where this side left them.
    """
    _tell(READY, "")
    for line in sys.stdin:
        if line.strip() == TURN:
            step()
            _tell(TURN, f"{statistics.median(_timed_ms(step) for _ in range(steps)):.6f}")


def _timed_ms(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return 1000.0 * (time.perf_counter() - start)


def _tell(word: str, value: str) -> None:
    print(f"{MARK} {word} {value}", flush=True)
