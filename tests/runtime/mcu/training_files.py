"""Networks in int8 whose last layer learns, and real samples for them."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.training_program import Training, training_of
from tests.source_tree import REPOSITORY
from tests.tflite_kernels.models import Model, Operator, Tensor

PIECE = REPOSITORY / "demos" / "data" / "fashion_mnist_subset.npz"
_DENSE = schema.BuiltinOperator.FULLY_CONNECTED
_SOFTMAX = schema.BuiltinOperator.SOFTMAX


def clothes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns Fashion-MNIST images of 7x7 as codes of `classifier`, and their classes."""
    with np.load(PIECE) as arrays:
        images, classes = arrays["x_train"][:count], arrays["y_train"][:count]
    small = images.reshape(count, 7, 4, 7, 4).mean((2, 4))
    return (np.round(small) - 128).astype(np.int8).reshape(count, 49), classes


def color_clothes(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images as codes of side x side x 3, less 128, and their classes."""
    with np.load(PIECE) as arrays:
        images, classes = arrays["x_train"][:count], arrays["y_train"][:count]
    times = side // 28
    border = (side - 28 * times) // 2
    wide = images.reshape(count, 28, 28).repeat(times, 1).repeat(times, 2)
    framed = np.pad(wide, ((0, 0), (border, border), (border, border)))[..., None].repeat(3, 3)
    return (framed.astype(np.int16) - 128).astype(np.int8), classes


def classifier(has_softmax: bool = False, last_activation: int = 0, beta: float = 1.0) -> bytes:
    """x [1, 49] -> drawn layer of 48, ReLU -> drawn layer of 10 with a scale each -> scores."""
    rng = np.random.default_rng(7)
    model = Model(inputs=[0])
    model.add(Tensor("x", (1, 49), np.int8, 1 / 255, -128))
    hidden = rng.integers(-127, 128, (48, 49)).astype(np.int8)
    h = add_layer(model, 0, "h", hidden, 0.004, 0.01, -128, activation=1)
    last = rng.integers(-20, 21, (10, 48)).astype(np.int8)
    scales = (0.008 + 0.001 * np.arange(10)).tolist()
    y = add_layer(model, h, "y", last, scales, 0.1, 5, activation=last_activation)
    if has_softmax:
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        p = model.add(Tensor("p", (1, 10), np.int8, 1 / 256, -128))
        kind = schema.BuiltinOptions.SoftmaxOptions
        model.operators.append(
            Operator([y], [p], builtin=_SOFTMAX, options=options, options_type=kind)
        )
        y = p
    model.outputs = [y]
    return model.write()


def add_layer(
    model: Model,
    source: int,
    name: str,
    weights: np.ndarray,
    scale: float | list[float],
    output_scale: float,
    zero_point: int,
    activation: int = 0,
) -> int:
    """Adds a dense layer without a bias; returns its output."""
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    constant = model.add(Tensor(f"{name}_weights", weights.shape, np.int8, scale, 0, weights))
    shape = (model.tensors[source].shape[0], len(weights))
    output = model.add(Tensor(name, shape, np.int8, output_scale, zero_point))
    kind = schema.BuiltinOptions.FullyConnectedOptions
    inputs = [source, constant]
    model.operators.append(
        Operator(inputs, [output], builtin=_DENSE, options=options, options_type=kind)
    )
    return output


def training(data: bytes, rule: Rule, trainable: Any = 1, loss: str = "cross_entropy") -> Training:
    """Returns the step of training of a file."""
    return training_of(data, "host", trainable, rule, loss, None)
