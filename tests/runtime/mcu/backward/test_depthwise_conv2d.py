from edgeax.runtime.mcu.backward.tape import Rule
from tests.runtime.mcu import trainable_networks, training_files

RULE = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)


def test_the_trained_channels_keep_the_inputs_that_they_read():
    data = trainable_networks.blocks()  # operator 5: 8 channels, multiplier 2
    found = training_files.training(data, RULE, {5: 0.3})  # 5 of 16 channels read 3 of 8
    (update,) = (step for step in found.steps if step.kernel == "UpdateDepthwise")
    fields = update.arguments.fields
    assert (fields["columns"], fields["kept"]) == (5, 3)
    assert found.value(update.writes[0]).shape == (9 * 5,)
    assert found.value(update.reads[1]).size_bytes == 6 * 5 * 3
