"""export(): freeze, convert, lower, check, write."""

import json
import os
import statistics
import warnings
from collections import Counter
from typing import Any

import keras
import numpy as np

from edgeax._version import __version__
from edgeax.export.assemble import assemble, dense_int8, with_decode
from edgeax.export.choice import Choice
from edgeax.export.convert import errors_only
from edgeax.export.on_device_training import OnDeviceTraining
from edgeax.export.parity import compare, compare_outputs
from edgeax.export.result import LEAST_MARGIN, Result
from edgeax.export.slim import slim
from edgeax.export.stateful import check_stateful, stateful_layers
from edgeax.export.training_check import check_runs
from edgeax.export.training_file import TrainingFile, training_file
from edgeax.formats import decode_lut, micro_operators
from edgeax.formats.files import check_writable, write_atomically
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS, TRAINING_OPERATORS
from edgeax.formats.speeds import Speeds, read_speeds, speeds_for_kernels
from edgeax.model.rewrite import check_model, paths_of_compressed
from edgeax.model.samples import random_samples, take_samples
from edgeax.model.subclassed import as_functional
from edgeax.runtime import latency
from edgeax.runtime.details import METADATA_KEY
from edgeax.runtime.interpreter import Interpreter
from edgeax.runtime.processor import fastest_kernels

RUNTIMES = ("edgeax", "stock", "tflm", "tflm+edgeax")
PACKED = ("edgeax", "tflm+edgeax")
"""Runtimes whose files may have edgeax's operators."""

ACTIVATIONS = ("int8", "int16", "float32")
OPTIMIZE = (None, "size", "latency")

_TIMED_RUNS = 30


@errors_only()
def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    samples: Any = None,
    activations: str = "int8",
    io: str = "float32",
    runtime: str = "edgeax",
    strict: bool = False,
    measure: bool = True,
    optimize: str | None = None,
    target: str | os.PathLike[str] | None = None,
    train: OnDeviceTraining | None = None,
) -> Result:
    """Writes a model as a `.tflite` file and returns a receipt.

    Kernels are stored in the codes that training ended with, packed or without their zeros where
    that is smaller.
    Activations are rounded in the ranges that training followed; what it did not follow is taken
    from the samples. The file's batch is 1. It is compared with the Keras model before it is
    written, and it is written whole or not at all.

    Args:
        model: Sequential, functional, or a subclass whose `call` uses only Keras's layers and
            `keras.ops`; compressed by `edgeax.compress` or plain.
        path: The file to write; its folder must exist.
        samples: Typical inputs: an array, a list or dict of arrays, or a `tf.data.Dataset` of
            batches. A few hundred are plenty. With `train` they may be missing: the file computes
            in float then, and is checked with random inputs.
        activations: `"int8"` or `"int16"` computes in integers; `"float32"` writes a float file, in
            which products of matrices may still take kernels in codes, with `runtime="edgeax"`.
            Where training rounded activations it is their width that counts: a model trained with
            `Quantize("int16")` computes in 16 bits beside kernels of 8 bits or, with
            `runtime="edgeax"`, packed and sparse ones; operators for kernels in bits, in groups, in
            sub-vectors or coded take 8-bit activations only.
        io: `"float32"` or `"int8"`: the type of the file's inputs and outputs.
        runtime: `"edgeax"` may use edgeax's operators, which need its plugin; `"stock"` writes
            built-in operators only; `"tflm"` writes these, and kernels of few codes for the DECODE
            operator of TensorFlow Lite Micro, where that makes the file smaller: it runs there
            without further code, gives the outputs of the stock file, and needs more arena, see
            `Result.decode_arena_bytes`; `"tflm+edgeax"` uses edgeax's operators there, which
            compute from packed kernels, see tflite_kernels/TFLM.md. Both refuse operators that
            TensorFlow Lite Micro lacks; `Result.op_resolver` registers those of the file.
        strict: Raise when an operator computes in float although integers were asked for.
        measure: Measure the float model's size and the time of both on this machine; of a file
            with operators of edgeax also those of the same model in int8 without them. A file for
            DECODE is compared by its size only.
        optimize: `"size"` also codes kernels, with `runtime="edgeax"`: they are decoded into memory
            when the file is loaded, which takes time and the `decoded_bytes` of `Result.kernels`.
            Names of tensors that are neither inputs nor outputs are left out. `"latency"` takes
            for each layer the operator that is the fastest by what was measured in layers like it,
            with `runtime="edgeax"`: ours where it gains 5 % or more, else the built-in one. Kernels
            of bits beside signs always get ours, and those beside sums of signs that 8-bit integers
            do not hold, and kernels beside 16-bit activations the built-in one: no table has them.
            None takes the fewest bytes of what needs no decoding.
        target: With `optimize="latency"`, whose speeds count: the name of a table that comes with
            edgeax, such as `"x86-64-avx512"`, or the path of one that `edgeax tune` wrote on the
            device. None: the table for the kernels that this machine has.
        train: What the file can learn where it runs; see `OnDeviceTraining`. It then has the
            signatures `infer`, `train`, `gradients`, `save`, `restore` and `reset`, for
            `edgeax.runtime.Trainer`. What is trained computes in float, as do the layers behind;
            those in front get what the other arguments ask for.

    Returns:
        Sizes, operators, parity per layer and times.

    Raises:
        ValueError: An argument is out of its choices, the model or the samples are unusable, or
            `strict` finds float operators. Nothing was written then.
        FileNotFoundError: `target` is None, and the plugin library is missing.
        OSError: The disk is full. No part of the file stays then.
    """
    _check_choice("activations", activations, ACTIVATIONS)
    _check_choice("io", io, ("float32", "int8"))
    _check_choice("runtime", runtime, RUNTIMES)
    _check_choice("optimize", optimize, OPTIMIZE)
    if optimize is not None and runtime != "edgeax":
        raise ValueError(
            "`optimize` can be given only with runtime='edgeax', whose operators it chooses. "
            f"Received: optimize={optimize!r}, runtime={runtime!r}."
        )
    if optimize == "latency" and activations == "float32":
        raise ValueError(
            "`optimize` can be 'latency' only where activations are integers: no table has "
            f"operators of floats. Received: optimize={optimize!r}, activations={activations!r}."
        )
    speeds = _speeds(optimize, target)
    if io == "int8" and activations != "int8":
        raise ValueError(
            "`io` can be 'int8' only with activations='int8'. "
            f"Received: io={io!r}, activations={activations!r}."
        )
    if train is not None:
        _check_for_training(train, runtime, io)
    check_writable(path)
    model = as_functional(model)
    check_model(model)
    check_stateful(model)
    if train is not None and samples is None:
        arrays, activations = random_samples(model), "float32"
    else:
        arrays = take_samples(samples, model)
    unsettled = _unsettled(model)
    if unsettled:
        warnings.warn(
            f"Training ended before the recipe had its full effect: {'; '.join(unsettled)}. "
            "Train for more steps, or let the schedules begin and end earlier.",
            stacklevel=3,
        )

    integer = activations != "float32"
    wide = activations == "int16"
    choice = Choice(optimize, speeds)
    if train is not None:
        pack = runtime in PACKED
        trainable = training_file(
            model, arrays, train, integer=integer, pack=pack, wide=wide, choice=choice
        )
        return _write_for_training(model, trainable, path, arrays, runtime, strict, measure, choice)
    plain = assemble(model, arrays, integer, io, pack=runtime in PACKED, wide=wide, choice=choice)
    made = with_decode(plain) if runtime == "tflm" else plain
    file, frozen, stays_float = made.file, made.frozen, made.stays_float
    check_runtime(file, runtime)
    if strict and stays_float:
        raise ValueError(
            "`strict` allows no operator to compute in float. "
            f"Received a model that needs: {list(stays_float)}. Use strict=False to keep them."
        )
    operators = _operators(file)
    ours = sorted({*operators} & {*OPERATORS})
    is_decoded = decode_lut.OPERATOR in operators
    stateful = bool(stateful_layers(model))
    file.metadata[METADATA_KEY] = _note(ours, is_decoded, stateful)
    content = file.to_bytes()
    parity = compare(model, frozen, content, arrays)  # by the names that may go
    if optimize == "size":
        slim(file)
        content = file.to_bytes()
    measured: dict[str, Any] = {"float_size_bytes": None, "latency_ms": {}}
    if measure:
        dense = plain.file if is_decoded else dense_int8(made, io) if ours and integer else None
        files = _rivals(model, arrays, dense, stateful)
        measured = _sizes(files)
        if not is_decoded:  # decoded beforehand, it would be timed as another file
            measured |= _times({**files, "file": content}, arrays)
    return _written(
        path,
        file,
        content,
        choice,
        kernels=made.kernels,
        stays_float=stays_float,
        parity=parity,
        needs_tflm=is_decoded,
        decode_arena_bytes=_more(file.peak_activation_bytes(), plain.file.peak_activation_bytes()),
        **measured,
    )


def _check_for_training(train: Any, runtime: str, io: str) -> None:
    """Checks the arguments that training on the device leaves no choice in.

    Raises:
        ValueError: One is something else.
    """
    if not isinstance(train, OnDeviceTraining):
        raise ValueError(f"`train` must be an edgeax.OnDeviceTraining. Received: train={train!r}.")
    if runtime not in ("edgeax", "stock"):
        raise ValueError(
            "`train` can be given only with runtime='edgeax' or 'stock'. Received: "
            f"runtime={runtime!r}. For microcontrollers use edgeax.mcu.generate_training."
        )
    if io != "float32":
        raise ValueError(f"`train` can be given only with io='float32'. Received: io={io!r}.")


def _write_for_training(
    model: keras.Model,
    made: TrainingFile,
    path: str | os.PathLike[str],
    samples: list[np.ndarray],
    runtime: str,
    strict: bool,
    measure: bool,
    choice: Choice,
) -> Result:
    """Checks and writes a file that can be trained, and returns its receipt."""
    file, report, trunk = made.file, made.report, made.trunk
    if runtime == "stock" and report.gradient_operators:
        raise ValueError(
            "`runtime` can be 'stock' only where training needs built-in operators alone. "
            f"Received: a model that needs {[*report.gradient_operators]}. Train fewer layers, or "
            "use runtime='edgeax'."
        )
    stays_float = () if trunk is None else trunk.stays_float
    if strict and (stays_float or report.float_behind):
        raise ValueError(
            "`strict` allows no operator to compute in float but those of trained layers. Received "
            f"a model that needs: {[*stays_float, *report.float_behind]}. Use strict=False."
        )
    ours = sorted({*_operators(file)} & {*OPERATORS, *TRAINING_OPERATORS})
    file.metadata[METADATA_KEY] = _note(ours, False, False)
    if choice.optimize == "size":
        slim(file)
    content = file.to_bytes()
    check_runs(content, made.signature, samples)
    parity = compare_outputs(model, content, samples, made.signature.infer_batch_size)
    measured: dict[str, Any] = {"float_size_bytes": None, "latency_ms": {}}
    if measure:
        files = _rivals(model, samples, None, False)
        measured = _sizes(files)
        if made.signature.infer_batch_size == 1:
            measured |= _times({**files, "file": content}, samples)
    return _written(
        path,
        file,
        content,
        choice,
        kernels=() if trunk is None else trunk.kernels,
        stays_float=stays_float,
        parity=parity,
        training=report,
        **measured,
    )


def _written(
    path: str | os.PathLike[str], file: Model, content: bytes, choice: Choice, **others: Any
) -> Result:
    """Writes a file and returns its receipt; `others` are what the file itself does not show."""
    operators = _operators(file)
    write_atomically(path, content)
    return Result(
        path=os.fspath(path),
        size_bytes=len(content),
        operators=dict(operators),
        peak_activation_bytes=file.peak_activation_bytes(),
        needs_plugin=bool({*operators} & {*OPERATORS, *TRAINING_OPERATORS}),
        target="" if choice.speeds is None else choice.speeds.title,
        **others,
    )


def _operators(file: Model) -> Counter[str]:
    return Counter(operator.name for graph in file.subgraphs for operator in graph.operators)


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")


def check_runtime(file: Model, runtime: str) -> None:
    """Checks that the runtime of a file has its operators.

    Raises:
        ValueError: It has not.
    """
    missing = micro_operators.lacks(file) if runtime.startswith("tflm") else []
    if missing:
        raise ValueError(
            "`runtime` can be for TensorFlow Lite Micro only where that has every operator. "
            f"Received: runtime={runtime!r} with {missing}. Use other layers there, or "
            "runtime='edgeax' or 'stock' for LiteRT."
        )


def _speeds(optimize: str | None, target: str | os.PathLike[str] | None) -> Speeds | None:
    """Returns the table that decides, None where bytes do.

    Raises:
        ValueError: There is no such table, or none is wanted.
    """
    if optimize == "latency":
        return speeds_for_kernels(fastest_kernels()) if target is None else read_speeds(target)
    if target is not None:
        raise ValueError(
            "`target` can be given only with optimize='latency': nothing else asks what is fast. "
            f"Received: target={target!r}, optimize={optimize!r}."
        )
    return None


def _more(size: int | None, than: int | None) -> int | None:
    return None if size is None or than is None else size - than


def _unsettled(model: keras.Model) -> list[str]:
    """Returns which transforms of which kernels wait for more training steps."""
    waiting: dict[str, list[str]] = {}
    for path, layer in paths_of_compressed(model).items():
        for chain in layer.chains:
            for transform in chain.transforms:
                if chain.step < transform.settled_step:
                    name = type(transform).__name__
                    text = f"{name} needs {transform.settled_step} steps and got {chain.step}"
                    waiting.setdefault(text, []).append(path)
    return [f"{text} (in {', '.join(paths)})" for text, paths in waiting.items()]


def _note(operators: list[str], is_decoded: bool, stateful: bool) -> bytes:
    """Returns what the metadata says about who wrote the file and what its operators need."""
    note: dict[str, Any] = {"version": __version__}
    if stateful:
        note["stateful"] = True
    if operators:
        note |= {
            "plugin": "libedgeax",
            "operators": operators,
            "install": "pip install edgeax; edgeax.load_delegate()",
        }
    if is_decoded:
        note |= {"runtime": "TensorFlow Lite Micro", "operators": [decode_lut.OPERATOR]}
    return json.dumps(note, separators=(",", ":")).encode()


def _rivals(
    model: keras.Model, samples: list[np.ndarray], dense: Model | None, stateful: bool
) -> dict[str, bytes]:
    """Returns the files that one is compared with, by name.

    Args:
        model: Sequential or functional, compressed or plain.
        samples: One array per input.
        dense: A file that has custom operators without them, None if it has none.
        stateful: Whether the model keeps its state.
    """
    files = {"float32": assemble(model, samples, integer=False).file.to_bytes()}
    if dense is not None:
        dense.metadata[METADATA_KEY] = _note([], False, stateful)
        files["int8"] = dense.to_bytes()
    return files


def _sizes(files: dict[str, bytes]) -> dict[str, Any]:
    """Returns the parts of a `Result` that compare the sizes of files."""
    dense_size_bytes = len(files["int8"]) if "int8" in files else None
    return {
        "float_size_bytes": len(files["float32"]),
        "dense_size_bytes": dense_size_bytes,
        "latency_ms": {},
    }


def _times(files: dict[str, bytes], samples: list[np.ndarray]) -> dict[str, Any]:
    """Returns the parts of a `Result` that compare the times of files, which run in turns."""
    one = [array[:1] for array in samples]
    interpreters = {
        name: Interpreter(model_content=content, num_threads=1) for name, content in files.items()
    }
    turns = latency.turns(interpreters, one, repeats=_TIMED_RUNS)
    measured: dict[str, Any] = {
        "latency_ms": {name: statistics.median(times) for name, times in turns.items()},
    }
    if "int8" in files:
        noise = latency.noise(turns["int8"], turns["file"])
        measured["latency_margin"] = max(LEAST_MARGIN, noise)
    return measured
