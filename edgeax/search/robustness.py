"""robustness_curve: how a trained model bears widths and steps that it was not trained for."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer, NumberFormat
from edgeax.formats.tables import text_table
from edgeax.model.batch_norm import reestimate_batch_norm
from edgeax.model.layout import Layout, layout_of
from edgeax.model.rewrite import strip
from edgeax.model.wrapper import slot_of
from edgeax.search.pictures import figure

BITS = (8, 6, 5, 4, 3, 2)
STEP_ERRORS = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


@dataclasses.dataclass(frozen=True)
class RobustnessPoint:
    """One rounding of a model's kernels, and what the model is worth with it.

    Attributes:
        bits: Width of a code.
        step_error: What each step was multiplied by, 1 for none.
        value: The metric.
        lost: The metric of the real weights less this.
    """

    bits: int
    step_error: float
    value: float
    lost: float


@dataclasses.dataclass(frozen=True)
class RobustnessCurve:
    """What `robustness_curve` measured. Prints as a table.

    Attributes:
        metric: What was measured: `"accuracy"`, `"agreement"` or the name of the model's metric.
        float_value: The metric of the model as it is.
        by_bits: One point a width, at exact steps.
        by_step_error: One point a factor, at one width.
    """

    metric: str
    float_value: float
    by_bits: tuple[RobustnessPoint, ...]
    by_step_error: tuple[RobustnessPoint, ...]

    def __str__(self) -> str:
        rows: list[dict[str, Any]] = [{"bits": None, "step error": None, **self._cells(None)}]
        for point in (*self.by_bits, *self.by_step_error):
            rows.append({"bits": point.bits, "step error": point.step_error, **self._cells(point)})
        return text_table(rows)

    def _cells(self, point: RobustnessPoint | None) -> dict[str, float | None]:
        if point is None:
            return {self.metric: float(self.float_value), "lost": None}
        return {self.metric: point.value, "lost": point.lost}

    def plot(self, path: str | Path) -> None:
        """Draws the metric against bits and against the error of the step.

        Args:
            path: The PNG to write.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: The file cannot be written.
        """
        plot_curves({"model": self}, path)


def plot_curves(curves: dict[str, RobustnessCurve], path: str | Path) -> None:
    """Draws several curves of one metric into one picture, to compare models.

    Args:
        curves: The curves by what they are called in the picture, at least one.
        path: The PNG to write.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There is no curve, or the file cannot be written.
    """
    if not curves:
        raise ValueError("`curves` must hold at least one curve. Received: none.")
    picture = figure(path, 10, 4)
    by_bits, by_step = picture.subplots(1, 2, sharey=True)
    for name, curve in curves.items():
        (line,) = by_bits.plot(
            [point.bits for point in curve.by_bits],
            [point.value for point in curve.by_bits],
            marker="o",
            label=name,
        )
        color = line.get_color()
        by_bits.axhline(curve.float_value, color=color, linestyle=":", linewidth=1)
        by_step.plot(
            [point.step_error for point in curve.by_step_error],
            [point.value for point in curve.by_step_error],
            marker="o",
            color=color,
        )
    first = next(iter(curves.values()))
    by_bits.set_xlabel("bits per weight; dotted: real weights")
    by_bits.set_ylabel(first.metric)
    by_bits.invert_xaxis()
    by_bits.legend()
    width = f" at {first.by_step_error[0].bits} bits" if first.by_step_error else ""
    by_step.set_xlabel(f"step used over step fitted{width}")
    for axes in (by_bits, by_step):
        axes.grid(alpha=0.3)
    picture.savefig(path, dpi=150, format="png")


def robustness_curve(
    model: keras.Model,
    data: Any,
    bits: Sequence[int] = BITS,
    step_errors: Sequence[float] = STEP_ERRORS,
    step_bits: int = 4,
    axis: int | None = None,
    format: Callable[[int], NumberFormat] | None = None,
    end_bits: int | None = None,
    samples: Any = None,
    batch_size: int = 256,
) -> RobustnessCurve:
    """Measures one trained model with kernels rounded to several widths and with wrong steps.

    Nothing is trained, and `model` is not changed. The default format has one step a tensor, from
    the largest weight. Biases and activations stay as they are. The same data gives the same curve.

    Source: [SCB20], which asks this of a model.

    Args:
        model: A built model. A compressed one is stripped first: its transformed weights count.
        data: `(x, y)` with labels; inputs alone; or a `tf.data.Dataset` of batches of either. It is
            held in memory.
        bits: Widths to round to, each one that `format` takes; 2 to 16 for integers.
        step_errors: Factors that the fitted steps are multiplied by, above 0; empty for none.
        step_bits: Width at which steps are wrong.
        axis: None for one step per tensor, -1 for one per output channel.
        format: Returns the format of a width; None: `edgeax.formats.Integer`.
        end_bits: Width of the first and the last kernel in all points, by the convention of the
            field 8; None: like the others. Their steps are never wrong.
        samples: Inputs like those of the training, as the model takes them: batch normalizations
            take their statistics anew from these after each rounding, which otherwise moves the
            means that they know. None: they keep them.
        batch_size: Samples at a time, at least 1.

    Returns:
        The curve of, with labels, the first metric the model was compiled with, else accuracy.
        Without labels, of the fraction of samples whose largest output is the one of the model as
        it is.

    Raises:
        ValueError: An argument is out of its range, the model has no kernel, there are no data, or
            the format has no step to make wrong.

    Example: `print(edgeax.robustness_curve(model, (x_test, y_test)))`
    """
    make = format or (lambda width: Integer(width, axis=axis))
    if axis not in (None, -1):
        raise ValueError(
            "`axis` must be -1 (one step per output channel) or None (one per tensor). "
            f"Received: axis={axis}."
        )
    if format is not None and axis is not None:
        raise ValueError(
            "`axis` must be None beside `format`, which brings its own. Received: "
            f"axis={axis}. Let `format` return formats with that axis."
        )
    errors = [float(error) for error in step_errors]
    if not all(0.0 < error < math.inf for error in errors):
        raise ValueError(
            f"`step_errors` must be above 0 and finite. Received: step_errors={errors}."
        )
    widths = [*bits, *([step_bits] if errors else []), *([end_bits] if end_bits else [])]
    formats = {width: make(width) for width in widths}
    copy = strip(model)
    kernels = [*_kernels(copy)]
    if not kernels:
        raise ValueError(
            "`model` must have a kernel to round. Received: a model without any. Build it first."
        )
    x, y = _arrays(data)
    measure = _measure(copy, x, y, batch_size)
    name, float_value = measure()

    def point(width: int, error: float) -> RobustnessPoint:
        for kernel in kernels:
            if end_bits and kernel in (kernels[0], kernels[-1]):
                kernel.variable.assign(kernel.rounded(formats[end_bits], 1.0))
            else:
                kernel.variable.assign(kernel.rounded(formats[width], error))
        if samples is not None:
            reestimate_batch_norm(copy, samples, batch_size)
        value = measure()[1]
        return RobustnessPoint(int(width), error, value, float_value - value)

    return RobustnessCurve(
        name,
        float_value,
        tuple(point(width, 1.0) for width in bits),
        tuple(point(step_bits, error) for error in errors),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Kernel:
    """A kernel of the copy, and its real values."""

    variable: keras.Variable
    layout: Layout
    value: np.ndarray

    def rounded(self, format: NumberFormat, step_error: float) -> np.ndarray:
        """Returns the values as the format stores them, its steps times `step_error`."""
        weight = self.layout.to_canonical(self.value)
        params = dict(format.fit(weight))
        if step_error != 1.0:
            if "scale" not in params:
                raise ValueError(
                    "`format` must have a scale for its step to be wrong. Received: "
                    f"{format!r}. Pass step_errors=()."
                )
            params["scale"] = np.asarray(params["scale"] * step_error, np.float32)
        return self.layout.from_canonical(format.decode(format.encode(weight, params), params))


def _kernels(model: keras.Model) -> Iterator[_Kernel]:
    seen: set[int] = set()
    for layer in model._flatten_layers():
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if slot_of(variable.name) == "kernel" and id(variable) not in seen:
                seen.add(id(variable))
                layout = layout_of(layer, variable.name, variable.shape)
                yield _Kernel(variable, layout, np.asarray(variable, np.float32))


def _arrays(data: Any) -> tuple[Any, Any]:
    """Returns inputs and labels (None without) as arrays."""
    if isinstance(data, tf.data.Dataset):
        batches = [batch if isinstance(batch, tuple) else (batch,) for batch in data]
        if not batches:
            raise ValueError("`data` must hold at least one sample. Received: an empty dataset.")
        parts = [keras.tree.map_structure(np.asarray, batch[:2]) for batch in batches]
        joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
        x, y = joined if len(joined) == 2 else (joined[0], None)
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = data
    else:
        x, y = data, None
    if not all(np.ndim(part) and len(part) for part in keras.tree.flatten(x)):
        raise ValueError(
            "`data` must be (x, y), inputs, or a tf.data.Dataset of batches, with at least one "
            f"sample. Received: {type(data).__name__}."
        )
    return x, y


def _measure(
    model: keras.Model, x: Any, y: Any, batch_size: int
) -> Callable[[], tuple[str, float]]:
    """Returns what measures the model as it is at the time: the metric's name and its value."""
    if y is not None and model.compiled:
        names = [name for name in _evaluated(model, x, y, batch_size) if name != "loss"]
        if names:
            return lambda: (names[0], _evaluated(model, x, y, batch_size)[names[0]])

    def classes() -> np.ndarray:
        outputs = keras.tree.flatten(model.predict(x, batch_size=batch_size, verbose=0))
        if outputs[0].shape[-1] < 2:
            raise ValueError(
                "`model` must return one value for each of at least two classes. Received: "
                f"outputs of shape {outputs[0].shape}. Compile it with a metric and give labels."
            )
        return outputs[0].argmax(-1)

    if y is None:
        wanted, name = classes(), "agreement"
    else:
        labels, name = np.asarray(y), "accuracy"
        given = classes().shape
        wanted = labels.reshape(given) if labels.size == math.prod(given) else labels.argmax(-1)
    return lambda: (name, float(np.mean(classes() == wanted)))


def _evaluated(model: keras.Model, x: Any, y: Any, batch_size: int) -> dict[str, float]:
    found = model.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}
