import pytest

from edgeax.runtime.mcu.backward.tape import Rule
from tests.runtime.mcu import trainable_networks, training_files

RULE = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)


def pools(first):
    found = training_files.training(trainable_networks.blocks(), RULE, [first])
    return {step.kernel: step for step in found.steps if "Pool" in step.kernel}


def test_a_maximum_keeps_a_byte_for_each_output_and_passes_back_only_what_is_wanted():
    found = pools(0)
    assert {"MaxPool2D", "MaxPoolTaps", "MaxPoolGradient", "AveragePoolGradient"} <= {*found}
    assert "MaxPoolGradient" not in pools(5)


@pytest.mark.parametrize("first, windows, bits", [(0, 4, 13), (8, 1, 15)])
def test_sums_of_averages_fit(first, windows, bits):
    fields = pools(first)["AveragePoolGradient"].arguments.fields if first == 0 else None
    if fields is None:  # the mean of the whole image comes behind the last convolution
        fields = pools(8)["AveragePoolGradient"].arguments.fields
        assert fields["shape"].fields["kernel_height"] == 2
    assert fields["bits"] == bits and windows * 2**15 * 2**bits <= 2**30


def test_only_means_of_images_pass_gradients():
    net = trainable_networks.Net((1, 4, 4, 2))
    x = net.conv(0, 4, 1)
    rows = net.mean(x)
    net.model.tensors[net.model.operators[-1].inputs[1]].data[:] = [0, 3]
    net.model.tensors[rows].shape = (4, 4)
    with pytest.raises(ValueError, match="MEAN, t.*that of an image's height and width"):
        training_files.training(net.write(net.dense(rows)), RULE, [0])
