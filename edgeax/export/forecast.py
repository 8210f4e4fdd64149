"""Forecast: what an export will make of a model, before anybody has trained it."""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.export.api import PACKED, RUNTIMES, check_runtime
from edgeax.export.assemble import assemble, with_decode
from edgeax.export.convert import errors_only
from edgeax.export.lower_binary import HOW as BINARY
from edgeax.export.lower_decode import HOW as DECODE
from edgeax.export.lower_lookup import HOW as LOOKUP
from edgeax.export.lower_vector import HOW as VECTOR
from edgeax.export.result import WHERE_DECODE_RUNS
from edgeax.export.stateful import check_stateful
from edgeax.export.stored import AS_CONVERTED, Stored
from edgeax.formats.tables import text_table
from edgeax.model.graph import inputs_of, is_nested
from edgeax.model.presets import at_once
from edgeax.model.rewrite import compress
from edgeax.model.samples import take_samples
from edgeax.model.subclassed import as_functional, check_holds_no_subclassed
from edgeax.model.summary import summary
from edgeax.transforms.checks import checked_choice

_OPEN_SIZE = 16
_SAMPLES = 8


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What `can_export` found. True where there will be a file. Prints as a table.

    Attributes:
        kernels: How each kernel will be stored.
        stays_float: Operators that will compute in float, and why where it is known.
        problem: Why there will be no file, `""` if there will.
    """

    kernels: tuple[Stored, ...]
    stays_float: tuple[str, ...]
    problem: str = ""

    @property
    def packed(self) -> tuple[str, ...]:
        """Paths of the kernels that a custom operator will hold in packed codes."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == "packed")

    @property
    def binary(self) -> tuple[str, ...]:
        """Paths of the kernels that a custom operator will hold in bits: its inputs and its kernel
        are signs or sums of signs.
        """
        return tuple(kernel.path for kernel in self.kernels if kernel.how == BINARY)

    @property
    def sparse(self) -> tuple[str, ...]:
        """Paths of the kernels that a custom operator will hold without their zeros."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == "sparse")

    @property
    def vector(self) -> tuple[str, ...]:
        """Paths of the kernels that a custom operator will hold in indices of sub-vectors."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == VECTOR)

    @property
    def lookup(self) -> tuple[str, ...]:
        """Paths of the kernels whose products with inputs on points a custom operator looks up."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == LOOKUP)

    @property
    def decode(self) -> tuple[str, ...]:
        """Paths of the kernels that TensorFlow Lite Micro will decode from indices."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == DECODE)

    @property
    def int8(self) -> tuple[str, ...]:
        """Paths of the kernels that a built-in operator will hold in bytes."""
        return tuple(kernel.path for kernel in self.kernels if kernel.how == "int8")

    def __bool__(self) -> bool:
        return not self.problem

    def __str__(self) -> str:
        if self.problem:
            return f"There will be no file. {self.problem}"
        rows = [
            {"kernel": kernel.path, "will be": kernel.how, "why": kernel.why}
            for kernel in self.kernels
        ]
        lines = [text_table(rows)] if rows else []
        lines += [f"stays float: {name}" for name in self.stays_float]
        lines += [f"runs in {WHERE_DECODE_RUNS}"] if self.decode else []
        return "\n".join(lines)


@errors_only()
def can_export(
    model: keras.Model, recipe: Any, samples: Any = None, runtime: str = "edgeax"
) -> Forecast:
    """Returns how each kernel will be stored, what stays float, and why, before training.

    A copy of the model is compressed with every transform in full effect and converted: the answer
    is not guessed. It takes about as long as an export.

    Args:
        model: A built plain model; its weights do not matter.
        recipe: As `edgeax.compress` takes it.
        samples: As `edgeax.export` takes them; None: random ones, sizes that are open set to 16.
        runtime: As `edgeax.export` takes it.

    Raises:
        ValueError: `recipe` is none, `samples` are no samples of the model, or `runtime` is out of
            its choices.

    Example: `print(edgeax.can_export(model, "static_wc4_ai8"))`
    """
    checked_choice("runtime", runtime, RUNTIMES)
    recipe = at_once(recipe)
    if not is_nested(model):
        try:
            check_holds_no_subclassed(model)
            model = as_functional(model)
        except ValueError as error:
            return Forecast((), (), str(error))
    if samples is not None:
        take_samples(samples, model)
    try:
        check_stateful(model)
        arrays = take_samples(random_samples(model) if samples is None else samples, model)
        trial = compress(model, recipe)
        _train_once(trial, arrays)
        made = assemble(trial, arrays, integer=True, pack=runtime in PACKED)
        made = with_decode(made) if runtime == "tflm" else made
        check_runtime(made.file, runtime)
    except ValueError as error:
        return Forecast((), (), str(error))
    told = {kernel.path for kernel in made.kernels}
    untold = tuple(
        Stored(row.path, AS_CONVERTED, None, row.stays_float)
        for row in summary(trial).rows
        if row.stays_float and row.path not in told
    )
    return Forecast(made.kernels + untold, made.stays_float)


def _train_once(trial: keras.Model, arrays: list[np.ndarray]) -> None:
    """Lets what follows activations see a batch, as it has after any training."""
    sizes = [tensor.shape[0] for tensor in keras.tree.flatten(inputs_of(trial))]
    count = next((size for size in sizes if size is not None), len(arrays[0]))
    batch = [array[:count] for array in arrays]
    trial(keras.tree.pack_sequence_as(inputs_of(trial), batch), training=True)


def random_samples(model: keras.Model, seed: int = 0) -> Any:
    """Returns random inputs in the model's structure; indices are 0."""
    generator = np.random.default_rng(seed)

    def values(tensor: Any) -> np.ndarray:
        shape = [_SAMPLES, *(size or _OPEN_SIZE for size in tensor.shape[1:])]
        if keras.backend.is_float_dtype(tensor.dtype):
            return generator.normal(size=shape).astype(np.float32)
        return np.zeros(shape, tensor.dtype)

    return keras.tree.map_structure(values, inputs_of(model))
