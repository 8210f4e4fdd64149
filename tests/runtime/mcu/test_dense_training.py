import dataclasses

import numpy as np
import pytest

from edgeax.runtime.mcu.dense_training import Rule
from tests.runtime.mcu import networks, training_files

RULE = Rule(rate_bits=1, dead_zone=64, least_error=4096, seed=9)


def test_the_numbers_of_a_layer_are_those_of_the_file():
    found = training_files.last_layer(training_files.classifier(), RULE)
    assert found.label == "1 FULLY_CONNECTED, y" and found.weights.shape == (10, 48)
    assert (found.input_zero_point, found.output_zero_point) == (-128, 5)
    ratios = found.multiplier * 2.0 ** (found.shift - 31.0)
    np.testing.assert_allclose(ratios, 0.01 * (0.008 + 0.001 * np.arange(10)) / 0.1, rtol=1e-6)
    assert found.bias_step == 100  # of an input whose scale is 0.01
    assert found.exponentials[:3].tolist() == [32768, 29650, 26828]  # exp(-0.1), exp(-0.2)
    assert found.loss_step == 6554  # 0.1 in units of 2**-16
    assert found.saved_bytes == 4 + 40 + 480 and found.state_bytes == 480 + 40 + 40 + 10 + 4


def test_saved_bytes_of_other_layers_start_from_another_mark():
    first = training_files.last_layer(training_files.classifier(), RULE)
    other = dataclasses.replace(first, bias=first.bias + 1)
    assert first.mark != other.mark
    assert first.mark == training_files.last_layer(training_files.classifier(), RULE).mark


def test_arguments_stand_in_the_order_of_cpp():
    found = training_files.last_layer(networks.dense_chain(), RULE).struct().fields
    assert [*found][:2] == ["depth", "outputs"] and [*found][-1] == "loss_step"
    assert (found["rate_bits"], found["dead_zone"], found["least_error"]) == (1, 64, 4096)


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="1 FULLY_CONNECTED, y: .*must have a batch of 1"):
        training_files.last_layer(networks.dense_chain(batch=3), RULE)
