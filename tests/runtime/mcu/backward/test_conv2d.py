import pytest

from edgeax.runtime.mcu.backward.tape import Rule
from tests.runtime.mcu import networks, trainable_networks, training_files

RULE = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)


def test_a_convolution_and_a_dense_layer_have_the_same_kernels():
    found = training_files.training(trainable_networks.pixels(), RULE, 2)
    kernels = [step.kernel for step in found.steps if step.kernel.startswith("Trained")]
    assert kernels == ["TrainedConv2D", "TrainedConv2D"]
    dense = found.steps[found.forward - 1].arguments.fields["shape"].fields
    assert (dense["output_width"], dense["kernel_width"], dense["input_channels"]) == (1, 1, 64)


def test_the_least_error_is_that_of_the_last_layer():
    rule = Rule(rate_bits=0, dead_zone=0, least_error=99, seed=1)
    found = training_files.training(networks.dense_chain(), rule, 2)
    least = {
        step.label: step.arguments.fields["least_sum"]
        for step in found.steps
        if step.kernel.startswith("Update")
    }
    assert least == {"0 FULLY_CONNECTED, h": 0, "1 FULLY_CONNECTED, y": 99}


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="1 FULLY_CONNECTED, y: .*must have a batch of 1"):
        training_files.training(networks.dense_chain(batch=3), RULE)
