"""LSTM files with one operator, of any scales: random weights, some of them so large that gates
overflow.
"""

import dataclasses

import numpy as np

from edgeax.formats.flatbuffer import Model

OPERATOR = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_OPTIONS = "UnidirectionalSequenceLSTMOptions"
_TANH = 4  # ActivationFunctionType of the schema
_ABSENT = -1


@dataclasses.dataclass(frozen=True)
class Case:
    """What differs between the files.

    Attributes:
        batch, time, features, units: Sizes.
        time_major: Whether time comes before batch.
        couples: Whether there is no input gate.
        cell_bits: The cell's scale is `2**(cell_bits - 15)`.
        cell_clip: Limit of the cell, 0 for none.
        weight_scale: Scale of the weights, whose codes are in [-127, 127].
        zero_points: Of the input and of the output.
    """

    batch: int = 1
    time: int = 4
    features: int = 5
    units: int = 6
    time_major: bool = False
    couples: bool = False
    cell_bits: int = 1
    cell_clip: float = 0.0
    weight_scale: float = 0.01
    zero_points: tuple[int, int] = (3, -5)


def build(case: Case, seed: int = 0) -> bytes:
    """Returns the file."""
    source = np.random.default_rng(seed)
    model = Model.empty()
    graph = model.subgraphs[0]
    lead = (case.time, case.batch) if case.time_major else (case.batch, case.time)
    before, after = case.zero_points
    given = _tensor(graph, "x", "int8", (*lead, case.features), 0.03, before)
    made = _tensor(graph, "y", "int8", (*lead, case.units), 1 / 128, after)
    kernels = [
        graph.add_tensor(
            f"kernel{place}",
            source.integers(
                -127, 128, (case.units, case.features if place < 4 else case.units)
            ).astype(np.int8),
            case.weight_scale * (1 + place / 8),
        )
        for place in range(8)
    ]
    biases = [
        graph.add_tensor(
            f"bias{place}",
            source.integers(-20000, 20000, case.units).astype(np.int32),
            0.03 * case.weight_scale * (1 + place / 8),
        )
        for place in range(4)
    ]
    if case.couples:
        kernels[0] = kernels[4] = biases[0] = _ABSENT
    shape = (case.batch, case.units)
    hidden = graph.add_state("hidden", "int8", shape, 1 / 128, [after])
    cell = graph.add_state("cell", "int16", shape, 2.0 ** (case.cell_bits - 15))
    within = [_tensor(graph, f"within{gate}", "int16", (0,), 2.0**-12, 0) for gate in range(4)]
    within.append(_tensor(graph, "within4", "int8", (0,), 1 / 128, after))
    absent = [_ABSENT] * 3, [_ABSENT] * 2, [_ABSENT] * 4
    inputs = [given, *kernels, *absent[0], *biases, *absent[1], hidden, cell, *absent[2]]
    graph.insert(0, OPERATOR, inputs, [made])
    options = {
        "fusedActivationFunction": _TANH,
        "timeMajor": case.time_major,
        "cellClip": case.cell_clip,
    }
    model.replace_with_builtin(0, 0, OPERATOR, inputs, _OPTIONS, options, within)
    graph.inputs, graph.outputs = [given], [made]
    model.prune()
    return model.to_bytes()


def every_code(gate: str) -> tuple[bytes, np.ndarray]:
    """Returns a file whose gate gets every code of 16 bits, and its input.

    One step from a cell of 0: the entry gate times the new content, one of which gets the code
    `256 * x + unit`, x being the three features of a batch, and the other the largest code.

    Args:
        gate: "entry" or "content".
    """
    case = Case(batch=256, time=1, features=3, units=256, cell_bits=0, zero_points=(0, 0))
    model = Model.from_bytes(build(case))
    graph = model.subgraphs[0]
    operator = graph.operators[0]
    place = {"entry": 0, "content": 2}[gate]
    graph.tensors[operator.inputs[0]].scale = 2.0**-6
    for other in range(4):
        weights = graph.tensors[operator.inputs[1 + other]]
        bias = graph.tensors[operator.inputs[12 + other]]
        weights.scale = 2.0**-6
        weights.data = np.tile(np.int8([127, 127, 2]) * (other == place), (256, 1))
        bias.data = np.arange(256, dtype=np.int32) if other == place else np.int32([32767] * 256)
    codes = np.arange(-128, 128, dtype=np.int8)
    return model.to_bytes(), np.repeat(codes, 3).reshape(256, 1, 3)


def inputs(case: Case, runs: int, seed: int = 1) -> np.ndarray:
    """Returns codes of the input, the extreme ones among them, for several invocations."""
    lead = (case.time, case.batch) if case.time_major else (case.batch, case.time)
    shape = (runs, *lead, case.features)
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def _tensor(graph, name, dtype, shape, scale, zero_point) -> int:
    return graph.add_state(name, dtype, shape, scale, [zero_point], is_variable=False)
