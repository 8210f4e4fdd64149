"""Nets and data that the tests of pruning share."""

import keras
import numpy as np

import edgeax
from edgeax.pruning.weights import weights_of
from edgeax.transforms.mask import Mask

layers = keras.layers


def dense(*units, inputs=6, seed=0, loss="mse", activation="relu", last=None, use_bias=True):
    """Returns a compiled net of Dense layers `first`, `second`, ..."""
    keras.utils.set_random_seed(seed)
    names = ("first", "second", "third")
    stack = [
        layers.Dense(
            size,
            activation=last if place == len(units) - 1 else activation,
            use_bias=use_bias,
            bias_initializer=keras.initializers.RandomNormal(0, 0.3),
            name=names[place],
        )
        for place, size in enumerate(units)
    ]
    model = keras.Sequential([keras.Input((inputs,)), *stack])
    model.compile("sgd", loss)
    return model


def data(count=40, inputs=6, outputs=3, seed=0):
    """Returns correlated inputs, and real numbers as labels."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(inputs, inputs))
    x = (generator.normal(size=(count, inputs)) @ mixing + 0.3).astype(np.float32)
    return x, generator.normal(size=(count, outputs)).astype(np.float32)


def classes(count=40, size=3, seed=0):
    """Returns numbers of classes."""
    return np.random.default_rng(seed).integers(0, size, count)


def masked(model, layers=".*", updates="masked"):
    """Returns a copy of a plain model with masks, all ones."""
    return edgeax.compress(model, edgeax.Recipe([edgeax.Rule(layers, kernel=Mask(updates))]))


def kernels(model):
    """Returns the kernels that a model computes with, those masked 0, by layer."""
    return {w.name: np.where(w.active, w.raw, 0.0) for w in weights_of(model)}


def masks(model):
    """Returns the masks of a model by layer."""
    return {weight.name: weight.active for weight in weights_of(model)}


def loss_of(model, x, y):
    """Returns the mean squared error of a model, float64."""
    return float(np.mean((model(x).numpy().astype(np.float64) - y) ** 2))
