import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats import FixedPoint, Minifloat
from edgeax.model.arithmetics import ARITHMETICS, as_arithmetic, fixed16, fp8, fp16
from edgeax.training import Arithmetic
from edgeax.transforms.bit_choices import chosen

layers = keras.layers


def kernel_gradient(arithmetic, upstream, x=None):
    """Returns output and kernel gradient of a Dense layer of ones with an arithmetic."""
    layer = edgeax.Compressed(
        layers.Dense(2, kernel_initializer="ones", use_bias=False), arithmetic=arithmetic
    )
    x = tf.constant(np.ones((len(upstream), 3), np.float32) if x is None else x)
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
    return y.numpy(), tape.gradient(y, layer.layer.kernel.value, tf.constant(upstream)).numpy()


def test_kmm19_operands_and_gradients_are_casts_to_bfloat16():
    def cast(value):
        return tf.cast(tf.cast(value, tf.bfloat16), tf.float32).numpy()

    generator = np.random.default_rng(0)
    x, upstream = (generator.normal(size=(4, n)).astype(np.float32) for n in (3, 2))
    y, gradient = kernel_gradient(as_arithmetic("bfloat16"), upstream, x)
    np.testing.assert_array_equal(y, np.repeat(cast(x).sum(1, keepdims=True), 2, axis=1))
    np.testing.assert_array_equal(gradient, cast(cast(x).T @ cast(upstream)))


def test_mna17_gradients_that_fp16_flushes_are_recovered_by_a_scale():
    # 2**-25 is half the smallest of fp16 and goes to the even 0; times 1024 it is 2**-15.
    tiny = np.full((1, 2), 2.0**-25, np.float32)
    assert not np.any(kernel_gradient(fp16(None), tiny)[1])
    scaled = kernel_gradient(fp16(1024.0), 1024 * tiny)[1] / 1024
    assert np.all(scaled == 2.0**-25)
    # An update of 2**-11 of the weight is lost in fp16, which is why there is a master copy.
    assert np.float32(1 + 2.0**-11).astype(np.float16) == 1.0
    assert fp16().update is None and fp16().loss_scale == "dynamic"


def test_mna17_a_gradient_that_is_too_large_becomes_infinite_and_its_step_is_left_out():
    large = np.full((1, 2), 1e5, np.float32)
    assert np.all(np.isinf(kernel_gradient(fp16(), large)[1]))
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model = edgeax.compress(model, edgeax.Recipe(arithmetic="fp16"))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = model.get_weights()
    # 2**24 times the error of about 1 is beyond fp16: nothing moves but the scale.
    x, y = np.ones((8, 3), np.float32), np.full((8, 1), 9.0, np.float32)
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    np.testing.assert_array_equal(model.layers[0].layer.kernel, before[0])
    assert float(model.optimizer.dynamic_scale) == 2.0**21
    model.fit(x, y, batch_size=8, epochs=40, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.1


def test_gagn15_stochastic_rounding_moves_what_nearest_stalls():
    # Each update is a quarter of a step of 2**-14: nearest never moves, stochastic does on average.
    def moved(rounding):
        model = keras.Sequential([keras.Input((1,)), layers.Dense(256, use_bias=False)])
        model = edgeax.compress(model, fixed16(rounding))
        model.compile(keras.optimizers.SGD(2.0**-2), lambda y, p: tf.reduce_sum(p, -1) * 2.0**-14)
        kernel = model.layers[0].layer.kernel
        kernel.assign(np.zeros(kernel.shape))
        model.fit(np.ones((64, 1)), np.ones((64, 1)), batch_size=1, verbose=0)
        assert np.array_equal(np.round(kernel.numpy() * 2**14), kernel.numpy() * 2**14)
        return float(np.mean(kernel.numpy())) * 2**14

    assert moved("nearest") == 0.0
    assert moved("stochastic") == pytest.approx(-64 / 4, rel=0.05)


def test_wcb18_has_fp8_operands_and_16_bit_sums_in_chunks():
    # 4096 products of 1: one running sum stalls at 1024, chunks of 64 do not.
    ones = np.ones((4096, 2), np.float32)
    assert np.all(kernel_gradient(fp8(None), ones)[1] == 1024.0)
    assert np.all(kernel_gradient(fp8(), ones)[1] == 4096.0)
    made = as_arithmetic("fp8")
    assert made.loss_scale == 1000.0 and made.chunk == 64
    assert made.update_format == made.accumulate_format == Minifloat(6, 9)
    assert made.rounding["update"] == "stochastic" and made.rounding["forward"] == "nearest"
    x = np.float32([[1.1, 1.2, 1e-6]])  # 1, 1.25 and nothing in 1-5-2
    assert kernel_gradient(made, ones[:1], x)[0].tolist() == [[2.25, 2.25]]


# WAGE wants a training of its own, DoReFa inputs in [0, 1].
@pytest.mark.parametrize("name", sorted({*ARITHMETICS} - {"wage", "dorefa", "wide_fp8"}))
def test_every_arithmetic_trains_a_small_network_by_name(name):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
    y = (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.SGD(0.5), "mse", metrics=["accuracy"])
    model = edgeax.compress(model, edgeax.Recipe(arithmetic=name))
    model.fit(x, y, batch_size=32, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.8


def test_a_rule_gives_its_layers_another_arithmetic_or_none():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")]
    )
    rules = [edgeax.Rule("b", arithmetic="wide_fp8")]
    recipe = edgeax.Recipe(rules, arithmetic="fp8")
    again = edgeax.Recipe.from_json(recipe.to_json())
    made = edgeax.compress(model, again)
    formats = [layer.arithmetic.accumulate_format for layer in made.layers]
    assert formats == [Minifloat(6, 9), None] and again.loss_scale == 1000.0


def test_rules_that_scale_the_loss_differently_are_rejected():
    rules = [edgeax.Rule("b", arithmetic=fp16(8.0))]
    with pytest.raises(ValueError, match="`rules` must not scale the loss differently"):
        edgeax.Recipe(rules, arithmetic="fp16")


def test_an_unknown_name_suggests_others():
    with pytest.raises(ValueError, match=re.escape("Did you mean one of ['bfloat16'")):
        edgeax.Recipe(arithmetic="bfloat")
    with pytest.raises(ValueError, match="`arithmetic` must be an edgeax.training.Arithmetic"):
        edgeax.Rule("a", arithmetic=3)


def test_an_arithmetic_and_transforms_go_together():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, name="a"), layers.Dense(2)])
    prune = edgeax.Prune(edgeax.ConstantSparsity(0.5, 0))
    model = edgeax.compress(
        model, edgeax.Recipe([edgeax.Rule("a", kernel=prune)], arithmetic="bfloat16")
    )
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=3, verbose=0)
    kernel = edgeax.strip(model).layers[0].kernel.numpy()
    assert np.mean(kernel == 0.0) == 0.5
    assert not np.any(kernel.view(np.uint32) & 0xFFFF)
    assert Arithmetic(forward=FixedPoint(2, 6)).kernel_members()


def test_msdk19_is_fp8_with_wide_sums_and_a_rising_scale():
    made = as_arithmetic("enhanced_fp8")
    assert made.loss_scale == "enhanced" and made.accumulate is None
    assert made.update_format == Minifloat(5, 10)
    (value,), (error,) = made.input_members(), made.error_members()
    assert (value.format, value.rounding) == (error.format, error.rounding)
    assert value.format == Minifloat(5, 2) and value.rounding == "stochastic"
    # 4096 products of 1 do not stall.
    gradient = kernel_gradient(made, np.ones((4096, 2), np.float32))[1]
    assert np.all(gradient == 4096.0)


def test_dtjf18_products_are_in_blocks_and_weights_in_16_bits():
    # 8-bit mantissas: 1.001 is clipped to 2 - 2**-7 at most, its steps are 2**-7.
    x = np.float32([[1.001, 0.004, 0.003], [0.01, 0.0, 0.0]])
    y, _ = kernel_gradient(as_arithmetic("hbfp"), np.ones((2, 2), np.float32), x)
    # The kernel of ones has ceil(log2(1)) = 0 and is clipped to 1 - 2**-8.
    one = 1 - 2.0**-8
    np.testing.assert_allclose(y[:, 0], [(1.0 + 2.0**-7) * one, 0.01 * one], rtol=3e-3)
    assert as_arithmetic("hbfp").update_format.bits == 16


def test_cbg20_small_gradients_survive_without_a_loss_scale():
    upstream = (np.random.default_rng(0).normal(size=(64, 2)) * 1e-6).astype(np.float32)
    exact = kernel_gradient(None, upstream)[1]
    squeezed = kernel_gradient(as_arithmetic("s2fp8"), upstream)[1]
    plain = kernel_gradient(Arithmetic(backward=Minifloat(5, 2)), upstream)[1]
    assert not np.any(plain)
    np.testing.assert_allclose(squeezed, exact, rtol=0.2)


def test_dmm18_products_are_those_of_16_bit_integers():
    generator = np.random.default_rng(0)
    x, upstream = (generator.normal(size=(8, n)).astype(np.float32) for n in (3, 2))
    y, gradient = kernel_gradient(as_arithmetic("dfp16"), upstream, x)

    def integers(values):
        step = 2.0 ** (np.ceil(np.log2(np.abs(values).max())) - 15)
        return np.clip(np.round(values.astype(np.float64) / step), -(2**15), 2**15 - 1) * step

    ones = integers(np.ones((3, 2)))
    np.testing.assert_allclose(y, integers(x) @ ones, rtol=1e-6, atol=1e-6)
    expected = integers(x).T @ integers(upstream)
    np.testing.assert_allclose(gradient, integers(expected), atol=1e-4)


def test_kww17_exponents_are_predicted_for_every_tensor():
    made = as_arithmetic("flexpoint")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    assert len(members) == 4 and all(member.rule.window == 16 for member in members)
    assert len({id(member.rule) for member in members}) == 4


def test_cbd14_computes_in_10_bits_and_stores_12():
    made = as_arithmetic("dynamic_fixed")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    assert [member.rule.width for member in members] == [10] * 4
    assert made.update_format.bits == 12


def test_yzk19_everything_is_8_bit_and_stochastic():
    made = as_arithmetic("swalp")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    assert {(member.format.width, member.rounding) for member in members} == {(8, "stochastic")}
    assert made.update_format.bits == 8 and {*made.rounding.values()} == {"stochastic"}
    assert made.forward["kernel"] is None  # rounded where it is stored, and not once more


def test_rvvb20_products_are_in_block_fixed_point_of_8_bits_first():
    made = as_arithmetic("muppet")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    names = [type(member).__name__ for member in members]
    assert names == ["SwitchedWidth", "KeptGradient", "SwitchedWidth", "SwitchedGradient"]
    assert {tuple(one.widths) for one in members if one is not members[1]} == {(8, 12, 14, 16)}
    assert made.update_format is None
    # 127.5 / 6 allows steps of 2**-4, 2047.5 / 6 of 2**-8; a product with weights of 1 shows them.
    x = np.float32([[6.0, 0.03, 0.07], [0.0, 0.0, 0.3]])
    ones = np.ones((3, 1), np.float32)
    steps = {8: 16, 12: 256}
    for width, step in steps.items():
        arithmetic = ARITHMETICS["muppet"](widths=(width,))
        (member,) = arithmetic.input_members()
        member.bind("activation", ())
        found = member.call(tf.constant(x), tf.constant(0)) @ ones
        np.testing.assert_allclose(found, np.round(x * step) @ ones / step, rtol=1e-6)


def test_wlcs18_has_the_four_widths_of_wage():
    made = as_arithmetic("wage")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    names = [type(member).__name__ for member in members]
    assert names == ["WAGE", "WAGEUpdate", "WAGE", "WAGEError"]
    assert [member.bits for member in members] == [2, 8, 8, 8]


def test_zwn16_has_the_three_widths_of_dorefa():
    made = as_arithmetic("dorefa")
    members = [*made.kernel_members(), *made.input_members(), *made.error_members()]
    assert [member.bits for member in members] == [1, 2, 6]


def test_sg94_one_factor_of_each_product_is_a_power_of_two():
    made = as_arithmetic("powers_of_two")
    (kernel,), (error,) = made.kernel_members(), made.error_members()
    assert not made.input_members() and kernel.format == error.format
    values = np.exp(np.random.default_rng(0).uniform(-3, 3, 100_000)).astype(np.float32)
    rounded = kernel.format.rounded(values, kernel.format.fit(values), edgeax.formats.arrays)
    powers = np.log2(rounded)
    assert np.array_equal(powers, np.round(powers))
    # Unbiased in the logarithm.
    assert np.mean(powers - np.log2(values)) == pytest.approx(0.0, abs=5e-3)


def test_fyz20_pfq_has_the_widths_of_its_stage():
    made = ARITHMETICS["pfq"]()
    (kernel,), (value,), (error,) = (
        made.kernel_members(),
        made.input_members(),
        made.error_members(),
    )
    assert kernel.bits.bits == value.bits.bits == [3, 4, 6, 8]
    assert error.bits.bits == [6, 6, 8, 8] and error.rounding == "stochastic"
    assert kernel.number_format.axis == -1 and made.update is None
    wide = ARITHMETICS["pfq"](backward=(6, 8, 12, 16)).error_members()[0]
    assert wide.bits.bits == [6, 8, 12, 16]
    with pytest.raises(ValueError, match="must have as many widths each"):
        ARITHMETICS["pfq"](forward=(3, 8))


def test_fyz20_dfq_rounds_each_sample_to_the_widths_of_its_choice():
    made = ARITHMETICS["dfq"]()
    (value,), (error,) = made.input_members(), made.error_members()
    assert value.bits.bits == [3, 4, 4, 6, 6] and error.bits.bits == [6, 6, 8, 8, 12]
    assert made.kernel_members()[0].number_format.bits == 4
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    with chosen(tf.constant([[1.0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0]])):
        y, _ = kernel_gradient(made, np.ones((2, 2), np.float32), x)
    steps = np.abs(x).max() / np.array([[3.0], [31.0]])  # 3 bits and 6 bits
    rounded = np.round(x / steps) * steps
    np.testing.assert_allclose(y, np.repeat(rounded.sum(1, keepdims=True), 2, axis=1), rtol=1e-5)
    with pytest.raises(ValueError, match="must have as many widths each"):
        ARITHMETICS["dfq"](gradients=(6, 8))


def test_layers_of_one_shape_draw_different_noise():
    seeds = {ARITHMETICS["pfq"]().error_members(salt)[0].seed for salt in range(3)}
    assert len(seeds) == 3
