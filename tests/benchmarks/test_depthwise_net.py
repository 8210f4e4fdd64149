import keras
import numpy as np

from benchmarks.depthwise_net import BLOCKS, network


def test_it_has_the_layers_that_the_issue_asks_for():
    model = network()
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("DepthwiseConv2D") == len(BLOCKS) == 3
    assert kinds.count("Conv2D") == 1 + len(BLOCKS)
    assert kinds.count("BatchNormalization") == kinds.count("ReLU") == 1 + 2 * len(BLOCKS)
    weights = 9 * 16 + 9 * (16 + 32 + 64) + 16 * 32 + 32 * 64 + 64 * 64 + 64 * 10
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels) == weights == 8448
    assert model.output_shape == (None, 10)
    assert model.layers[-1].activation is keras.activations.linear
