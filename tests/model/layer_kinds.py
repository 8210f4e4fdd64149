"""A tiny model for each kind of layer that can be compressed, with data to train it on."""

import dataclasses
from typing import Any

import keras
import numpy as np

layers = keras.layers

COUNT = 8
BATCH = 4
CLASSES = 3


@dataclasses.dataclass(frozen=True)
class Example:
    """A built model, not compiled, and data that it can be trained on with the loss `"mse"`.

    Attributes:
        model: The model. Its weights are seeded and its biases are not zero.
        inputs: What the model is called with: an array, or a list of arrays; first axis `COUNT`.
        targets: float32, shape `(COUNT, CLASSES)` as the model's output.
        batch_size: With which to call it: a stateful model takes no other.
        stateful: Whether the model keeps a state from one call to the next.
    """

    model: keras.Model
    inputs: Any
    targets: np.ndarray
    batch_size: int = BATCH
    stateful: bool = False

    def batch(self, number=0):
        """Returns the inputs of one batch."""
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        return keras.tree.map_structure(lambda values: values[part], self.inputs)


def kinds():
    """Returns, by the name of a kind of layer, what builds an example of it anew."""
    return dict(_KINDS)


@keras.saving.register_keras_serializable("tests")
def doubled(tensor):
    """Returns twice `tensor`: the function of a Lambda layer."""
    return tensor * 2.0


@keras.saving.register_keras_serializable("tests")
class Branches(keras.Model):
    """A subclassed model: a layer in a list, one called twice, and a nested functional model."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [layers.Dense(units, activation="relu", name=f"block_{i}") for i in range(2)]
        self.shared = layers.Dense(units, name="shared")
        given = keras.Input((units,))
        self.backbone = keras.Model(
            given, layers.Dense(units, activation="tanh", name="inner")(given), name="backbone"
        )
        self.norm = layers.BatchNormalization(name="norm")
        self.head = layers.Dense(CLASSES, name="head")

    def call(self, inputs, training=False):
        tensor = inputs
        for block in self.blocks:
            tensor = block(tensor)
        tensor = keras.ops.add(self.shared(tensor), self.shared(self.backbone(tensor)))
        return self.head(self.norm(tensor, training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _example(model, inputs, stateful=False):
    generator = np.random.default_rng(1)
    for variable in model.weights:
        if variable.name == "bias" or variable.name.endswith("_bias"):
            variable.assign(generator.normal(size=variable.shape, scale=0.1))
    return Example(model, inputs, _random(COUNT, CLASSES, seed=2), stateful=stateful)


def _one(make, *shape):
    """Returns what builds a model of the layer and a small head, on normal values of a shape."""

    def build():
        keras.utils.set_random_seed(0)
        given = keras.Input(shape, name="given")
        tensor = make()(given)
        return _example(_with_head(given, tensor), _random(COUNT, *shape))

    return build


def _with_head(given, tensor):
    if len(tensor.shape) > 2:
        tensor = layers.Flatten(name="flatten")(tensor)
    return keras.Model(given, layers.Dense(CLASSES, name="head")(tensor), name="tiny")


def _embedding():
    keras.utils.set_random_seed(0)
    given = keras.Input((5,), dtype="int32", name="given")
    tensor = layers.Embedding(7, 4, name="layer")(given)
    tokens = np.random.default_rng(0).integers(0, 7, (COUNT, 5)).astype(np.int32)
    return _example(_with_head(given, tensor), tokens)


def _stateful(kind):
    def build():
        keras.utils.set_random_seed(0)
        given = keras.Input(batch_shape=(BATCH, 5, 3), name="given")
        tensor = kind(4, stateful=True, name="layer")(given)
        return _example(_with_head(given, tensor), _random(COUNT, 5, 3), stateful=True)

    return build


def _attention(cross, causal):
    def build():
        keras.utils.set_random_seed(0)
        query = keras.Input((5, 4), name="query")
        layer = layers.MultiHeadAttention(2, 3, name="layer")
        if not cross:
            tensor = layer(query, query, use_causal_mask=causal)
            return _example(_with_head(query, tensor), _random(COUNT, 5, 4))
        memory = keras.Input((6, 2), name="memory")
        tensor = layer(query, value=memory)
        model = _with_head([query, memory], tensor)
        return _example(model, [_random(COUNT, 5, 4), _random(COUNT, 6, 2, seed=3)])

    return build


def _raw_operators():
    keras.utils.set_random_seed(0)
    given = keras.Input((6,), name="given")
    tensor = layers.Dense(4, name="layer")(given)
    tensor = keras.ops.multiply(keras.ops.sigmoid(tensor), tensor)
    tensor = keras.ops.concatenate([tensor, keras.ops.abs(tensor) + 0.5], axis=-1)
    return _example(_with_head(given, tensor), _random(COUNT, 6))


def _lambda():
    keras.utils.set_random_seed(0)
    given = keras.Input((6,), name="given")
    tensor = layers.Lambda(doubled, output_shape=(4,), name="doubled")(
        layers.Dense(4, name="layer")(given)
    )
    return _example(_with_head(given, tensor), _random(COUNT, 6))


def _nested():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3), name="image")
    tensor = layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    tensor = layers.BatchNormalization(name="norm")(tensor)
    tensor = layers.ReLU(name="relu")(tensor)
    backbone = keras.Model(image, tensor, name="backbone")
    given = keras.Input((6, 6, 3), name="given")
    tensor = layers.GlobalAveragePooling2D(name="pool")(backbone(given))
    return _example(_with_head(given, tensor), _random(COUNT, 6, 6, 3))


def _subclassed():
    keras.utils.set_random_seed(0)
    model = Branches(name="branches")
    inputs = _random(COUNT, 6)
    model(inputs)
    return _example(model, inputs)


_KINDS = {
    "Dense": _one(lambda: layers.Dense(4, activation="relu", name="layer"), 6),
    "Conv1D": _one(lambda: layers.Conv1D(4, 3, activation="relu", name="layer"), 6, 3),
    "Conv2D": _one(lambda: layers.Conv2D(4, 3, padding="same", name="layer"), 5, 5, 3),
    "Conv3D": _one(lambda: layers.Conv3D(3, 2, activation="relu", name="layer"), 4, 4, 4, 2),
    "DepthwiseConv1D": _one(
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, name="layer"), 6, 3
    ),
    "DepthwiseConv2D": _one(lambda: layers.DepthwiseConv2D(3, name="layer"), 5, 5, 3),
    "SeparableConv1D": _one(lambda: layers.SeparableConv1D(4, 3, name="layer"), 6, 3),
    "SeparableConv2D": _one(lambda: layers.SeparableConv2D(4, 3, name="layer"), 5, 5, 3),
    "Conv1DTranspose": _one(lambda: layers.Conv1DTranspose(4, 3, strides=2, name="layer"), 4, 3),
    "Conv2DTranspose": _one(lambda: layers.Conv2DTranspose(4, 3, strides=2, name="layer"), 3, 3, 2),
    "EinsumDense": _one(
        lambda: layers.EinsumDense("abc,cd->abd", (5, 4), bias_axes="d", name="layer"), 5, 3
    ),
    "Embedding": _embedding,
    "LSTM": _one(lambda: layers.LSTM(4, name="layer"), 5, 3),
    "LSTM return_sequences": _one(
        lambda: layers.LSTM(4, return_sequences=True, name="layer"), 5, 3
    ),
    "LSTM stateful": _stateful(layers.LSTM),
    "GRU": _one(lambda: layers.GRU(4, name="layer"), 5, 3),
    "GRU reset_after=False": _one(lambda: layers.GRU(4, reset_after=False, name="layer"), 5, 3),
    "GRU stateful": _stateful(layers.GRU),
    "SimpleRNN": _one(lambda: layers.SimpleRNN(4, name="layer"), 5, 3),
    "Bidirectional(LSTM)": _one(lambda: layers.Bidirectional(layers.LSTM(3), name="layer"), 5, 3),
    "Bidirectional(GRU) sum": _one(
        lambda: layers.Bidirectional(layers.GRU(3), merge_mode="sum", name="layer"), 5, 3
    ),
    "MultiHeadAttention self": _attention(cross=False, causal=False),
    "MultiHeadAttention cross": _attention(cross=True, causal=False),
    "MultiHeadAttention causal": _attention(cross=False, causal=True),
    "TimeDistributed(Dense)": _one(
        lambda: layers.TimeDistributed(layers.Dense(4, activation="relu"), name="layer"), 5, 3
    ),
    "TimeDistributed(Conv2D)": _one(
        lambda: layers.TimeDistributed(layers.Conv2D(3, 2), name="layer"), 3, 4, 4, 2
    ),
    "Lambda": _lambda,
    "raw operators": _raw_operators,
    "nested backbone": _nested,
    "subclassed model": _subclassed,
    "mixed_float16 Dense": _one(
        lambda: layers.Dense(4, activation="relu", dtype="mixed_float16", name="layer"), 6
    ),
}
