"""The plan of a program: the cheapest that fits, or the smallest that costs next to nothing."""

import bisect
import dataclasses
from collections.abc import Sequence

from edgeax.runtime.mcu import moves
from edgeax.runtime.mcu.order import reordered
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.program import Program, Step, Struct
from edgeax.runtime.mcu.stages import Candidate, Cuts, stage
from edgeax.runtime.mcu.targets import Target

_FREE = 0.01  # part of a program's instructions that less RAM may cost unasked
_FREE_OF_PACKED = 0.015  # the same where weights are packed, for want of memory
_MOST_PLANS = 6


@dataclasses.dataclass(frozen=True)
class Choice:
    """A plan and what it costs.

    Attributes:
        plan: The plan.
        cost: Estimated instructions that stripes of rows cost.
        share: The same as part of the program's instructions.
    """

    plan: Plan
    cost: float
    share: float


def choose(
    program: Program,
    target: Target,
    ram_bytes: int | None = None,
    thrifty: Program | None = None,
) -> Choice:
    """Returns a plan for a program.

    Args:
        program: The program, its steps in any order that runs.
        target: The processor.
        ram_bytes: The most static RAM; the cheapest plan that fits is chosen. None: the plan that
            takes least among those that cost next to nothing.
        thrifty: The same program of steps that take less scratch and more time, if there is one.

    Raises:
        ValueError: No plan fits; says what the smallest takes.
    """
    ways = _ways(program, target, thrifty)
    if ram_bytes is None:
        free = _FREE_OF_PACKED if any(map(_is_packed, program.steps)) else _FREE
        return min((way.small(free) for way in ways), key=_bytes)
    fitting = [choice for way in ways if (choice := way.cheap(ram_bytes)) is not None]
    if not fitting:
        least = _smallest(ways)
        raise ValueError(
            f"`ram_bytes` must be at least {least.plan.ram_bytes} for this model. Received: "
            f"{ram_bytes}. Allow that much, or make the model smaller."
        )
    return min(fitting, key=lambda choice: (choice.cost, _bytes(choice)))


def smallest(program: Program, target: Target, thrifty: Program | None = None) -> Choice:
    """Returns the plan that takes least, whatever it costs; arguments are those of `choose`."""
    return _smallest(_ways(program, target, thrifty))


def _smallest(ways: Sequence["_Ways"]) -> Choice:
    return min((way.small(None) for way in ways), key=_bytes)


def _ways(program: Program, target: Target, thrifty: Program | None) -> list["_Ways"]:
    """Returns one entry for each order of the steps that is worth a try."""
    orders = dict.fromkeys((program.steps, reordered(program).steps))
    slow = dict(zip(program.steps, (thrifty or program).steps, strict=True))
    return [
        _Ways(
            dataclasses.replace(program, steps=steps),
            dataclasses.replace(program, steps=tuple(slow[step] for step in steps)),
            target,
        )
        for steps in orders
    ]


def _is_packed(step: Step) -> bool:
    layer = step.arguments.fields.get("layer")
    return isinstance(layer, Struct) and layer.type == "PackedLayer"


def _bytes(choice: Choice) -> int:
    return choice.plan.ram_bytes


class _Ways:
    """The plans of a program whose steps have an order."""

    def __init__(self, program: Program, thrifty: Program, target: Target) -> None:
        self._program, self._thrifty = program, thrifty
        self._cuts = Cuts(program, target, thrifty)
        self._peaks = self._cuts.peaks()
        self._instructions = self._cuts.instructions

    def cheap(self, ram_bytes: int) -> Choice | None:
        """Returns the cheapest plan found that takes so many bytes at most."""
        limit, best = ram_bytes, None
        for _ in range(_MOST_PLANS):
            cut = self._cuts.cheapest(limit)
            if cut is None or (best is not None and _cost(cut) >= best.cost):
                break
            choice = self._choice(cut)
            if choice.plan.ram_bytes <= ram_bytes and (best is None or choice.cost < best.cost):
                best = choice
            limit = min(limit, _peak(cut)) - 1
        return best

    def small(self, most: float | None) -> Choice:
        """Returns the smallest plan found that costs such a part of the instructions at most."""

        def is_good(peak: int) -> bool:
            cut = self._cuts.cheapest(peak)
            return cut is not None and (most is None or self._share(cut) <= most)

        first = bisect.bisect_left(self._peaks, True, key=is_good)
        peaks = self._peaks[first : first + _MOST_PLANS] or [0]
        best = self._choice(self._cuts.cheapest(peaks[0]) or ())
        for peak in peaks[1:]:
            if peak < best.plan.arena_bytes:
                best = min(best, self._choice(self._cuts.cheapest(peak) or ()), key=_bytes)
        return best

    def _choice(self, cut: Sequence[Candidate]) -> Choice:
        stages = [
            stage(self._thrifty if candidate.is_thrifty else self._program, candidate)
            for candidate in cut
        ]
        plan, moving = moves.planned(self._program, stages, _peak(cut))
        cost = _cost(cut) + moving
        return Choice(plan, cost, cost / max(self._instructions, 1.0))

    def _share(self, cut: Sequence[Candidate]) -> float:
        return _cost(cut) / max(self._instructions, 1.0)


def _cost(cut: Sequence[Candidate]) -> float:
    return sum(candidate.cost for candidate in cut)


def _peak(cut: Sequence[Candidate]) -> int:
    return max((candidate.peak_bytes for candidate in cut), default=0)
