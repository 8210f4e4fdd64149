"""Case: a model on its way through post-training quantization, and what corrects it."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras
import numpy as np

from edgeax.model import passes, placement
from edgeax.model.graph import is_nested
from edgeax.model.progress import shown
from edgeax.model.recipe import Recipe
from edgeax.model.rewrite import compress, layers_by_path, paths_of_compressed
from edgeax.model.wrapper import Compressed
from edgeax.post_training.equalization import Normal
from edgeax.post_training.linear import Moments, as_matrix, columns, moments_of, why_not_linear
from edgeax.post_training.outputs import normalizations
from edgeax.transforms.quantize import Quantize

T = TypeVar("T")


class Correction:
    """Makes a rounded model better. A new one is a subclass with a name in `named.CORRECTIONS`.

    Attributes:
        needs_samples: How many samples it needs at least.
    """

    needs_samples = 0

    def prepare(self, case: "Case") -> None:
        """Changes the float model or the recipe before anything is rounded."""
        del case

    def revise(self, case: "Case") -> bool:
        """Changes the recipe once ranges are known; returns whether it did."""
        del case
        return False

    def correct(self, case: "Case") -> None:
        """Changes the rounded model."""
        del case


@dataclasses.dataclass(eq=False)
class Case:
    """A model that is being quantized.

    Attributes:
        plain: The float model.
        recipe: What it is rounded to.
        samples: One array per input of the model; none if there are no samples.
        pack: Makes of one array per input what the model is called with.
        batch_size: Samples in a batch.
        seed: Of what is random.
        verbose: Whether progress is shown.
        statistics: What batch normalization said of the outputs of layers, before their
            activations, where a rewrite has folded it away; by their names.
        skipped: What could not be done, and why.
        model: The rounded model; set by `build`.
    """

    plain: keras.Model
    recipe: Recipe
    samples: Sequence[np.ndarray]
    pack: Callable[[Sequence[Any]], Any]
    batch_size: int = 64
    seed: int = 0
    verbose: bool = False
    statistics: dict[str, Normal] = dataclasses.field(default_factory=dict)
    skipped: list[str] = dataclasses.field(default_factory=list)

    def build(self) -> None:
        """Makes the rounded model anew from the float one, and a copy that is never corrected."""
        self.model = compress(self.plain, self.recipe)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said already
            self._reference = compress(self.plain, self.recipe)
        self.layers: dict[str, Compressed] = paths_of_compressed(self.model)
        # By place: Keras numbers the layers of each copy of a subclassed model anew.
        references = paths_of_compressed(self._reference).values()
        self._references = dict(zip(self.layers, references, strict=True))
        self._normalizations = normalizations(self.plain)

    def skip(self, what: str, why: str) -> None:
        """Notes that something could not be done."""
        line = f"{what}: {why}"
        if line not in self.skipped:
            self.skipped.append(line)

    def progress(self, title: str, items: Sequence[T]) -> Iterator[T]:
        """Yields items, and shows how many are done."""
        return shown(title, items, self.verbose)

    @property
    def batches(self) -> list[Any]:
        """The samples in batches, each as the model takes it."""
        count = len(self.samples[0]) if self.samples else 0
        starts = range(0, count, self.batch_size)
        return [
            self.pack([array[start : start + self.batch_size] for array in self.samples])
            for start in starts
        ]

    def linear_layers(self, what: str) -> list[str]:
        """Returns the paths of the rounded layers whose kernel is a matrix, in their order; the
        others are skipped.

        Args:
            what: What they are asked for.
        """
        found = []
        for path, layer in self.layers.items():
            if not layer.transforms_kernel:
                continue
            reason = why_not_linear(layer.layer)
            if reason:
                self.skip(f"{what} of {path}", reason)
            else:
                found.append(path)
        return found

    def moments(self, path: str, with_grams: bool = True) -> Moments:
        """Returns the moments of a layer's inputs, of all its calls, as the model is now.

        Args:
            path: Path of a linear layer.
            with_grams: Whether Gram matrices are asked for, or means alone.
        """
        layer, reference = self.layers[path], self._references[path]

        def pairs() -> Iterator[tuple[Any, Any]]:
            for batch in self.batches:
                with passes.unrounded():
                    teachers = inputs_of_layer(self._reference, reference, batch)
                students = inputs_of_layer(self.model, layer, batch)
                for teacher, student in zip(teachers, students, strict=True):
                    yield columns(layer.layer, teacher), columns(layer.layer, student)

        return moments_of(pairs(), with_grams)

    def normalization_behind(self, path: str) -> keras.layers.BatchNormalization | None:
        """Returns the batch normalization of the rounded model that directly follows a layer."""
        name = self._normalizations.get(path)
        return None if name is None else placement.plain(layers_by_path(self.model)[name])

    def original(self, path: str) -> np.ndarray:
        """Returns the kernel of the float model as a matrix; see `linear.as_matrix`."""
        layer = self._references[path].layer
        return as_matrix(layer, np.asarray(layer.kernel))

    def rounded(self, path: str) -> np.ndarray:
        """Returns the kernel that the rounded model computes with, as a matrix."""
        layer = self.layers[path]
        for variable, layout, encoded in layer.freeze_weights():
            if variable.name == "kernel":
                return as_matrix(layer.layer, layout.from_canonical(encoded.decode()))
        return as_matrix(layer.layer, np.asarray(layer.layer.kernel))


class _SeenAll(Exception):
    """Ends a forward pass where a layer was called for the last time."""


def inputs_of_layer(model: keras.Model, layer: Compressed, batch: Any) -> list[Any]:
    """Returns the inputs of each call of a wrapped layer in a forward pass."""
    found: list[Any] = []
    # How often a subclassed model calls a layer nobody knows beforehand.
    calls = layer.uses if is_nested(model) else None

    def watch(owner: Any, tensor: Any) -> None:
        if owner is layer:
            found.append(tensor)
            if len(found) == calls:
                raise _SeenAll

    with contextlib.suppress(_SeenAll), passes.watched(watch):
        model(batch, training=False)
    return found


def kernel_quantizer(layer: Compressed) -> Quantize | None:
    """Returns what rounds the kernel of a wrapped layer, if that is a `Quantize`."""
    for weight in layer.weight_chains:
        if weight.variable.name == "kernel":
            last = weight.chain.transforms[-1]
            return last if isinstance(last, Quantize) and not last.clustered else None
    return None
