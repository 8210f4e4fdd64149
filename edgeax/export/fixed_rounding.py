"""Fixed rounding: the layers of a frozen model that round, and where they stand."""

import dataclasses
from typing import Any

import keras

from edgeax.export.frozen import Point
from edgeax.export.nearest import Nearest, WholeNearest
from edgeax.export.rounding import IN_FORMAT, Formatted, Grid, Signs
from edgeax.export.sign_sums import SignSums, WholeSignSum
from edgeax.export.signs import WholeSign
from edgeax.export.stages import Stage
from edgeax.formats.names import described
from edgeax.formats.rounding import Halves
from edgeax.model.device import averages, halves_of_averages

# Of an activation that is nothing but zeros and comes from nothing that is rounded.
_STEP_OF_ZEROS = 1.0 / 255.0


class FixedRounding:
    """Puts the rounding layers into the frozen model, and notes where; a `Rounding` of stages.

    Attributes:
        points: The places where values are rounded to a grid, in their order.
        steps: Names of the rounding layers within the steps of recurrent layers.
        formatted: Paths of what is rounded to a format that has no integers, and that format.
        sums: Sums of signs, by the operators that stand for them.
        nearest: What is put on points, by the operators that stand for it.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.steps: list[str] = []
        self.formatted: list[tuple[str, str]] = []
        self.sums: dict[str, SignSums] = {}
        self.nearest: dict[str, Nearest] = {}
        self._inputs = 0
        self._signs = 0
        self._grids: dict[int, Grid] = {}
        # Names of the layers that a tensor went through since it was last rounded.
        self._layers: dict[int, tuple[str, ...]] = {}
        # Steps of the grid that a tensor is on, or that it was computed from.
        self._steps: dict[int, float] = {}

    def __call__(self, stage: Stage, given: Any, result: Any) -> Any:
        source = None
        if stage.part.layer is None:
            source, self._inputs = self._inputs, self._inputs + 1
        layers = (*self._layers.get(id(given), ()), getattr(stage.part.layer, "name", stage.path))
        if stage.part.moves and id(given) in self._grids:
            # Said again: the converter loses a grid that passes through several operators.
            grid = self._grids[id(given)]
            if averages(stage.part.layer) and not stage.is_step:
                halves = halves_of_averages(stage.part.layer)
                return self._point(stage, layers, grid, result, source, halves)
            return keras.tree.map_structure(
                lambda part: self._round(part, grid, self._step() if stage.is_step else None),
                result,
            )
        if not stage.rounded or stage.rounding is None:
            self._layers[id(result)] = layers
            self._steps[id(result)] = self._step_before(given)
            return result
        if isinstance(stage.rounding, Signs):
            self._signs += 1
            signs = WholeSign(stage.rounding.magnitude, name=f"signs_{self._signs}")(result)
            return self._round(signs, stage.rounding.grid, f"of_signs_{self._signs}")
        if isinstance(stage.rounding, SignSums):
            whole = WholeSignSum(stage.rounding, len(self.sums))
            name, self.sums[whole.operator] = f"of_sums_{len(self.sums)}", stage.rounding
            return self._round(whole(result), stage.rounding.grid, name)
        if isinstance(stage.rounding, Nearest):
            if stage.rounding.entered is not None:
                result = self._point(stage, layers, stage.rounding.entered, result, source)
            nearest = WholeNearest(stage.rounding, len(self.nearest))
            name, self.nearest[nearest.operator] = f"on_points_{len(self.nearest)}", stage.rounding
            return self._round(nearest(result), stage.rounding.grid, name)
        if isinstance(stage.rounding, Formatted):
            self.formatted.append((stage.path, described(stage.rounding.format)))
            return stage.rounding.layer(f"{IN_FORMAT}_{len(self.formatted)}")(result)
        grid = stage.rounding.filled(self._step_before(given) or _STEP_OF_ZEROS)
        if stage.is_step:
            return self._round(result, grid, self._step())
        return self._point(stage, layers, grid, result, source)

    def _point(
        self,
        stage: Stage,
        layers: tuple[str, ...],
        grid: Grid,
        result: Any,
        source: int | None,
        halves: Halves | None = None,
    ) -> Any:
        """Returns a result rounded, and notes the place."""
        name = f"range_{len(self.points)}"
        if grid.top is not None:
            layers = (*layers, name)  # the limit is the last operator
        self.points.append(Point(stage.path, name, layers, grid, result.shape, source, halves))
        return self._round(result, grid, name)

    def _step_before(self, given: Any) -> float:
        """Returns the largest step of what went into a layer, 0 where it was not rounded."""
        return max((self._steps.get(id(t), 0.0) for t in keras.tree.flatten(given)), default=0.0)

    def _step(self) -> str:
        """Returns a name for a rounding within the steps of a recurrent layer, and notes it."""
        self.steps.append(f"step_{len(self.steps)}")
        return self.steps[-1]

    def _round(self, tensor: Any, grid: Grid, name: str | None) -> Any:
        tensor = grid.layer(name)(tensor)
        self._grids[id(tensor)] = dataclasses.replace(grid, top=None)
        self._steps[id(tensor)] = grid.step
        return tensor
