import numpy as np

from edgeax.runtime.mcu.dense_training import Rule
from edgeax.runtime.mcu.oracle_training import DenseOracle
from edgeax.runtime.mcu.training_vectors import training_vectors
from tests.runtime.mcu import training_files

RULE = Rule(rate_bits=1, dead_zone=64, least_error=0, seed=9)


def test_samples_take_turns():
    layer = training_files.last_layer(training_files.classifier(), RULE)
    codes = [*np.random.default_rng(1).integers(-128, 128, (2, 48)).astype(np.int8)]
    found = training_vectors(layer, [[c] for c in codes], codes, np.array([3, 7]), steps=3)
    twin = DenseOracle(layer)
    wanted = [twin.train(codes[0], 3), twin.train(codes[1], 7), twin.train(codes[0], 3)]
    assert found.losses.tolist() == wanted
    assert found.saved.tobytes() == twin.saved() and len(found.saved) == layer.saved_bytes
    np.testing.assert_array_equal(found.scores[1], twin.scores(codes[1]))
