"""From a `.tflite` file to a folder of C++ that goes on training the file's last layer."""

import dataclasses
import numbers
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeax.formats.flatbuffer import Model, Subgraph
from edgeax.runtime.mcu import (
    build_files,
    cpp_names,
    cpp_training,
    folder,
    generate,
    kernels,
    oracle,
    report,
    vectors,
    write,
)
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.dense_training import ONE, DenseTraining, Rule, read_dense
from edgeax.runtime.mcu.fold import fold_activations
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.program import Program
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.report import Report, StepReport
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.training_vectors import training_vectors

_ROUNDING = "double"  # the integers of every target, which trained weights depend on
_WEIGHTED = (
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"),
    *("BATCH_MATMUL", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
)
_STEPS = 24  # of the test


def generate_training(
    source: str | os.PathLike[str] | bytes,
    out_dir: str | os.PathLike[str],
    target: str = "cortex-m4",
    ram_bytes: int | None = None,
    trainable: int | Sequence[int | str] = 1,
    learning_rate_bits: int = 1,
    dead_zone: float = 0.25,
    least_error: float = 0.125,
    seed: int = 1,
    samples: tuple[Any, Any] | None = None,
    test_steps: int = _STEPS,
    name: str | None = None,
) -> Report:
    """Writes C++ that runs a `.tflite` file and goes on training its last dense layer.

    All of it is integers, equal bit for bit on every target. The layers before are frozen, and run
    by our kernels of `generate`. The trained weights lie in RAM, and `reset` gives them those of
    the file. A step takes one sample: the cross entropy of a softmax of the scores has gradients
    of which only the signs are used, and a weight moves by one code at most.

    The folder gets `NAME.h` with `reset`, `infer`, `train`, `save` and `load`, `NAME.cc`,
    `NAME_trunk.*` of the frozen layers, the kernels, `CMakeLists.txt` and `Makefile`, and
    `NAME_test.cc` with `test_vectors.h`: losses and weights of some steps, from Python.

    Args:
        source: Path of a full-integer `.tflite` file, or its bytes. It ends in a FULLY_CONNECTED of
            one row of int8 codes, at least one layer before it; a SOFTMAX may follow, which
            `infer` leaves out.
        out_dir: Folder to write; one that was generated before is replaced.
        target: As `generate` takes it.
        ram_bytes: The most static RAM that the program may take, training included.
        trainable: Which layers learn: 1 for the last one, or a list of its place among the file's
            operators or its name. Other layers cannot be trained yet.
        learning_rate_bits: A weight moves in one of `2**learning_rate_bits` cases, in `[0, 16]`.
        dead_zone: Share of the largest gradient below which weights rest, in `[0, 1]`.
        least_error: Weights of a class rest where its probability is off by less, in `[0, 1]`.
        seed: Of what is drawn, in `[1, 2**32 - 1]`.
        samples: Inputs as the file's one input stores them, `(n, ...)`, and their classes, `(n,)`,
            which the test trains on; None: drawn ones.
        test_steps: Steps of the test, samples taking turns.
        name: As `generate` takes it.
    Returns:
        The report; its last row is the trained layer.
    Raises:
        ValueError: An argument is no good, or the file holds what no program can be generated for
            or what cannot be trained, named by its place; nothing was written then.
    Example: `edgeax.mcu.generate_training("model.tflite", "generated", target="cortex-m7")`.
    """
    generate.check_options(target, ram_bytes, _ROUNDING)
    rule = _rule(learning_rate_bits, dead_zone, least_error, seed)
    _check_whole("test_steps", test_steps, 1, 100_000)
    data, origin = generate.content_of(source)
    name = cpp_names.program_name(Path(origin).stem) if name is None else name
    cpp_names.check_name(name)
    folder.check_folder(out_dir)
    layer, trunk_data = _split(data, target, trainable, rule)
    program, choice = generate.chosen(trunk_data, target, _left(ram_bytes, layer), _ROUNDING)
    placed = choice.plan
    if placed.states:
        raise ValueError(
            "the frozen layers must keep nothing from one call to the next. Received: a model "
            f"with {placed.state_bytes} bytes of state. Train a model without state."
        )
    inputs, labels = _samples(samples, trunk_data, program, len(layer.bias))
    features = [oracle.outputs_of(trunk_data, one, _ROUNDING)[0].reshape(-1) for one in inputs]
    wanted = training_vectors(layer, inputs, features, labels, test_steps)
    title = Title(name, origin, target, _ROUNDING)
    files, constant_bytes = _files(title, placed, layer)
    files["test_vectors.h"] = cpp_training.vectors_text(title, placed, wanted).encode()
    folder.write_folder(out_dir, files)
    return Report(
        folder=os.fspath(out_dir),
        files=tuple(sorted(files)),
        target=target,
        rounding=_ROUNDING,
        ram_bytes=placed.ram_bytes + layer.state_bytes,
        state_bytes=layer.state_bytes,
        constant_bytes=constant_bytes,
        steps=(*report.steps_of(placed), _row(layer, placed)),
        notes=(f"a saved training takes {layer.saved_bytes:,} bytes",),
    )


def _rule(rate_bits: int, dead_zone: float, least_error: float, seed: int) -> Rule:
    _check_whole("learning_rate_bits", rate_bits, 0, 16)
    _check_whole("seed", seed, 1, 2**32 - 1)
    for name, value in (("dead_zone", dead_zone), ("least_error", least_error)):
        if not (isinstance(value, numbers.Real) and 0 <= value <= 1):
            raise ValueError(
                f"`{name}` must be a number in [0, 1]. Received: {value!r}. Use 0 for none."
            )
    return Rule(int(rate_bits), round(dead_zone * 256), round(least_error * ONE), int(seed))


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ValueError(
            f"`{name}` must be a whole number in [{low}, {high}]. Received: {value!r}. Leave it "
            "out for the default."
        )


def _split(
    data: bytes, target: str, trainable: int | Sequence[int | str], rule: Rule
) -> tuple[DenseTraining, bytes]:
    """Returns the last layer, and the file of all before it."""
    read_program(data, TARGETS[target], _ROUNDING)  # checks the whole file
    graph = Model.from_bytes(data).subgraphs[0]
    folded = fold_activations(graph)
    place = _last(graph, folded)
    _check_trainable(graph, folded, trainable, place)
    node = Node(place, graph.operators[place], graph.tensors, TARGETS[target], _ROUNDING)
    layer = read_dense(node, rule)
    source = node.inputs[0]
    if source in graph.inputs:
        raise ValueError(
            f"operator {node.label}: the trained layer must have a layer before it. Received: one "
            "that reads the input of the graph. Train a deeper model."
        )
    trunk = Model.from_bytes(data)  # without folded activations, which generate folds again
    trunk.subgraphs[0].operators = trunk.subgraphs[0].operators[:place]
    trunk.subgraphs[0].outputs = [source]
    return layer, trunk.to_bytes()


def _last(graph: Subgraph, folded: set[int]) -> int:
    """Returns the place of the operator that computes the scores."""
    places = [place for place in range(len(graph.operators)) if place not in folded]
    last = graph.operators[places[-1]]
    if last.name == "SOFTMAX" and len(places) > 1:
        places.pop()
        if last.options.get("beta", 1.0) != 1.0:
            raise ValueError(
                f"operator {_told(graph, len(places))}: a last SOFTMAX must have beta 1. Received: "
                f"{last.options['beta']}. Leave it out of the model."
            )
    found = graph.operators[places[-1]]
    ends = (graph.outputs[0],) if len(graph.outputs) == 1 else ()
    writes = (*found.outputs, *(last.outputs if last.name == "SOFTMAX" else ()))
    if found.name != "FULLY_CONNECTED" or not ends or ends[0] not in writes:
        raise ValueError(
            "the file must end in a FULLY_CONNECTED, and a SOFTMAX or nothing, and have one "
            f"output. Received: operator {_told(graph, places[-1])} last, {len(graph.outputs)} "
            "outputs. Export the model with io='int8' and a dense last layer."
        )
    return places[-1]


def _check_trainable(
    graph: Subgraph, folded: set[int], trainable: int | Sequence[int | str], last: int
) -> None:
    """Checks that the last layer alone shall be trained."""
    weighted = [
        place
        for place, operator in enumerate(graph.operators)
        if operator.name in _WEIGHTED and place not in folded
    ]
    asked: list[Any]
    if isinstance(trainable, numbers.Integral) and not isinstance(trainable, bool):
        _check_whole("trainable", trainable, 1, len(weighted))
        asked = [*weighted[-int(trainable) :]]
    elif isinstance(trainable, Sequence) and not isinstance(trainable, str) and trainable:
        asked = [*trainable]
    else:
        raise ValueError(
            "`trainable` must be how many last layers learn, or a list of places or names. "
            f"Received: {trainable!r}. Use 1 for the last layer."
        )
    names = {graph.tensors[graph.operators[place].outputs[0]].name: place for place in weighted}
    places: list[Any] = [names.get(one, one) if isinstance(one, str) else one for one in asked]
    unknown = [one for one in places if one not in weighted or isinstance(one, bool)]
    if unknown:
        known = ", ".join(_told(graph, place) for place in weighted)
        raise ValueError(
            f"`trainable` must name layers with weights. Received: {unknown[0]!r}. The file has "
            f"{known}."
        )
    others = [place for place in places if place != last]
    if others:
        told = "; ".join(_told(graph, place) for place in others)
        raise ValueError(
            f"`trainable` must be the last layer, {_told(graph, last)}. Received: {told} too, "
            "which cannot be trained yet. Leave it frozen."
        )


def _told(graph: Subgraph, place: int) -> str:
    operator = graph.operators[place]
    return f"{place} {operator.name}, {graph.tensors[operator.outputs[0]].name}"


def _left(ram_bytes: int | None, layer: DenseTraining) -> int | None:
    """Returns the RAM that is left for the frozen layers."""
    if ram_bytes is None:
        return None
    if ram_bytes <= layer.state_bytes:
        raise ValueError(
            f"`ram_bytes` must be more than what is trained takes, {layer.state_bytes}. Received: "
            f"{ram_bytes}. Allow more, or make the last layer smaller."
        )
    return ram_bytes - layer.state_bytes


def _samples(
    samples: tuple[Any, Any] | None, data: bytes, program: Program, classes: int
) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Returns what the test trains on: inputs, a list per sample, and classes."""
    if samples is None:
        drawn = [inputs for inputs, _ in vectors.drawn_vectors(data, program, _ROUNDING)]
        return drawn, np.arange(len(drawn), dtype=np.int32) % classes
    value = program.values[program.inputs[0]]
    shape = ", ".join(map(str, ("n", *value.shape[1:])))
    codes, labels = np.asarray(samples[0]), np.asarray(samples[1])
    fits = len(program.inputs) == 1 and codes.dtype == value.dtype and codes.ndim > 0
    if not fits or codes.shape[1:] != value.shape[1:] or len(codes) < 1:
        raise ValueError(
            f"`samples` must hold {value.dtype} of shape ({shape}), for a model of one input. "
            f"Received: {codes.dtype} {list(codes.shape)}. Quantize them by the input's scale."
        )
    is_right = labels.shape == (len(codes),) and labels.dtype.kind in "iu"
    if not is_right or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`samples` must have a class in [0, {classes - 1}] for each input. Received: "
            f"{labels.dtype} {list(labels.shape)}, {labels.reshape(-1)[:8].tolist()}. Count "
            "classes from 0."
        )
    return [[one.reshape(value.shape)] for one in codes], labels.astype(np.int32)


def _files(title: Title, trunk: Plan, layer: DenseTraining) -> tuple[dict[str, bytes], int]:
    """Returns all files but the vectors, and the bytes of constants."""
    name = title.name
    below = dataclasses.replace(title, name=cpp_training.trunk_name(name))
    files, trunk_bytes, _ = write.files_of(below, trunk, TARGETS[title.target], [])
    for path in (f"{below.name}_test.cc", "test_vectors.h", "Makefile", "CMakeLists.txt"):
        del files[path]
    source, own_bytes = cpp_training.source_text(title, trunk, layer)
    constant_bytes = trunk_bytes + own_bytes
    ram_bytes = trunk.ram_bytes + layer.state_bytes
    needed = kernels.needed([cpp_training.HEADER])
    files.update((path, (kernels.folder() / path).read_bytes()) for path in needed)
    sources = [f"{name}.cc", *sorted(path for path in files if path.endswith(".cc"))]
    target = TARGETS[title.target]
    texts = {
        f"{name}.h": cpp_training.header_text(title, trunk, layer, ram_bytes, constant_bytes),
        f"{name}.cc": source,
        f"{name}_test.cc": cpp_training.test_text(title, trunk, layer),
        "Makefile": build_files.make_text(title, sources, target),
        "CMakeLists.txt": build_files.cmake_text(title, sources),
    }
    return files | {path: text.encode() for path, text in texts.items()}, constant_bytes


def _row(layer: DenseTraining, trunk: Plan) -> StepReport:
    constants = [layer.weights, layer.bias, layer.multiplier, layer.shift, layer.exponentials]
    return StepReport(
        label=layer.label,
        kernel="DenseScores, DenseErrors, DenseUpdate",
        macs=2 * layer.weights.size,
        constant_bytes=sum(array.nbytes for array in constants),
        scratch_bytes=0,
        live_bytes=trunk.live_at(len(trunk.stages) - 1),
    )
