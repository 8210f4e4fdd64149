"""Cases that the tests of corrections share."""

import keras
import numpy as np

import edgeax
from edgeax.post_training.case import Case
from edgeax.post_training.named import calibrations_of
from edgeax.post_training.ranges import calibrate_activations, calibrate_weights, calibrated
from tests.model import small_models

layers = keras.layers


def recipe(weights="int3", activations=None):
    """Returns a recipe for every layer; activations stay float by default."""
    slots = {} if activations is None else {"input": activations, "output": activations}
    return edgeax.Recipe([edgeax.Rule(".*", kernel=weights, **slots)])


def case_of(
    model=None, samples=None, weights="int3", activations=None, calibration="min_max", **kwargs
):
    """Returns a case that is rounded, its ranges set."""
    model = small_models.convolutional() if model is None else model
    samples = small_models.images(32) if samples is None else samples
    found = calibrated(recipe(weights, activations))
    case = Case(model, found, [samples], lambda arrays: arrays[0], **kwargs)
    return built(case, calibration)


def built(case, calibration="min_max"):
    """Builds a case and sets its ranges."""
    weights, activations = calibrations_of(calibration)
    case.build()
    calibrate_weights(case, weights)
    calibrate_activations(case, activations)
    return case


def output_error(case):
    """Returns the mean squared difference between the rounded and the float model's outputs."""
    batch = case.samples[0]
    difference = case.model(batch).numpy() - case.plain(batch).numpy()
    return float(np.mean(difference**2))


def dense_pair(seed=0, size=12, outputs=5):
    """Returns a model of two dense layers, its inputs correlated and far from mean 0."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((size,)),
            layers.Dense(16, activation="relu", name="first"),
            layers.Dense(outputs, name="second"),
        ]
    )
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(4, size)) / 2
    samples = rng.normal(size=(200, 4)) @ mixing + 1.0 + 0.1 * rng.normal(size=(200, size))
    return model, samples.astype(np.float32)


def normalized(seed=0):
    """Returns a model whose second convolution sees a normal distribution that was rectified."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(4, 1, use_bias=False, name="second"),
        ]
    )
    samples = np.random.default_rng(seed).normal(size=(300, 8, 8, 3)).astype(np.float32)
    norm = model.get_layer("norm")
    outputs = model.layers[0](samples).numpy().reshape(-1, 6)
    norm.moving_mean.assign(outputs.mean(0))
    norm.moving_variance.assign(outputs.var(0))
    norm.beta.assign(np.linspace(-0.5, 1.0, 6))
    return model, samples


@keras.saving.register_keras_serializable("tests.post_training")
class Own(keras.Model):
    """A subclassed model of two dense layers without names of their own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(8, activation="relu")
        self.second = layers.Dense(3)

    def call(self, x):
        return self.second(self.first(x))


def subclassed(seed=0):
    """Returns a subclassed model and samples for it."""
    keras.utils.set_random_seed(seed)
    model = Own()
    samples = np.random.default_rng(seed).normal(size=(120, 5)).astype(np.float32) + 0.5
    model(samples)
    return model, samples
