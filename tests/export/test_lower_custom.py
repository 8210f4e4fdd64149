import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import Unfit, channel_constants
from edgeax.runtime.interpreter import Interpreter
from tests.export.lowered import INT8, converted, kernel_rule, operator_of, options_of
from tests.export.networks import normal

layers = keras.layers


@pytest.fixture(scope="module")
def clamped():
    """Ranges wider than the activations: only a clamp can give the activation's ends."""
    kinds = {"none": None, "relu": "relu", "relu6": "relu6"}
    given = keras.Input((3, 3, 8))
    outputs = [layers.Conv2D(12, 3, activation=a, name=name)(given) for name, a in kinds.items()]
    plain = keras.Model(given, outputs)
    for layer in plain.layers[1:]:
        layer.kernel.assign(layer.kernel * 8)
    recipe = edgeax.Recipe(
        [
            kernel_rule("static_wi4_ai8", ".*"),
            edgeax.Rule(".*", output=edgeax.Quantize("int8", range=(-3.0, 10.0))),
        ]
    )
    return converted(edgeax.compress(plain, recipe), normal(8, 3, 3, 8))


def test_a_fused_activation_becomes_a_clamp_at_its_codes(clamped):
    model, _ = clamped.lower(pack=True)
    step, zero = 13 / 255, round(-128 + 3 / (13 / 255))
    ends = {"none": (-128, 127), "relu": (zero, 127), "relu6": (zero, zero + round(6 / step))}
    for path, (low, high) in ends.items():
        operator = operator_of(model, path)
        options = options_of(operator)
        assert (options["output_min"], options["output_max"]) == (low, high), path


def test_clamps_act_as_those_of_the_built_in_operators(clamped):
    x = normal(50, 3, 3, 8, seed=5)
    packed, dense = (
        Interpreter(model_content=clamped.lower(pack)[0].to_bytes()).run(x, raw=False)
        for pack in (True, False)
    )
    for name, one, other in zip(("none", "relu", "relu6"), packed, dense, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert packed[2].min() == 0.0 and packed[2].max() < 6.1 < packed[1].max()


def test_kernels_beyond_the_limits_of_the_plugin_stay_in_built_in_operators():
    given = keras.Input((65540, 1))
    long = layers.Conv1D(2, 4097, strides=4096, name="long")(given)
    deep = layers.Dense(2, name="deep")(layers.Flatten()(given))
    recipe = edgeax.Recipe([INT8, kernel_rule("static_wi4_ai8", ".*")])
    net = converted(edgeax.compress(keras.Model(given, [long, deep]), recipe), normal(2, 65540, 1))
    model, stored = net.lower(pack=True)
    assert {entry.how for entry in stored.values()} == {"int8"}
    assert stored["deep"].why == "it adds up 65540 products, more than 65536"
    assert "`kernel_" in stored["long"].why and "[1, 4096]. Received: 4097" in stored["long"].why


@pytest.mark.parametrize("bias, fits", [(2.0**31 - 1, True), (-(2.0**31), True), (2.0**31, False)])
def test_a_bias_beside_16_bit_activations_fits_32_bits_or_has_no_form(bias, fits):
    carrier = Carrier(None, 0.25, np.float32([0.5]), np.array([bias * 0.125]), is_wide=True)
    codes = Codes(np.int8([[1]]), np.float32([0.5]))
    if fits:
        constants = channel_constants(carrier, codes)
        assert constants["bias"].dtype == np.int32 and constants["bias"].tolist() == [int(bias)]
    else:
        with pytest.raises(Unfit, match="a bias of it takes more than 32 bits"):
            channel_constants(carrier, codes)
