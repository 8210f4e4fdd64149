import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import BlockFloat, Codebook, Integer
from edgeax.transforms import Chain, Quantize
from tests.transforms.modes import compiled, graph, in_every_mode

BITS = range(2, 9)


def weight_chain(quantize, shape):
    chain = Chain([quantize])
    chain.bind("weight", shape)
    return chain


def activation_chain(quantize):
    chain = Chain([quantize])
    chain.bind("activation", ())
    return chain


def after_training_on(quantize, *batches):
    chain = activation_chain(quantize)
    for batch in batches:
        chain.call(tf.constant(batch, tf.float32), training=True)
    return chain


@pytest.mark.parametrize(
    "format, axis, weight, values",
    [
        # Scale 2, codes -7, 2 (1.5 to the even one) and 0 (0.5 to the even one).
        ("int4", None, [[-14.0], [3.0], [1.0]], [[-14.0], [4.0], [0.0]]),
        # Channel scales 1, 2 and, of zeros only, any.
        ("int3", -1, [[3.0, -6.0, 0.0], [1.4, 5.1, 0.0]], [[3.0, -6.0, 0.0], [1.0, 6.0, 0.0]]),
        ("int2", None, [[0.4, -1.0, 0.6]], [[0.0, -1.0, 1.0]]),
        ("int8", None, [[127.0, -0.5, 2.5]], [[127.0, 0.0, 2.0]]),
        ("int8", -1, [2.0, -3.0, 0.0], [2.0, -3.0, 0.0]),  # a bias: every value its own channel
    ],
)
def test_weights_land_on_the_grid_worked_out_by_hand(format, axis, weight, values):
    chain = weight_chain(Quantize(format, axis=axis), np.shape(weight))
    assert chain.call(tf.constant(weight)).numpy().tolist() == values


@in_every_mode
@pytest.mark.parametrize("axis", [None, -1])
def test_training_computes_with_what_freeze_stores_bit_for_bit(axis, mode):
    weight = np.random.default_rng(0).normal(0, 0.05, size=(3, 3, 4, 6)).astype(np.float32)
    weight[..., 2] = 0.0
    chains = [weight_chain(Quantize(f"int{bits}", axis=axis), weight.shape) for bits in BITS]
    run = mode(lambda x: [chain.call(x, training=True) for chain in chains])
    for bits, chain, value in zip(BITS, chains, run(tf.constant(weight)), strict=True):
        grid = Integer(bits, axis=axis)
        encoded = chain.freeze(weight)
        assert encoded.format == grid
        assert np.array_equal(encoded.codes, grid.encode(weight, grid.fit(weight)))
        assert np.array_equal(encoded.decode(), value)
        assert not value.numpy()[..., 2].any()


@in_every_mode
def test_a_weights_gradient_passes_straight_through(mode):
    weight, upstream = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    chain = weight_chain(Quantize("int2", axis=-1), weight.shape)

    @mode
    def run(weight):
        with tf.GradientTape() as tape:
            tape.watch(weight)
            value = chain.call(weight, training=True)
        return tape.gradient(value, weight, upstream)

    assert np.array_equal(run(tf.constant(weight)), upstream)


@in_every_mode
def test_jkc18_zero_is_exact_at_any_range(mode):
    chains = [activation_chain(Quantize(f"int{bits}", range="min_max")) for bits in BITS]
    run = mode(lambda x: [chain.call(x, training=True) for chain in chains])
    rng = np.random.default_rng(2)
    for _ in range(12):
        for chain in chains:
            chain.transforms[0].range.seen.assign(0)
        ends = rng.normal(size=2) * 10.0 ** rng.uniform(-4, 4, size=2)
        batch = np.float32([0.0, -0.0, *ends])
        for value in run(tf.constant(batch)):
            assert value.numpy()[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "range, batches, extremes",
    [
        ("min_max", [[-1.0, 2.0], [0.5, 3.0]], (-1.0, 3.0)),
        # 0.99 * 2 + 0.01 * 3 = 2.01; 0.99 * -1 + 0.01 * 0.5 = -0.985
        ("moving_average", [[-1.0, 2.0], [0.5, 3.0]], (-0.985, 2.01)),
        ("min_max", [[0.5, 2.0]], (0.0, 2.0)),  # widened to contain zero
        ("min_max", [[-2.0, -0.5]], (-2.0, 0.0)),
        ((-1.0, 4.0), [[-9.0, 9.0]], (-1.0, 4.0)),
        ([0, 6], [[-9.0, 9.0]], (0.0, 6.0)),
    ],
)
def test_an_activations_range_is_the_one_worked_out_by_hand(range, batches, extremes):
    quantize = Quantize("int8", range=range)
    after_training_on(quantize, *batches)
    assert quantize.extremes == pytest.approx(extremes, rel=1e-6)


@in_every_mode
def test_activations_equal_the_affine_format_bit_for_bit(mode):
    chains = [activation_chain(Quantize(f"int{bits}", range="min_max")) for bits in BITS]
    run = mode(lambda x: [chain.call(x) for chain in chains])
    rng = np.random.default_rng(3)
    for magnitude in (0.01, 1.0, 300.0):
        first = (magnitude * rng.normal(0.3, 1.0, size=(4, 5))).astype(np.float32)
        wider = 2 * first[::-1]
        for chain in chains:
            chain.transforms[0].range.seen.assign(0)
            chain.call(tf.constant(first), training=True)
        for bits, value in zip(BITS, run(tf.constant(wider)), strict=True):
            grid = Integer(bits, symmetric=False)
            params = grid.fit(first)
            assert np.array_equal(value, grid.decode(grid.encode(wider, params), params))


def test_activations_equal_tensorflows_fake_quantization():
    rng = np.random.default_rng(4)
    batch, upstream = rng.normal(0.3, 1.0, size=(2, 4, 50)).astype(np.float32)
    low, high = np.float32(-0.6), np.float32(1.1)
    for bits in BITS:
        chain = activation_chain(Quantize(f"int{bits}", range=(low, high)))
        results = []
        for function in (
            lambda x, chain=chain: chain.call(x, training=True),
            lambda x, bits=bits: tf.quantization.fake_quant_with_min_max_args(
                x, low, high, num_bits=bits
            ),
        ):
            with tf.GradientTape() as tape:
                x = tf.Variable(batch)
                value = function(x)
            results.append((value, tape.gradient(value, x, upstream)))
        (value, gradient), (expected, expected_gradient) = results
        assert value.numpy() == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)
        assert np.array_equal(gradient, expected_gradient)


@in_every_mode
def test_an_activation_outside_its_range_is_clipped_and_gets_no_gradient(mode):
    chain = activation_chain(Quantize("int8", range=(-1.0, 1.0)))
    batch = tf.constant([-3.0, -0.5, 0.0, 0.5, 3.0])

    @mode
    def run():
        with tf.GradientTape() as tape:
            tape.watch(batch)
            value = chain.call(batch, training=True)
        return value, tape.gradient(value, batch)

    value, gradient = run()
    assert value.numpy() == pytest.approx([-1.0, -0.5, 0.0, 0.5, 1.0], abs=1 / 127)
    assert gradient.numpy().tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


@in_every_mode
def test_values_pass_unchanged_while_no_range_was_seen(mode):
    chain = activation_chain(Quantize("int2"))
    batch = np.float32([-0.123, 4.567])
    assert np.array_equal(mode(chain.call)(tf.constant(batch)), batch)
    assert chain.transforms[0].extremes is None


@in_every_mode
@pytest.mark.parametrize("range", ["min_max", (0.0, 3.0)])
def test_values_pass_unchanged_before_begin_step(range, mode):
    chain = activation_chain(Quantize("int2", range=range, begin_step=2))
    batch = np.float32([0.0, 1.4, 3.0])
    train = mode(lambda x: chain.call(x, training=True))
    infer = mode(lambda x: chain.call(x))
    for _ in (0, 1):
        assert np.array_equal(infer(tf.constant(batch)), batch)
        assert np.array_equal(train(tf.constant(batch)), batch)
    # Two steps were done: the grid 0, 1, 2, 3 is in force.
    assert infer(tf.constant(batch)).numpy().tolist() == [0.0, 1.0, 3.0]
    assert train(tf.constant(batch)).numpy().tolist() == [0.0, 1.0, 3.0]


def test_inference_does_not_move_the_range():
    chain = after_training_on(Quantize("int8", range="min_max"), [-1.0, 2.0])
    chain.call(tf.constant([-50.0, 50.0]))
    assert chain.transforms[0].extremes == (-1.0, 2.0)


@in_every_mode
def test_a_constant_zero_activation_does_no_harm(mode):
    chain = activation_chain(Quantize("int8"))
    value = mode(lambda x: chain.call(x, training=True))(tf.zeros([4]))
    assert value.numpy().tolist() == [0.0] * 4
    low, high = chain.transforms[0].extremes
    assert low == 0.0 < high


@pytest.mark.parametrize("mode", [graph, compiled])
def test_the_batch_size_may_be_unknown(mode):
    chain = activation_chain(Quantize("int8", range="min_max"))
    train = mode(lambda x: chain.call(x, training=True))
    infer = mode(lambda x: chain.call(x))
    for run in (train, infer):
        traced = run.get_concrete_function(tf.TensorSpec((None, 3)))
        assert traced.structured_outputs.shape.as_list() == [None, 3]


@pytest.mark.parametrize("bits", BITS)
def test_formats_are_called_int_and_their_bits(bits):
    assert Quantize(f"int{bits}").number_format == Integer(bits)


@pytest.mark.parametrize("name, near", [("init8", "int8"), ("uint4", "int4")])
def test_an_unknown_format_is_refused_with_the_near_ones(name, near):
    with pytest.raises(ValueError, match=rf"`format` must name.*format={name!r}.*mean.*'{near}'"):
        Quantize(name)


def test_a_format_that_resembles_none_is_refused_with_all():
    with pytest.raises(ValueError, match=r"format='zzz'.*'int2', .*'int8'"):
        Quantize("zzz")


@pytest.mark.parametrize("format", [8, None, Codebook(16), Integer(8, symmetric=False)])
def test_what_cannot_round_by_itself_is_refused(format):
    with pytest.raises(ValueError, match="`format` must be the name of a number format or one"):
        Quantize(format)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Quantize("int8", axis=0), "`axis` must be -1.*or None.*axis=0"),
        (lambda: Quantize("int8", begin_step=-1), "`begin_step` must be at least 0.*=-1"),
        (lambda: Quantize("int8", range="minmax"), "`range` must be one of.*range='minmax'"),
        (lambda: Quantize("int8", momentum=1.0), r"`momentum` must lie in \[0, 1\).*=1.0"),
        (lambda: Quantize("int8", range=(1.0, 2.0)), r"`range` must be \(low, high\).*1.0, 2.0"),
        (lambda: Quantize("int8", range=(2.0, -1.0)), r"`range` must be \(low, high\)"),
        (lambda: Quantize("int8", range=(0.0, 0.0)), r"`range` must be \(low, high\)"),
        (lambda: Quantize("int8", range=(0.0, float("inf"))), r"`range` must be.*finite.*inf"),
        (lambda: Quantize("int8", range=(float("nan"), 1.0)), r"`range` must be.*finite.*nan"),
        (lambda: Quantize("int8", range=(0.0,)), r"`range` must be \(low, high\)"),
        (lambda: Quantize("int8", range=(-1.0, 0.0, 1.0)), r"`range` must be \(low, high\)"),
        (
            lambda: Chain([Quantize("int8"), Quantize("int4")]),
            "`Quantize` must be the only quantizer in a chain.*Received: Quantize before it",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "quantize",
    [
        Quantize("int4", axis=-1),
        Quantize("int8", range="min_max", begin_step=5),
        Quantize("int3", momentum=0.5),
        Quantize("int8", range=(-2.0, 6.0)),
    ],
)
def test_settings_survive_json(quantize):
    text = json.dumps(keras.saving.serialize_keras_object(quantize))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(again, Quantize)
    assert again.get_config() == quantize.get_config()
    assert again.number_format == quantize.number_format
    assert again.fixed_range == quantize.fixed_range


def activations(count=20_000, seed=0):
    """Values with heavy tails."""
    return np.random.default_rng(seed).standard_t(2, size=(8, count // 8)).astype(np.float32)


@pytest.mark.parametrize("name", ["vquant3", "balanced2", "s2fp8", "ternary", "binary", "lq2"])
def test_an_activation_has_the_params_of_all_its_values(name):
    x = activations()
    chain = after_training_on(Quantize(name), x)
    format = chain.transforms[0].number_format
    params = format.fit(x)
    for key, value in chain.transforms[0].activation_params().items():
        np.testing.assert_allclose(value, params[key], rtol=1e-5)
    expected = format.decode(format.encode(x, params), params)
    assert np.mean(np.abs(chain.call(tf.constant(x)) - expected) > 1e-4) < 1e-3


def test_pyv18_most_of_an_activation_with_tails_is_not_rounded_to_zero():
    x = activations()
    made = after_training_on(Quantize("vquant3"), x).call(tf.constant(x)).numpy()
    plain = after_training_on(Quantize("int3"), x).call(tf.constant(x)).numpy()
    assert np.mean(np.square(made - x)) < np.mean(np.square(plain - x)) / 4


def test_params_of_activations_follow_by_moving_average():
    first, second = np.float32([[1.0, -1.0]]), np.float32([[3.0, -3.0]])
    chain = after_training_on(Quantize("binary", momentum=0.75), first, second)
    # E|x| is 1, then 3: 0.75 * 1 + 0.25 * 3.
    assert chain.transforms[0].activation_params()["scale"] == pytest.approx(1.5)
    chain.call(tf.constant([[np.nan, 1.0]]), training=True)
    assert chain.transforms[0].activation_params()["scale"] == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["hbfp4", "swalp5", "bfp5"])
def test_dtjf18_yzk19_each_sample_of_an_activation_has_an_exponent_of_its_own(name):
    x = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    x *= np.float32([[1.0], [1e-3], [1e3]])
    format = BlockFloat(5, axis=0) if name == "bfp5" else name
    chain = after_training_on(Quantize(format), x)
    made = chain.call(tf.constant(x)).numpy()
    for row in made:
        assert len(set(row)) > 8
    assert np.all(np.abs(made - x) <= np.abs(x).max(axis=1, keepdims=True) / 7)


@pytest.mark.parametrize("code", [20_000.0, -20_000.0, 3.0])
def test_stochastic_rounding_leaves_whole_codes_of_16_bits_alone(code):
    weight = np.full((200, 50), code, np.float32)
    weight[0, 0] = 32767.0  # a step of 1
    chain = Chain([Quantize("int16", rounding="stochastic")])
    chain.bind("weight", weight.shape)
    np.testing.assert_array_equal(chain.call(tf.constant(weight), training=True), weight)
