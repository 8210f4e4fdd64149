import numpy as np

from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.oracle_training import Oracle
from edgeax.runtime.mcu.training_vectors import training_vectors
from tests.runtime.mcu import networks, training_files

RULE = Rule(rate_bits=1, dead_zone=64, least_error=0, seed=9)


def test_samples_take_turns():
    training = training_files.training(networks.dense_chain(), RULE, 2)
    codes = [*np.random.default_rng(1).integers(-128, 128, (2, 1, 12)).astype(np.int8)]
    found = training_vectors(training, [[c] for c in codes], np.array([3, 2], np.int32), steps=3)
    twin = Oracle(training)
    turns = [(codes[0], 3), (codes[1], 2), (codes[0], 3)]
    wanted = [twin.train([x], twin.features([x]), label) for x, label in turns]
    assert found.losses.tolist() == wanted
    assert found.saved.tobytes() == twin.saved() and len(found.saved) == training.saved_bytes
    last = twin.outputs([codes[1]], twin.features([codes[1]]))
    np.testing.assert_array_equal(found.outputs[1], last)


def test_samples_that_no_step_takes_are_left_out():
    training = training_files.training(networks.dense_chain(), RULE)
    codes = [[x] for x in np.zeros((5, 1, 12), np.int8)]
    found = training_vectors(training, codes, np.arange(5, dtype=np.int32) % 4, steps=2)
    assert len(found.samples) == len(found.wanted) == len(found.outputs) == 2
