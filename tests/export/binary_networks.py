"""Networks of signs, whose sums are whole numbers: what a file makes of them is known exactly."""

import keras
import numpy as np

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.interpreter import Interpreter

layers = keras.layers
SIGNS = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}


def network(*parts, shape=(9, 8, 16), seed=0):
    """Returns layers in a row, drawn normalizations among them: gains of both signs."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape), *parts])
    source = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            count = layer.gamma.shape[0]
            gamma = source.uniform(0.5, 1.5, count) * source.choice([-1, 1], count)
            drawn = source.normal(size=(2, count))
            layer.set_weights([gamma, 0.3 * drawn[0], 4 * drawn[1], source.uniform(20, 90, count)])
    return model


def images(shape=(9, 8, 16), count=12, seed=5):
    """Returns samples."""
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def exported(model, samples, path, **settings):
    """Exports a model; returns the receipt and the file's graph."""
    result = edgeax.export(model, path, samples, measure=False, **settings)
    return result, Model.read(path).subgraphs[0]


def steps_away(model, graph, path, samples):
    """Returns how far a file's outputs are from Keras, in steps of its last integer tensor."""
    last = next(op for op in reversed(graph.operators) if op.name == "DEQUANTIZE")
    step = float(graph.tensors[last.inputs[0]].scale[0])
    return np.abs(Interpreter(path).run(samples) - np.asarray(model(samples))) / step
