"""Compressed: any layer computes with transformed tensors and keeps all its other ways."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax import Chain, Cluster, Compressed, PolynomialDecay, Prune, Quantize
from edgeax.model.wrapper import has_kernel, slot_of
from tests.model import small_models

layers = keras.layers

# A layer, the shape of its input, and for each kernel the axes over which one scale is taken.
KINDS = {
    "dense": (lambda: layers.Dense(3, activation="relu"), (4, 5), {"kernel": (0,)}),
    "conv1d": (lambda: layers.Conv1D(3, 2), (2, 6, 4), {"kernel": (0, 1)}),
    "conv2d": (lambda: layers.Conv2D(4, 3, strides=2), (2, 6, 6, 2), {"kernel": (0, 1, 2)}),
    "depthwise1d": (
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2),
        (2, 6, 3),
        {"kernel": (0,)},
    ),
    "depthwise2d": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        (2, 6, 6, 3),
        {"kernel": (0, 1)},
    ),
    "separable1d": (
        lambda: layers.SeparableConv1D(4, 3),
        (2, 6, 3),
        {"depthwise_kernel": (0,), "pointwise_kernel": (0, 1)},
    ),
    "separable2d": (
        lambda: layers.SeparableConv2D(4, 3, depth_multiplier=2),
        (2, 6, 6, 3),
        {"depthwise_kernel": (0, 1), "pointwise_kernel": (0, 1, 2)},
    ),
    "conv1d_transpose": (lambda: layers.Conv1DTranspose(4, 2), (2, 6, 3), {"kernel": (0, 2)}),
    "conv2d_transpose": (
        lambda: layers.Conv2DTranspose(4, 3, strides=2),
        (2, 4, 4, 3),
        {"kernel": (0, 1, 3)},
    ),
    "einsum": (
        lambda: layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="e"),
        (2, 5, 4),
        {"kernel": (0,)},
    ),
    "embedding": (lambda: layers.Embedding(7, 3), (2, 5), {"embeddings": (0, 1)}),
}


def example(kind, seed=0):
    """Returns a built layer, its input, and its axes."""
    make, shape, axes = KINDS[kind]
    keras.utils.set_random_seed(seed)
    layer = make()
    generator = np.random.default_rng(seed)
    if kind == "embedding":
        given = generator.integers(0, 7, shape)
    else:
        given = generator.normal(size=shape).astype(np.float32)
    layer(given)
    for variable in layer.weights:
        variable.assign(generator.normal(size=variable.shape))
    return layer, given, axes


def on_4_bits(weight, axes):
    """Rounds a weight by the definition of the symmetric grid."""
    scale = np.max(np.abs(weight), axis=axes, keepdims=True) / np.float32(7)
    return scale * np.clip(np.rint(weight / scale), -7, 7)


def copy_of(layer, values):
    """Returns a plain layer of the same settings with `values` by name instead of its weights."""
    copy = type(layer).from_config(layer.get_config())
    copy.build(layer._build_shapes_dict["input_shape"])
    for target, source in zip(copy.weights, layer.weights, strict=True):
        target.assign(values.get(source.name, source.numpy()))
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_is_that_of_the_plain_layer_with_rounded_weights_bit_for_bit(kind):
    layer, given, axes = example(kind)
    rounded = {v.name: on_4_bits(v.numpy(), axes[v.name]) for v in layer.weights if v.name in axes}
    expected = copy_of(layer, rounded)(given)
    raw = [weight.copy() for weight in layer.get_weights()]
    wrapper = Compressed(layer, kernel=Quantize("int4", axis=-1))
    assert np.array_equal(wrapper(given), expected)
    assert np.array_equal(wrapper(given, training=True), expected)
    assert all(map(np.array_equal, layer.get_weights(), raw))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_passes_the_rounding_to_the_raw_variables(kind):
    layer, given, axes = example(kind)
    rounded = {v.name: on_4_bits(v.numpy(), axes[v.name]) for v in layer.weights if v.name in axes}
    plain = copy_of(layer, rounded)
    wrapper = Compressed(layer, kernel=Quantize("int4", axis=-1))

    def gradients(called, variables):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(called(given) ** 2)
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, [v.value for v in variables])]

    ours, theirs = gradients(wrapper, layer.weights), gradients(plain, plain.weights)
    assert all(map(np.array_equal, ours, theirs))
    assert any(np.any(gradient) for gradient in ours)


@pytest.mark.parametrize("kind", ["dense", "separable2d", "conv1d_transpose", "embedding"])
def test_frozen_weights_decode_to_what_the_layer_computed_with(kind):
    layer, given, _ = example(kind)
    chain = [Prune(0.5), Cluster(4), Quantize("int8", axis=-1)]
    wrapper = Compressed(layer, kernel=chain)
    wrapper(given)
    wrapper.initialize()
    values = {
        variable.name: layout.from_canonical(encoded.decode())
        for variable, layout, encoded in wrapper.freeze_weights()
    }
    assert np.array_equal(copy_of(layer, values)(given), wrapper(given))
    for variable, _, encoded in wrapper.freeze_weights():
        pruned = np.rint(0.5 * encoded.codes.size) / encoded.codes.size
        assert encoded.sparsity >= pruned and encoded.distinct_values <= 4, variable.name


def test_a_bias_has_transforms_of_its_own():
    layer = layers.Dense(2)
    layer.build((None, 2))
    layer.set_weights([np.eye(2, dtype=np.float32), np.float32([0.4, 7.0])])
    wrapper = Compressed(layer, bias=Quantize("int4"))
    assert np.array_equal(wrapper(np.zeros((1, 2), np.float32)), [[0.0, 7.0]])


@pytest.mark.parametrize(
    "name, slot",
    [
        ("kernel", "kernel"),
        ("pointwise_kernel", "kernel"),
        ("embeddings", "kernel"),
        ("bias", "bias"),
        ("gamma", None),
        ("kernels", None),
        ("debias", None),
    ],
)
def test_the_slot_of_a_variable_follows_from_its_name(name, slot):
    assert slot_of(name) == slot


def test_input_and_output_are_rounded_over_the_ranges_that_were_seen():
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 1))
    layer.set_weights([np.float32([[2.0]])])
    wrapper = Compressed(layer, input=Quantize("int4"), output=Quantize("int4"))
    # The input's grid over [0, 15] has steps of 1, the output's over [0, 30] steps of 2.
    given = np.float32([[0.0], [15.0], [3.4], [8.6]])
    assert np.array_equal(wrapper(given, training=True), [[0.0], [30.0], [6.0], [18.0]])
    assert wrapper.quantizer("input").extremes == (0.0, 15.0)
    assert wrapper.quantizer("output").extremes == (0.0, 30.0)
    assert wrapper.quantizer("before_activation") is None


def test_a_taken_activation_comes_last_with_rounding_on_both_sides():
    layer = layers.Dense(1, use_bias=False, activation="tanh")
    layer.build((None, 1))
    layer.set_weights([np.float32([[1.0]])])
    wrapper = Compressed(
        layer,
        activation="tanh",
        before_activation=Quantize("int4", range=(0.0, 15.0)),
        output=Quantize("int8", range=(-1.0, 127 / 128)),
    )
    expected = np.rint(np.tanh(np.float32([0.0, 1.0, 2.0])) * 128) / 128
    assert np.array_equal(wrapper(np.float32([[0.2], [1.4], [1.6]]))[:, 0], expected)
    assert wrapper.activation is keras.activations.tanh
    assert wrapper.layer.activation is keras.activations.linear


def test_every_tensor_of_several_inputs_is_rounded_by_its_own_range():
    wrapper = Compressed(layers.Add(), input=Quantize("int4"))
    wide, narrow = np.float32([[0.0, 15.0, 3.4]]), np.float32([[0.0, 1.5, 0.34]])
    assert np.allclose(wrapper([wide, narrow], training=True), [[0.0, 16.5, 3.3]])


def test_dictionaries_of_inputs_keep_their_structure():
    class Difference(layers.Layer):
        def call(self, inputs):
            return inputs["b"] - inputs["a"]

        def compute_output_shape(self, input_shape):
            return input_shape["a"]

    wrapper = Compressed(Difference(), input=Quantize("int8", range=(0.0, 255.0)))
    given = {"a": np.float32([[1.2]]), "b": np.float32([[7.6]])}
    assert np.array_equal(wrapper(given), [[7.0]])


def test_a_layer_with_several_arguments_is_built_by_its_own_rules():
    keras.utils.set_random_seed(0)
    query, value = small_models.images(2, 3)[:, 0], small_models.images(2, 4)[:, 0]
    attention = layers.MultiHeadAttention(2, 3)
    wrapper = Compressed(attention, kernel=Quantize("int8", axis=-1))
    output = wrapper(query, value)
    assert np.array_equal(wrapper(value=value, query=query), output)
    assert len(wrapper.chains) == 4  # query, key, value, output
    plain = layers.MultiHeadAttention(2, 3)
    plain(query, value)
    frozen = {id(v): layout.from_canonical(e.decode()) for v, layout, e in wrapper.freeze_weights()}
    for target, source in zip(plain.weights, attention.weights, strict=True):
        target.assign(frozen.get(id(source), source.numpy()))
    assert np.array_equal(plain(query, value), output)


def test_a_layer_with_several_arguments_lives_in_a_functional_model(tmp_path):
    first, second = keras.Input((3, 2)), keras.Input((4, 2))
    attention = layers.MultiHeadAttention(2, 3, name="attention")
    outputs = Compressed(attention, kernel=Quantize("int8", axis=-1))(first, second)
    model = keras.Model([first, second], outputs)
    given = [small_models.images(2, 3)[:, 0], small_models.images(2, 4)[:, 0]]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(given), model(given))


class WithLoss(layers.Layer):
    """Adds the mean of its kernel, as it reads it, to the losses."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2), name="kernel")

    def call(self, inputs):
        self.add_loss(tf.reduce_mean(self.kernel))
        return tf.matmul(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


def test_losses_inside_the_layer_are_kept_and_see_the_transformed_kernel():
    layer = WithLoss()
    layer.build((None, 2))
    layer.kernel.assign([[7.0, 0.4], [1.6, -0.4]])
    wrapper = Compressed(layer, kernel=Quantize("int4"))
    for _ in range(2):  # a second call replaces the losses of the first
        wrapper(np.ones((3, 2), np.float32))
        assert [float(loss) for loss in wrapper.losses] == [9.0 / 4]


def test_regularizers_are_kept_the_kernels_on_the_raw_weights():
    layer = layers.Dense(1, use_bias=False, kernel_regularizer="l2", activity_regularizer="l1")
    layer.build((None, 2))
    layer.kernel.assign([[7.0], [0.4]])
    wrapper = Compressed(layer, kernel=Quantize("int4"))
    wrapper(np.ones((1, 2), np.float32))
    # l1: 0.01 * |7 + 0| of the rounded kernel; l2: 0.01 * (7**2 + 0.4**2) of the raw one
    assert sorted(map(float, wrapper.losses)) == pytest.approx([0.07, 0.4916])


def test_losses_reach_fit():
    keras.utils.set_random_seed(0)
    layer = layers.Dense(2, use_bias=False, activity_regularizer=keras.regularizers.L2(1.0))
    model = keras.Sequential([keras.Input((2,)), Compressed(layer, kernel=Quantize("int4"))])
    layer.kernel.assign([[7.0, 0.0], [0.0, 7.0]])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    given = np.float32([[1.0, 1.0]])
    history = model.fit(given, 7.0 * given, verbose=0)
    assert history.history["loss"] == [98.0]  # no error, 7**2 + 7**2


def masked_model(wrap):
    keras.utils.set_random_seed(0)
    embedding = wrap(layers.Embedding(5, 3, mask_zero=True), "embedding")
    recurrent = wrap(layers.SimpleRNN(2), "recurrent")
    return keras.Sequential([keras.Input((4,), dtype="int32"), embedding, recurrent])


def test_a_mask_goes_through_to_layers_behind():
    # int8 per value of the range (-128, 127) rounds whole numbers to themselves
    exact = Quantize("int8", range=(-128.0, 127.0))
    tokens = np.int32([[1, 2, 0, 0], [3, 4, 2, 1]])
    plain = masked_model(lambda layer, name: layer)
    plain.layers[0].embeddings.assign(np.random.default_rng(0).integers(-3, 4, (5, 3)))

    def wrap(layer, name):
        slots = {"output": exact} if name == "embedding" else {"input": exact}
        return Compressed(layer, **slots)

    wrapped = masked_model(wrap)
    for target, source in zip(wrapped.layers, plain.layers, strict=True):
        target.layer.set_weights(source.get_weights())
    assert wrapped.layers[0](tokens)._keras_mask.numpy().tolist() == (tokens != 0).tolist()
    assert np.array_equal(wrapped(tokens), plain(tokens))
    cut = np.int32([[1, 2, 3, 3], [3, 4, 2, 1]])
    assert not np.array_equal(wrapped(tokens), wrapped(cut))


def test_the_state_of_a_stateful_layer_is_kept():
    def make(wrap):
        keras.utils.set_random_seed(0)
        given = keras.Input((3, 2), batch_size=4)
        return keras.Model(given, wrap(layers.LSTM(2, stateful=True))(given))

    given = small_models.images(4, 3)[:, 0]
    model = make(lambda layer: Compressed(layer, kernel=Quantize("int8", axis=-1)))
    wrapper = model.layers[1]
    plain = make(lambda layer: layer)
    frozen = {id(v): layout.from_canonical(e.decode()) for v, layout, e in wrapper.freeze_weights()}
    plain.set_weights([frozen.get(id(v), v.numpy()) for v in wrapper.layer.weights])
    for _ in range(3):
        ours, theirs = (m.predict(given, batch_size=4, verbose=0) for m in (model, plain))
        assert np.array_equal(ours, theirs)


def inner_sequential():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4),
            layers.BatchNormalization(momentum=0.5),
            layers.Dropout(0.5, seed=1),
        ]
    )


def test_batch_normalization_and_dropout_inside_a_wrapped_model_keep_their_state():
    given = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    plain, inner = inner_sequential(), inner_sequential()
    inner.set_weights(plain.get_weights())
    wrapper = Compressed(inner, kernel=Prune(PolynomialDecay(0.0, 0.5, 1000, 2000)))
    for _ in range(3):  # nothing is pruned yet, so both must compute the same
        assert np.array_equal(wrapper(given, training=True), plain(given, training=True))
        assert all(map(np.array_equal, inner.get_weights(), plain.get_weights()))
    assert np.array_equal(wrapper(given), plain(given))
    assert not np.array_equal(wrapper(given, training=True), wrapper(given, training=True))


def test_the_training_argument_reaches_layers_that_take_none():
    class Outer(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dropout = layers.Dropout(0.5, seed=0)

        def call(self, inputs):
            return self.dropout(inputs)

    wrapper = Compressed(Outer(), output=Quantize("int8", range=(0.0, 255.0)))
    ones = np.ones((4, 4), np.float32)
    assert np.array_equal(wrapper(ones), ones)
    assert not np.array_equal(wrapper(ones, training=True), ones)


def test_public_attributes_of_the_layer_are_forwarded():
    wrapper = Compressed(layers.Conv2D(4, 3, name="conv"), kernel=Quantize("int8"))
    wrapper.build((None, 6, 6, 2))
    assert (wrapper.name, wrapper.filters, wrapper.kernel_size) == ("conv", 4, (3, 3))
    assert wrapper.kernel is wrapper.layer.kernel
    assert wrapper.activation is keras.activations.linear
    with pytest.raises(AttributeError, match="units"):
        _ = wrapper.units
    with pytest.raises(AttributeError, match="_secret"):
        _ = wrapper._secret


def test_wrong_inputs_meet_the_layers_own_message():
    with pytest.raises(ValueError, match="expected min_ndim=4"):
        Compressed(layers.Conv2D(4, 3), kernel=Quantize("int8"))(keras.Input((3,)))


def test_a_layer_used_twice_in_a_pass_goes_one_step_on():
    layer = layers.Dense(4, use_bias=False)
    wrapper = Compressed(layer, kernel=Prune(PolynomialDecay(0.0, 0.5, 0, 2, 1, 1)), uses=2)
    given = np.ones((1, 4), np.float32)
    zeros = []
    wrapper.build((None, 4))
    for _ in range(3):
        wrapper(wrapper(given, training=True), training=True)
        zeros.append(int(np.sum(~wrapper.chains[0].transforms[0].mask.numpy())))
    assert zeros == [0, 4, 8]  # 0, 0.25, 0.5 of 16 weights
    wrapper(given)  # inference is no step
    assert int(wrapper.chains[0].calls.value) == 6


def test_a_frozen_layer_computes_but_its_schedule_stands_still():
    chain = [Prune(PolynomialDecay(0.0, 0.5, 0, 2, 1, 1)), Quantize("int4")]
    wrapper = Compressed(layers.Dense(4), kernel=chain)
    given = np.ones((2, 4), np.float32)
    before = wrapper(given)
    wrapper.trainable = False
    for _ in range(3):
        assert np.array_equal(wrapper(given, training=True), before)
    assert wrapper.trainable_variables == []
    wrapper.trainable = True
    for _ in range(3):
        wrapper(given, training=True)
    assert not wrapper.chains[0].transforms[0].mask.numpy().all()
    assert len(wrapper.trainable_variables) == 2


def test_toggling_trainable_does_not_make_state_trainable():
    wrapper = Compressed(
        layers.Dense(4), kernel=[Prune(0.5), Cluster(4)], output=Quantize("int8"), trainable=False
    )
    wrapper(np.ones((2, 4), np.float32))
    wrapper.trainable = True
    assert sorted(v.name for v in wrapper.trainable_variables) == ["bias", "centroids", "kernel"]


def test_a_layer_that_was_frozen_when_built_is_transformed_all_the_same():
    layer = layers.Dense(2, trainable=False)
    wrapper = Compressed(layer, kernel=Quantize("int4"))
    wrapper(np.ones((2, 4), np.float32))
    assert not wrapper.trainable
    assert [variable.name for variable, _, _ in wrapper.freeze_weights()] == ["kernel"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_transforms_compute_in_float32_and_the_layer_in_its_own_dtype(policy):
    keras.utils.set_random_seed(0)
    layer = layers.Dense(3, dtype=policy)
    wrapper = Compressed(layer, kernel=Quantize("int4"), output=Quantize("int8"))
    given = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    symbolic = wrapper(keras.Input((5,)))
    output = wrapper(given, training=True)
    assert symbolic.dtype == keras.backend.standardize_dtype(output.dtype) == layer.compute_dtype
    (_, _, encoded), *_ = wrapper.freeze_weights()
    plain = layers.Dense(3, dtype=policy)
    plain.build((None, 5))
    plain.set_weights([encoded.decode().astype(layer.kernel.numpy().dtype), layer.bias.numpy()])
    low, high = wrapper.quantizer("output").extremes
    exact = tf.cast(plain(given), tf.float32)
    expected = tf.quantization.fake_quant_with_min_max_args(exact, low, high, 8)
    assert np.array_equal(output, tf.cast(expected, output.dtype))


def test_a_wrapper_inside_another_scope_reads_what_that_scope_says():
    model = keras.Sequential(
        [keras.Input((2,)), Compressed(layers.Dense(2), kernel=Quantize("int4"))]
    )
    values = [np.float32([[7.0, 0.4], [1.6, -7.0]]), np.float32([0.5, -0.5])]
    before = model.get_weights()
    outputs, _ = model.stateless_call(
        values, [v.value for v in model.non_trainable_variables], np.float32([[1.0, 1.0]])
    )
    assert np.array_equal(outputs, [[9.5, -7.5]])
    assert all(map(np.array_equal, model.get_weights(), before))


def test_state_inside_another_scope_is_handed_to_it():
    wrapper = Compressed(layers.Dense(2), output=Quantize("int8"))
    wrapper.build((None, 2))
    _, state = wrapper.stateless_call(
        [v.value for v in wrapper.trainable_variables],
        [v.value for v in wrapper.non_trainable_variables],
        np.ones((1, 2), np.float32),
        training=True,
    )
    names = [v.name for v in wrapper.non_trainable_variables]
    assert int(state[names.index("calls")]) == 1
    assert int(wrapper.chains[0].calls.value) == 0


def test_the_config_round_trip_gives_an_equal_wrapper():
    wrapper = Compressed(
        layers.Dense(4, activation="tanh", name="dense"),
        kernel=[Prune(0.5, block=(1, 2)), Cluster(4), Quantize("int8", axis=-1)],
        bias=Quantize("int4"),
        input=Quantize("int8"),
        output=Quantize("int8"),
        activation="tanh",
        before_activation=Quantize("int8"),
        uses=3,
        trainable=False,
    )
    config = wrapper.get_config()
    copy = Compressed.from_config(config)
    assert copy.get_config() == config
    assert (copy.name, copy.uses, copy.trainable) == ("dense", 3, False)
    assert copy.activation is keras.activations.tanh
    structure = config["kernel"][0]["config"]["structure"]
    assert structure["config"] == {"channels": 1, "inputs": 2}


def test_around_gives_the_same_wrapper_for_another_layer():
    wrapper = Compressed(layers.Dense(4, name="dense"), kernel=Quantize("int4"), uses=2)
    wrapper.build((None, 3))
    other = layers.Dense(4, name="dense")
    copy = wrapper.around(other)
    assert copy.layer is other and not copy.built
    assert copy.get_config() | {"layer": None} == wrapper.get_config() | {"layer": None}


def test_each_kernel_has_transforms_of_its_own():
    wrapper = Compressed(layers.SeparableConv2D(4, 3), kernel=Prune(0.5))
    wrapper.build((None, 6, 6, 3))
    first, second = wrapper.chains
    assert isinstance(first, Chain)
    assert first.transforms[0].mask.shape == (3, 3, 3)
    assert second.transforms[0].mask.shape == (1, 1, 3, 4)


def test_more_clusters_than_weights_are_refused_when_the_shape_is_known():
    with pytest.raises(ValueError, match=r"number_of_clusters.*\(1, 2\)"):
        Compressed(layers.Dense(2), kernel=Cluster(16)).build((None, 1))


def test_a_kernel_is_found_in_a_layer_wrapped_or_not_and_in_no_operation():
    dense, pool = layers.Dense(4, name="dense"), layers.MaxPooling2D()
    dense.build((None, 3))
    assert has_kernel(dense) and has_kernel(Compressed(dense)) and not has_kernel(pool)
    assert not has_kernel(keras.ops.add)
