"""From a `.tflite` file to a folder of C++ that goes on training layers of the file."""

import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeax.runtime.mcu import (
    build_files,
    cpp_names,
    cpp_program,
    cpp_training,
    folder,
    generate,
    kernels,
    report,
    vectors,
)
from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.report import Report
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.training_program import LOSSES, ONE, ROUNDING, Training, training_of
from edgeax.runtime.mcu.training_vectors import training_vectors

_LEAST_ERRORS = {"cross_entropy": 0.125, "mean_square": 0.0}
_STEPS = 24  # of the test


def generate_training(
    source: str | os.PathLike[str] | bytes,
    out_dir: str | os.PathLike[str],
    target: str = "cortex-m4",
    ram_bytes: int | None = None,
    trainable: int | str | Sequence[int | str] | Mapping[int | str, float] | Any = 1,
    learning_rate_bits: int = 1,
    dead_zone: float = 0.25,
    least_error: float | None = None,
    seed: int = 1,
    samples: tuple[Any, Any] | None = None,
    test_steps: int = _STEPS,
    name: str | None = None,
    loss: str = "cross_entropy",
) -> Report:
    """Writes C++ that runs a `.tflite` file and goes on training layers of it.

    All of it is integers, equal bit for bit on every target. Layers that nothing trained comes
    before are frozen, and run by our kernels of `generate`. Trained weights lie in RAM, and `reset`
    gives them those of the file. A step takes one sample. Gradients by activations are int16 with
    one exponent for all of a tensor; of gradients by weights only the signs are used, and a weight
    moves by one code at most.

    The folder gets `NAME.h` with `reset`, `infer`, `train`, `save` and `load`, `NAME.cc` and
    `NAME_constants.h`, the kernels, `CMakeLists.txt` and `Makefile`, and `NAME_test.cc` with
    `test_vectors.h`: losses and weights of some steps, from Python.

    Args:
        source: Path of a full-integer `.tflite` file, or its bytes. It ends in a FULLY_CONNECTED of
            one row of int8 codes; a SOFTMAX may follow, which `infer` leaves out.
        out_dir: Folder to write; one that was generated before is replaced.
        target: As `generate` takes it.
        ram_bytes: The most static RAM that the program may take, training included.
        trainable: Which layers learn: how many last ones; a list of places among the file's
            operators, or of names, of outputs or Keras layers; "biases", those of all layers; a
            plan of `edgeax.lifelong.plan_update`; or shares in `[0, 1]` by place or name: of the
            input channels of a kernel, of a depthwise one of its channels, the first ones, the bias
            always. CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED can learn, and gradients pass
            ADD of equal shapes, MEAN and AVERAGE_POOL_2D, MAX_POOL_2D, RELU and its kin, RESHAPE
            and QUANTIZE besides.
        learning_rate_bits: A weight moves in one of `2**learning_rate_bits` cases, in `[0, 16]`.
        dead_zone: Share of the layer's largest gradient below which weights rest, in `[0, 1]`;
            biases do not.
        least_error: Weights of an output rest where it is off by less, in `[0, 1]`: a probability,
            or a share of 256 codes. Nothing learns where no output is off by more. None: 0.125 for
            classes, 0 for a mean square.
        seed: Of what is drawn, in `[1, 2**32 - 1]`.
        samples: Inputs as the file's one input stores them, `(n, ...)`, and their classes, `(n,)`,
            or targets, int8 `(n, outputs)`, which the test trains on; None: drawn ones.
        test_steps: Steps of the test, samples taking turns.
        name: As `generate` takes it.
        loss: "cross_entropy" of a softmax of the outputs, or "mean_square".

    Returns:
        The report; its last rows are those of training.

    Raises:
        ValueError: An argument is no good, or the file holds what no program can be generated for
            or what cannot be trained, named by its place; nothing was written then.

    Example: `edgeax.mcu.generate_training("model.tflite", "generated", target="cortex-m7")`.
    """
    generate.check_options(target, ram_bytes, ROUNDING)
    if loss not in LOSSES:
        raise ValueError(
            f"`loss` must be one of {', '.join(LOSSES)}. Received: {loss!r}. Choose one of them."
        )
    least_error = _LEAST_ERRORS[loss] if least_error is None else least_error
    rule = _rule(learning_rate_bits, dead_zone, least_error, seed)
    _check_whole("test_steps", test_steps, 1, 100_000)
    data, origin = generate.content_of(source)
    name = cpp_names.program_name(Path(origin).stem) if name is None else name
    cpp_names.check_name(name)
    folder.check_folder(out_dir)
    training = training_of(data, target, trainable, rule, loss, ram_bytes)
    inputs, wanted = _samples(samples, training)
    found = training_vectors(training, inputs, wanted, test_steps)
    title = Title(name, origin, target, ROUNDING)
    files, constant_bytes = _files(title, training)
    files["test_vectors.h"] = cpp_training.vectors_text(title, training, found).encode()
    folder.write_folder(out_dir, files)
    return Report(
        folder=os.fspath(out_dir),
        files=tuple(sorted(files)),
        target=target,
        rounding=ROUNDING,
        ram_bytes=training.plan.ram_bytes,
        state_bytes=training.plan.state_bytes,
        constant_bytes=constant_bytes,
        steps=report.steps_of(training.plan),
        notes=(f"a saved training takes {training.saved_bytes:,} bytes",),
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


def _samples(
    samples: tuple[Any, Any] | None, training: Training
) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Returns what the test trains on: inputs, a list per sample, and classes or targets."""
    outputs, has_classes = training.outputs, training.kind == "cross_entropy"
    values = [training.value(number) for number in training.inputs]
    if samples is None:
        drawn = [vectors.drawn_inputs(values, seed) for seed in vectors.SEEDS]
        if has_classes:
            return drawn, np.arange(len(drawn), dtype=np.int32) % outputs
        steps = np.arange(len(drawn) * outputs) * 37 % 128 - 64
        return drawn, steps.astype(np.int8).reshape(len(drawn), outputs)
    if not isinstance(samples, (tuple, list)) or len(samples) != 2:
        raise ValueError(
            "`samples` must be a pair: inputs, and their classes or targets. Received: "
            f"{type(samples).__name__}. Leave it out for drawn ones."
        )
    value = values[0]
    shape = ", ".join(map(str, ("n", *value.shape[1:])))
    codes, wanted = np.asarray(samples[0]), np.asarray(samples[1])
    fits = len(values) == 1 and codes.dtype == value.dtype and codes.ndim > 0
    if not fits or codes.shape[1:] != value.shape[1:] or len(codes) < 1:
        raise ValueError(
            f"`samples` must hold {value.dtype} of shape ({shape}), for a model of one input. "
            f"Received: {codes.dtype} {list(codes.shape)}. Quantize them by the input's scale."
        )
    check = _check_classes if has_classes else _check_targets
    check(codes, wanted, outputs)
    kind = np.int32 if has_classes else np.int8
    return [[one.reshape(value.shape)] for one in codes], wanted.astype(kind)


def _check_classes(codes: np.ndarray, labels: np.ndarray, classes: int) -> None:
    is_right = labels.shape == (len(codes),) and labels.dtype.kind in "iu"
    if not is_right or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`samples` must have a class in [0, {classes - 1}] for each input. Received: "
            f"{labels.dtype} {list(labels.shape)}, {labels.reshape(-1)[:8].tolist()}. Count "
            "classes from 0."
        )


def _check_targets(codes: np.ndarray, targets: np.ndarray, outputs: int) -> None:
    if targets.dtype != np.int8 or targets.shape != (len(codes), outputs):
        raise ValueError(
            f"`samples` must have targets, int8 of shape ({len(codes)}, {outputs}). Received: "
            f"{targets.dtype} {list(targets.shape)}. Quantize them by the output's scale."
        )


def _files(title: Title, training: Training) -> tuple[dict[str, bytes], int]:
    """Returns all files but the vectors, and the bytes of constants."""
    name, target = title.name, TARGETS[title.target]
    texts, constant_bytes = cpp_training.source_texts(title, training)
    needed = kernels.needed([*cpp_training.HEADERS, *cpp_program.headers_of(training.plan)])
    sources = [path for path in (*texts, *needed) if path.endswith(".cc")]
    texts |= {
        f"{name}.h": cpp_training.header_text(title, training, constant_bytes),
        f"{name}_test.cc": cpp_training.test_text(title, training),
        "Makefile": build_files.make_text(title, sources, target),
        "CMakeLists.txt": build_files.cmake_text(title, sources),
    }
    files = {path: text.encode() for path, text in texts.items()}
    files.update((path, (kernels.folder() / path).read_bytes()) for path in needed)
    return files, constant_bytes
