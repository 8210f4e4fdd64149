import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.runtime.mcu.backward import weighted
from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.operators import conv2d
from tests.runtime.mcu import networks, trainable_networks, training_files

RULE = Rule(rate_bits=1, dead_zone=64, least_error=0, seed=9)


def steps(data, trainable):
    found = training_files.training(data, RULE, trainable)
    return found, {(step.kernel, step.label.partition(" ")[0]): step for step in found.steps}


def test_trained_channels_lie_in_ram_and_the_others_in_flash():
    found, by_name = steps(networks.dense_chain(), {"y": 0.3})  # 3 of 8 channels
    forward = by_name["TrainedConv2D", "1"]
    weights = found.value(forward.reads[1])
    assert weights.is_state and weights.shape == (4 * 3,)
    fields = forward.arguments.fields
    assert fields["columns"] == 3 and fields["rest"].data.shape == (4 * 5,)
    assert by_name["UpdateConv2D", "1"].scratch_bytes == 4 * 3
    kept = by_name["KeepChannels", "1"]
    assert by_name["UpdateConv2D", "1"].reads[1] == kept.writes[0]


def test_a_bias_alone_keeps_the_weights_in_flash_and_no_input():
    found, by_name = steps(networks.dense_chain(), "biases")
    assert {kernel for kernel, _ in by_name} == {
        *("TrainedConv2D", "CrossEntropy", "Conv2DGradient", "NarrowGradient", "UpdateBias")
    }
    assert [found.value(number).shape for number in found.learnt] == [(8,), (4,)]


def test_the_first_trained_layer_passes_no_gradient_on():
    _, by_name = steps(networks.dense_chain(), 2)
    assert ("Conv2DGradient", "1") in by_name and ("Conv2DGradient", "0") not in by_name


def test_scales_of_weights_are_scales_of_gradients():
    _, by_name = steps(trainable_networks.blocks(), [2, 8])
    scaled = by_name["Conv2DGradient", "8"].arguments.fields
    codes = scaled["scale"].data * 2.0 ** (scaled["exponent"] - (scaled["shift"] - 15) - 15)
    np.testing.assert_allclose(codes, _scales(8), rtol=2**-13)
    assert 2**14 <= scaled["scale"].data.max() <= 2**15


def _scales(place):
    graph = Model.from_bytes(trainable_networks.blocks()).subgraphs[0]
    return graph.tensors[graph.operators[place].inputs[1]].scale


@pytest.mark.parametrize("size, shift", [(1, 0), (16, 0), (17, 1), (64, 4)])
def test_sums_over_pixels_fit_32_bits(size, shift):
    shape = conv2d.Shape(1, 1, 1, 1, size, size, 1, 1, 1)
    found = weighted.pixel_shift(shape)
    assert found == shift
    # Rounding adds half a unit at most; the largest gradient is 32767, the largest code 255.
    largest = (32767 + (1 << found) // 2 >> found) * 255 * size * size
    assert largest < 2**31


def test_a_part_without_its_bias_leaves_the_bias_in_flash():
    plan = UpdatePlan((UpdatePart("y", 8, bias=False),))
    found, by_name = steps(networks.dense_chain(), plan)
    assert len(found.learnt) == 1 and ("UpdateBias", "1") not in by_name


def biased(value):
    model = Model.from_bytes(networks.dense_chain())
    graph = model.subgraphs[0]
    bias = graph.tensors[graph.operators[1].inputs[2]]
    bias.data = np.full(bias.shape, value, np.int32)
    return model.to_bytes()


def test_biases_may_be_as_large_as_sums_leave_room_for():
    most = 2**31 - 1 - 8 * 255 * 128  # 8 products
    assert steps(biased(-most), 1)
    with pytest.raises(ValueError, match=f"its bias must lie within {most}. Received: {most + 1}"):
        steps(biased(most + 1), 1)
