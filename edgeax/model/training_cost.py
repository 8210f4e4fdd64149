"""What a training step costs: operations, bits, bytes and picojoules, layer by layer."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import keras

from edgeax.formats.energy import EnergyTable, Product, table_of
from edgeax.formats.methods import implements
from edgeax.model.training_formats import TrainingFormats
from edgeax.model.training_work import LayerWork, training_work

_TEST = "tests/model/test_training_cost.py::"

PHASES = ("forward", "input_gradient", "weight_gradient", "update")

Share = float | Mapping[str, float]
Chosen = Mapping[str, Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What some work costs.

    Attributes:
        macs: Multiply-accumulates.
        bit_operations: The same, each times the widths of both of its operands.
        traffic_bytes: Bytes that move between DRAM and the chip.
        energy_pj: Picojoules.
    """

    macs: float = 0.0
    bit_operations: float = 0.0
    traffic_bytes: float = 0.0
    energy_pj: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cost(*(mine + theirs for mine, theirs in pairs))

    def scaled(self, share: float) -> "Cost":
        """Returns the cost of a share of the work."""
        return Cost(*(share * value for value in dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class LayerTrainingCost:
    """What training costs in one layer.

    Attributes:
        path: Where the layer stands.
        kind: Name of its class.
        phases: Its costs by `"forward"`, `"input_gradient"`, `"weight_gradient"`, `"update"`.
    """

    path: str
    kind: str
    phases: Mapping[str, Cost]

    @property
    def total(self) -> Cost:
        """The sum over all phases."""
        return _sum(self.phases.values())


@dataclasses.dataclass(frozen=True)
class ModelTrainingCost:
    """What one training step of a model costs; prints as a table.

    Attributes:
        layers: One entry for each layer with weights, in the order of the graph.
    """

    layers: tuple[LayerTrainingCost, ...]

    @property
    def total(self) -> Cost:
        """The sum over all layers."""
        return _sum(layer.total for layer in self.layers)

    @property
    def phases(self) -> dict[str, Cost]:
        """The sums over all layers, by phase."""
        return {phase: _sum(layer.phases[phase] for layer in self.layers) for phase in PHASES}

    def __str__(self) -> str:
        energies = (f"{phase} uJ" for phase in PHASES)
        head = ("layer", "kind", "MACs", "bit operations", "bytes", "uJ", *energies)
        phases = self.phases
        rows = [head, *(_cells(row.path, row.kind, row.phases) for row in self.layers)]
        rows.append(_cells("total", "", phases))
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


@dataclasses.dataclass(frozen=True)
class StepCost:
    """The cost of a model's training steps, for any shares of work that is skipped.

    Attributes:
        work: What a step without skips does.
        table: Energies.
        slots: How many numbers the optimizer remembers for each weight.
    """

    work: Sequence[LayerWork]
    table: EnergyTable
    slots: int = 1

    def __call__(
        self,
        run_fraction: float = 1.0,
        kept: Share = 1.0,
        predicted_fraction: Share = 0.0,
        chosen: Chosen | None = None,
    ) -> ModelTrainingCost:
        """Returns the mean cost of a step; arguments as in `training_cost`."""
        blocks = {work.block for work in self.work if work.block is not None}
        _check_share("run_fraction", run_fraction)
        _check_share("kept", kept, blocks)
        _check_share("predicted_fraction", predicted_fraction, {work.path for work in self.work})
        layers = []
        for work in self.work:
            ran = run_fraction
            if work.block is not None:
                ran *= _share_of(kept, work.block, 1.0)
            predicted = _share_of(predicted_fraction, work.path, 0.0)
            shares = (chosen or {}).get(work.block or "", work.chosen) if work.choices else ()
            phases = self._mixed(work, predicted, shares)
            scaled = {phase: cost.scaled(ran) for phase, cost in phases.items()}
            layers.append(LayerTrainingCost(work.path, work.kind, scaled))
        return ModelTrainingCost(tuple(layers))

    def _mixed(self, work: LayerWork, predicted: float, shares: Sequence[float]) -> dict[str, Cost]:
        """Returns the cost by phase, of a layer with a choice of formats the mean over them."""
        if not len(shares):
            return self._phases(work, predicted)
        parts = [self._phases(choice, predicted) for choice in work.choices]
        mixed = {
            phase: _sum(
                part[phase].scaled(share) for part, share in zip(parts, shares, strict=True)
            )
            for phase in PHASES
        }
        return {**mixed, "update": parts[-1]["update"]}

    def _phases(self, work: LayerWork, predicted: float) -> dict[str, Cost]:
        weight_gradient = _sum(map(self._product, work.weight_gradient))
        if work.predicted:
            weight_gradient = _sum(
                self._predicted(most, full, predicted)
                for most, full in zip(work.predicted, work.weight_gradient, strict=True)
            )
        return {
            "forward": _sum(map(self._product, work.forward)),
            "input_gradient": _sum(map(self._product, work.input_gradient)),
            "weight_gradient": weight_gradient,
            "update": self._update(work),
        }

    def _product(self, product: Product) -> Cost:
        energy = self.table.on_chip(product) + self.table.off_chip(product)
        return Cost(product.macs, product.bit_operations, product.traffic_bytes, energy)

    def _predicted(self, most: Product, full: Product, share: float) -> Cost:
        """Returns the cost of a product from the most significant bits, and of that from all bits
        where these do not decide; from DRAM all bits come once.
        """
        left = 1.0 - share
        return Cost(
            macs=most.macs + left * full.macs,
            bit_operations=most.bit_operations + left * full.bit_operations,
            traffic_bytes=full.traffic_bytes,
            energy_pj=self.table.on_chip(most)
            + left * self.table.on_chip(full)
            + self.table.off_chip(full),
        )

    def _update(self, work: LayerWork) -> Cost:
        """Returns the cost of a weight and `slots` numbers read and written, and a gradient read;
        one multiply-accumulate for each of these numbers that is written.
        """
        width, written = work.update, 1 + self.slots
        macs, moved = written * work.trained, (2 * written + 1) * work.trained
        return Cost(
            macs=macs,
            bit_operations=macs * width.bits**2,
            traffic_bytes=moved * width.bits / 8,
            energy_pj=macs * self.table.mac(width, width) + self.table.moved(moved, width),
        )


def step_cost(
    model: keras.Model,
    batch_size: int = 1,
    formats: TrainingFormats | None = None,
    energy: str | EnergyTable = "45nm",
    slots: int = 1,
) -> StepCost:
    """Returns the cost of a model's training steps as a function of what is skipped.

    Args: as in `training_cost`, which is this function's result called once.
    """
    table = table_of(energy)
    return StepCost(tuple(training_work(model, batch_size, formats)), table, int(slots))


@implements("CES16", test=_TEST + "test_ces16_a_dense_layer_worked_out_by_hand")
@implements("WJC19", test=_TEST + "test_wjc19_dropped_skipped_and_predicted_work_is_not_paid_for")
def training_cost(
    model: keras.Model,
    batch_size: int = 1,
    formats: TrainingFormats | None = None,
    energy: str | EnergyTable = "45nm",
    run_fraction: float = 1.0,
    kept: Share = 1.0,
    predicted_fraction: Share = 0.0,
    slots: int = 1,
    chosen: Chosen | None = None,
) -> ModelTrainingCost:
    """Returns what a training step of a model costs on the modelled hardware, layer by layer.

    Counted are the products with kernels: forward, gradient of the input (none where no layer
    before is trained), gradient of the weight (none of a frozen layer); and the update of every
    trained number. Each tensor of a product passes the border of the chip once; on the chip a
    row-stationary array with the scratch pads of Eyeriss says how often a number is used again.
    Products of normalizations and activations are not counted.

    Source: [CES16] for the hierarchy, [SH16] and [HLM16] for the 45 nm table, [WJC19] for what
    skips save.

    Args:
        model: Plain or compressed, nested models included.
        batch_size: Samples in a step, at least 1.
        formats: Those in which all layers are trained; None: what each layer's transforms and
            arithmetic say now, and float32 where they say nothing.
        energy: `"45nm"`, `"eyeriss"`, or a table of one's own.
        run_fraction: Share of steps that are run, as with mini-batch dropping.
        kept: Share of steps in which a selective block runs, for all or by its path.
        predicted_fraction: Share of a weight's gradient that its most significant bits decide, for
            all layers that predict it or by path.
        slots: How many numbers the optimizer remembers for each weight: 1 for momentum, 2 for Adam.
        chosen: Shares of samples that have each of the widths that a gate chooses from, by the path
            of the block; those of the last training step where a block is left out.

    Raises:
        ValueError: A share lies outside [0, 1] or names what is not there, or another argument is
            out of its range.

    Example: `print(edgeax.cost.training_cost(model, batch_size=32, run_fraction=0.5))`
    """
    step = step_cost(model, batch_size, formats, energy, slots)
    return step(run_fraction, kept, predicted_fraction, chosen)


def _sum(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def _share_of(shares: Share, path: str, otherwise: float) -> float:
    return shares.get(path, otherwise) if isinstance(shares, Mapping) else shares


def _check_share(name: str, shares: Share, paths: Iterable[str] = ()) -> None:
    values = shares if isinstance(shares, Mapping) else {None: shares}
    unknown = sorted({*shares} - {*paths}) if isinstance(shares, Mapping) else []
    if unknown:
        raise ValueError(f"`{name}` must name some of {sorted(paths)}. Received: {unknown}.")
    wrong = [value for value in values.values() if not 0.0 <= value <= 1.0]
    if wrong:
        raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={wrong[0]!r}.")


def _cells(path: str, kind: str, phases: Mapping[str, Cost]) -> tuple[str, ...]:
    total = _sum(phases.values())
    counts = (total.macs, total.bit_operations, total.traffic_bytes)
    energies = (total.energy_pj, *(phases[phase].energy_pj for phase in PHASES))
    return (path, kind, *(f"{n:,.0f}" for n in counts), *(f"{e / 1e6:,.3f}" for e in energies))
