import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.training_program import training_of
from tests.runtime import files
from tests.runtime.mcu import networks, trainable_networks, training_files

RULE = Rule(rate_bits=1, dead_zone=64, least_error=4096, seed=9)


def test_layers_before_the_first_trained_one_are_frozen():
    found = training_files.training(trainable_networks.blocks(), RULE, [8, 11])
    frozen = Model.from_bytes(found.frozen).subgraphs[0]
    assert len(frozen.operators) == 8 and found.frozen_outputs == tuple(frozen.outputs)
    kernels = [step.kernel for step in found.steps]
    assert kernels[0] == "TrainedConv2D" and "MaxPoolTaps" not in kernels
    assert found.forward_stages == len(found.plan.stages) - kernels[found.forward :].__len__()


def test_gradients_end_at_the_first_trained_layer():
    found = training_files.training(trainable_networks.blocks(), RULE, [10])
    backward = [step.label for step in found.steps[found.forward :]]
    assert {label.split(" ")[0] for label in backward} == {"loss", "11", "10"}


def test_a_side_way_that_does_not_change_is_frozen():
    net = trainable_networks.Net((1, 6, 6, 2))
    x = net.conv(0, 4, 1)
    trained = net.conv(x, 4, 3)
    data = net.write(net.dense(net.mean(net.add(trained, net.conv(x, 4, 1)))))
    found = training_files.training(data, RULE, [1])
    assert len(found.frozen_outputs) == 2
    kernels = [step.kernel for step in found.steps]
    assert kernels.count("TrainedConv2D") == 2  # the trained one, and the dense layer behind it


def test_kept_activations_are_those_that_gradients_need():
    whole = training_files.training(trainable_networks.blocks(), RULE, [0, 1, 2, 5, 8, 10, 11])
    biases = training_files.training(trainable_networks.blocks(), RULE, "biases")
    last = training_files.training(trainable_networks.blocks(), RULE, 1)
    ram = [found.plan.ram_bytes for found in (whole, biases, last)]
    assert ram[0] > ram[1] > ram[2]
    # Memory is shared over time: forward and backward together take less than all that is kept.
    total = sum(buffer.size_bytes for buffer in whole.plan.buffers.values())
    assert whole.plan.arena_bytes < 0.6 * total


def test_no_ram_is_more_than_what_is_asked_for():
    data = networks.dense_chain()
    free = training_files.training(data, RULE).plan.ram_bytes
    assert training_of(data, "host", 1, RULE, "cross_entropy", free).plan.ram_bytes == free
    with pytest.raises(ValueError, match=f"`ram_bytes` must be at least {free} .* {free - 1}. All"):
        training_of(data, "host", 1, RULE, "cross_entropy", free - 1)


def one_layer() -> bytes:
    net = trainable_networks.Net((1, 12))
    return net.write(net.dense(0, 4))


def test_a_single_layer_needs_no_other():
    found = training_files.training(one_layer(), RULE)
    assert found.frozen is None and found.inputs == (0,)


@pytest.mark.parametrize(
    "data, trainable, words",
    [
        (networks.images(), 1, "must end in a FULLY_CONNECTED, .* Received: operator 0 CONV_2D, y"),
        (networks.branches(), 1, "and have one output. Received: .* 2 outputs"),
        (networks.dense_chain(batch=2), 1, "operator 1 FULLY_CONNECTED, y: .*a batch of 1"),
        (training_files.classifier(last_activation=1), 1, "must have no activation.*: RELU"),
        (training_files.classifier(True, beta=2.0), 1, "2 SOFTMAX, p: .*beta 1. Received: 2.0"),
        (files.float_dense(), 1, "Quantize the model"),
        (b"", 1, "must be a TFLite model"),
    ],
    ids=["convolution", "two outputs", "batch", "activation", "beta", "float", "empty"],
)
def test_files_that_cannot_be_trained_are_refused(data, trainable, words):
    with pytest.raises(ValueError, match=words):
        training_files.training(data, RULE, trainable)


def test_operators_that_pass_no_gradients_are_named():
    net = trainable_networks.Net((1, 6, 6, 2))
    x = net.conv(0, 4, 1)
    data = net.write(net.dense(net.mean(net.pad(x))))
    with pytest.raises(ValueError, match="1 PAD, .*there must be only ADD, .* Train only layers"):
        training_files.training(data, RULE, [0])
    assert training_files.training(data, RULE, 1).frozen


def test_layers_that_change_no_output_are_refused():
    net = trainable_networks.Net((1, 6, 6, 2))
    net.conv(0, 4, 1)
    data = net.write(net.dense(net.mean(0)))
    with pytest.raises(ValueError, match="that the output depends on. Received: only 0 CONV_2D"):
        training_files.training(data, RULE, [0])


def test_saved_bytes_of_other_layers_start_from_another_mark():
    data = networks.dense_chain()
    first, other = (training_files.training(data, RULE, parts) for parts in (1, 2))
    assert first.mark != other.mark
    assert first.mark == training_files.training(data, RULE, 1).mark
    assert first.saved_bytes == 4 + 4 * 8 + 4 * 4


def test_the_loss_is_that_of_the_file():
    found = training_files.training(training_files.classifier(), RULE)
    (step,) = (step for step in found.steps if step.kernel == "CrossEntropy")
    fields = step.arguments.fields
    assert fields["exponentials"].data[:3].tolist() == [32768, 29650, 26828]  # exp(-0.1), ...
    assert fields["loss_step"] == 6554  # 0.1 in units of 2**-16
    assert fields["exponentials"].data.dtype == np.uint16
