import pytest

from edgeax.runtime.mcu.backward.tape import Rule
from tests.runtime.mcu import trainable_networks, training_files

RULE = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)


def net_with_sum(channels):
    net = trainable_networks.Net((1, 4, 4, 2))
    x = net.conv(0, 4, 1)
    y = net.pool(net.conv(x, channels, 1), "AVERAGE", 4, 1) if channels == 1 else x
    return net.write(net.dense(net.mean(net.add(x, y, "RELU"))))


def test_a_sum_passes_its_gradient_to_both_inputs():
    found = training_files.training(net_with_sum(4), RULE, [0])
    (join,) = (step for step in found.steps if step.kernel == "JoinGradients")
    assert join.reads[0] == join.reads[1]  # x + x
    assert [step.kernel for step in found.steps].count("ClampMask") == 1


def test_sums_that_repeat_an_input_are_refused():
    with pytest.raises(ValueError, match="ADD, t.*must be of tensors of one shape"):
        training_files.training(net_with_sum(1), RULE, [0])


def test_a_relu_of_its_own_has_a_mask():
    found = training_files.training(trainable_networks.blocks(), RULE, [5])
    masks = [step for step in found.steps if step.kernel == "ClampMask"]
    assert [step.label.split(" ")[1] for step in masks] == ["RELU,", "CONV_2D,", "FULLY_CONNECTED,"]
    limits = [step.arguments.fields["clamp"].fields for step in masks]
    assert [(one["min"], one["max"]) for one in limits] == [(-128, 127)] * 3
