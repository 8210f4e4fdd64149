import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.freeze import freeze, layers_in
from edgeax.export.rounding import FixedRange
from edgeax.model.wrapper import Compressed
from tests.export import networks
from tests.export.networks import normal, sequential

layers = keras.layers


def images(count=8):
    return normal(count, 16, 16, 3)


def trained(model, x, steps=3):
    """Lets the ranges follow some batches, as training does."""
    for _ in range(steps):
        model(x, training=True)
    return model


@pytest.fixture(scope="module")
def compressed():
    return trained(edgeax.compress(networks.convolutional(), "static_wc4_ai8"), images())


@pytest.fixture(scope="module")
def frozen(compressed):
    return freeze(compressed, [images()], integer=True)


def roundings(frozen):
    return {point.path: point for point in frozen.points}


def test_the_frozen_model_is_plain_and_its_batch_is_1(frozen):
    assert not any(isinstance(layer, Compressed) for layer in frozen.model._flatten_layers())
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in frozen.model.layers)
    assert [tensor.shape for tensor in frozen.model.inputs] == [(1, 16, 16, 3)]
    assert [tensor.shape for tensor in frozen.model.outputs] == [(1, 10)]


def test_the_frozen_model_computes_what_training_did():
    plain = sequential(
        keras.Input((8, 8, 3)),
        layers.Conv2D(8, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.SeparableConv2D(8, 3, activation="sigmoid"),
        layers.Flatten(),
        layers.Dense(5),
    )
    x = normal(64, 8, 8, 3)
    model = trained(edgeax.compress(plain, "static_wc4_ai8"), x)
    frozen = freeze(model, [x], integer=True)
    found = np.concatenate([frozen.model(one[None]) for one in x])
    low, high = frozen.points[-1].grid.extremes
    steps = np.abs(found - model.predict(x, verbose=0)) / ((high - low) / 255)
    # Inside the separable convolution only the device rounds.
    assert steps.max() < 2.5 and np.mean(steps) < 0.3


def test_every_result_that_the_device_rounds_is_rounded_and_in_the_order_in_which_they_run(frozen):
    assert [point.path for point in frozen.points] == [
        "image",
        "stem",
        "left",
        "add",
        "average_pool",  # in the range of what it averages
        "channels",
        "global_pool",
        "features",
        "head",
        "head",
    ]


def test_ranges_are_those_that_training_followed(compressed, frozen):
    found = roundings(frozen)
    ends = {"stem": "stem_relu", "left": "left_relu6"}
    for name in ("stem", "left", "add", "channels", "global_pool"):
        quantizer = compressed.get_layer(ends.get(name, name)).quantizer("output")
        assert found[name].grid.extremes == quantizer.extremes
    first = compressed.get_layer("stem").quantizer("input").extremes
    assert found["image"].grid.extremes == first
    logits = compressed.get_layer("head").quantizer("before_activation").extremes
    assert frozen.points[-2].grid.extremes == logits


def test_ranges_of_an_untrained_model_are_those_of_the_samples():
    model = networks.convolutional()
    x = images(100)  # more than one batch of the calibration
    found = roundings(freeze(model, [x], integer=True))
    for name, path in (("stem_relu", "stem"), ("add", "add"), ("global_pool", "global_pool")):
        values = np.asarray(keras.Model(model.input, model.get_layer(name).output)(x))
        low, high = min(values.min(), 0.0), values.max()
        np.testing.assert_allclose(found[path].grid.extremes, (low, high), atol=0.02 * (high - low))
    assert found["image"].grid.extremes == (float(x.min()), float(x.max()))
    assert found["head"].grid.extremes == (0.0, 255 / 256)  # what TFLite demands of a softmax


@pytest.mark.parametrize("shift, ends", [(5.0, (0.0, None)), (-5.0, (None, 1e-6))])
def test_a_range_contains_zero(shift, ends):
    model = sequential(keras.Input((3,)), layers.Dense(2))
    x = normal(8, 3) * 0.1 + shift
    low, high = freeze(model, [x], integer=True).points[0].grid.extremes
    expected = [float(x.min()), float(x.max())]
    assert (low, high) == tuple(
        e if e is not None else v for e, v in zip(ends, expected, strict=True)
    )


def test_values_that_are_all_zero_take_the_step_of_what_they_come_from():
    given = keras.Input((6,), name="given")
    dead = layers.ReLU()(layers.BatchNormalization()(layers.Dense(6, name="dead")(given)))
    second = layers.Dense(6, name="second", use_bias=False)(dead)
    both = layers.Add(name="both")([given, second])
    model = keras.Model(given, [both, layers.Add(name="zeros")([dead, second])])
    model.get_layer("dead").kernel.assign(np.zeros((6, 6)))
    found = roundings(freeze(model, [normal(8, 6)], integer=True))
    step = found["given"].grid.step
    assert step > 0.01
    for path in ("dead", "second", "zeros"):
        assert found[path].grid.step == pytest.approx(step), path
        assert found[path].grid.extremes[0] == 0.0
    nothing = freeze(model, [np.zeros((8, 6), np.float32)], integer=True)
    assert [point.grid.step for point in nothing.points] == pytest.approx([1 / 255] * 5)


def test_values_that_are_only_moved_stay_on_their_grid(frozen):
    again = [
        layer
        for layer in frozen.model.layers
        if isinstance(layer, FixedRange) and not layer.name.startswith("range_")
    ]
    grids = roundings(frozen)
    moved = {"stem": 1, "average_pool": 1}  # the max pool, the flatten
    for path, count in moved.items():
        low, high = grids[path].grid.extremes
        assert sum((layer.low, layer.high) == (low, high) for layer in again) == count
    assert len(again) == 2
    assert grids["average_pool"].grid == grids["add"].grid


def test_fixed_ranges_round_to_256_values_and_keep_masks():
    values = FixedRange(-1.0, 3.0)(np.linspace(-2, 4, 2000, dtype=np.float32))
    unique = np.unique(values)
    assert unique.size == 256 and 0.0 in unique
    np.testing.assert_allclose(np.diff(unique), 4 / 255, rtol=1e-3)
    given = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(5, 2, mask_zero=True)(given)
    model = keras.Model(given, layers.GlobalAveragePooling1D()(FixedRange(-1, 1)(embedded)))
    one_word = np.int32([[3, 0, 0, 0]])
    np.testing.assert_array_equal(model(one_word), model(np.int32([[3, 3, 3, 3]])))


def test_freezing_leaves_the_model_as_it_was():
    model = trained(edgeax.compress(networks.nested(), "static_wc4_ai8"), [normal(4, 8, 8, 8)] * 2)
    before = [weight.numpy() for weight in model.weights]
    nodes = {id(layer): len(layer._inbound_nodes) for layer in model._flatten_layers()}
    names = [layer.name for layer in model._flatten_layers()]
    activations = [getattr(layer, "activation", None) for layer in model._flatten_layers()]
    freeze(model, [normal(4, 8, 8, 8)] * 2, integer=True)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert {id(x): len(x._inbound_nodes) for x in model._flatten_layers()} == nodes
    assert [layer.name for layer in model._flatten_layers()] == names
    assert [getattr(x, "activation", None) for x in model._flatten_layers()] == activations


def test_a_layer_called_several_times_is_one_weight_with_its_uses():
    samples = [normal(4, 8, 8, 8)] * 2
    frozen = freeze(networks.nested(), samples, integer=True)
    uses = {weight.path: weight.uses for weight in frozen.weights}
    assert uses == {"block/twice": 4, "block/once": 2, "head": 1}


def test_a_shared_layer_with_two_normalizations_is_folded_twice():
    shared = layers.Conv2D(5, 3, use_bias=False, name="shared")
    one, other = keras.Input((6, 6, 2), name="one"), keras.Input((6, 6, 2), name="other")
    norms = [layers.BatchNormalization(name=f"norm_{i}") for i in range(2)]
    outputs = [norm(shared(x)) for norm, x in zip(norms, (one, other), strict=True)]
    model = networks.unsettle(keras.Model([one, other], outputs))
    x = [normal(8, 6, 6, 2), normal(8, 6, 6, 2, seed=2)]
    frozen = freeze(model, x, integer=False)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in frozen.model.layers)
    expected = model.predict(x, verbose=0)
    for found, wanted in zip(frozen.model([a[:1] for a in x]), expected, strict=True):
        np.testing.assert_allclose(found, wanted[:1], atol=1e-5)


def test_without_integers_nothing_is_rounded_and_the_results_are_those_of_keras():
    model = networks.convolutional()
    frozen = freeze(model, [images()], integer=False)
    assert frozen.points == () and frozen.weights == ()
    assert not any(isinstance(layer, FixedRange) for layer in frozen.model.layers)
    x = images(1)
    np.testing.assert_allclose(frozen.model(x), model(x), atol=1e-5)


def test_sizes_that_the_model_leaves_open_are_those_of_the_samples():
    model = sequential(
        keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()
    )
    frozen = freeze(model, [normal(4, 9, 7, 3)], integer=True)
    assert frozen.model.inputs[0].shape == (1, 9, 7, 3)


def test_mixed_precision_is_left_behind_and_the_policy_stays_the_users():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        plain = networks.convolutional()
        model = trained(edgeax.compress(plain, "static_wi8_ai8"), images())
        frozen = freeze(model, [images()], integer=True)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in frozen.model.layers} == {"float32"}
    x = images(1)
    np.testing.assert_allclose(frozen.model(x), model(x), atol=0.02)


def test_names_of_inputs_become_valid_and_different():
    names = ["first image", "first:image", "_third"]
    inputs = [keras.Input((2,), name=name) for name in names]
    model = keras.Model(inputs, layers.Add()(inputs))
    frozen = freeze(model, [normal(2, 2)] * 3, integer=True)
    assert [t.name for t in frozen.model.inputs] == ["first_image", "first_image_1", "x_third"]


def test_layers_are_named_after_their_paths():
    samples = [normal(4, 8, 8, 8)] * 2
    frozen = freeze(networks.nested(), samples, integer=True)
    assert set(frozen.paths.values()) >= {"block/twice", "block/once", "subtract", "head"}
    named = [name for name, path in frozen.paths.items() if path == "block/once"]
    assert len(named) == 1 and named[0].startswith("block_once.")
    tensor = f"functional_1/{named[0]}_1/BiasAdd;functional_1/{named[0]}_1/Conv2D1"
    assert layers_in(tensor) & set(frozen.paths) == {named[0]}


def test_kernels_that_no_integer_operator_takes_are_named():
    plain = sequential(keras.Input((4, 4, 4, 2)), layers.Conv3D(3, 2, name="volume"))
    model = edgeax.compress(plain, "static_wi4_ai8")
    assert freeze(model, [normal(4, 4, 4, 4, 2)], integer=True).left_out == ("volume",)
    assert freeze(model, [normal(4, 4, 4, 4, 2)], integer=False).left_out == ()


def test_activations_of_other_widths_are_refused_with_the_way_out():
    rule = edgeax.Rule(".*", output=edgeax.Quantize("int12"))
    plain = sequential(keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2))
    model = trained(edgeax.compress(plain, edgeax.Recipe([rule])), normal(8, 4))
    with pytest.raises(ValueError, match="at most 8 bits or to 'int16'.*Received: 12 bits"):
        freeze(model, [normal(8, 4)], integer=True)
    freeze(model, [normal(8, 4)], integer=False)


def test_values_too_large_for_a_grid_are_refused_and_the_layer_is_named():
    sums = layers.Dense(2, kernel_initializer="ones", name="sums")
    model = keras.Sequential([keras.Input((4,)), sums, layers.Dense(2)])
    x = np.float32([[6e37] * 4, [-6e37] * 4])
    with pytest.raises(ValueError, match="finite values .* from -2.4e.38 to 2.4e.38 behind 'sums'"):
        freeze(model, [x], integer=True)


@keras.saving.register_keras_serializable("tests")
def halved(x):
    return keras.ops.relu(x) * 0.5


def test_an_activation_of_the_user_is_kept():
    model = sequential(keras.Input((4,)), layers.Dense(3, activation=halved), layers.Dense(2))
    x = normal(8, 4)
    frozen = freeze(model, [x], integer=True)
    np.testing.assert_allclose(frozen.model(x[:1]), model(x)[:1], atol=0.05)
