"""compress, strip and fold_batch_norm: models made from models."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Cluster, Compressed, PolynomialDecay, Prune, Quantize, Recipe, Rule
from edgeax.model.copying import compressed_layers, fresh_copy, plain_copy
from edgeax.model.rewrite import layers_by_path
from tests.model import small_models

layers = keras.layers

EIGHT_BITS = Quantize("int8", axis=-1)


def kernels_only(*transforms):
    return Recipe([Rule(".*", kernel=list(transforms))])


def trace_of(model):
    """Returns all that compress must not change in a model."""
    operations = [
        operation
        for part in [model, *model._flatten_layers()]
        for operation in getattr(part, "operations", [part])
    ]
    return (
        model.get_config(),
        model.get_weights(),
        [len(operation._inbound_nodes) for operation in operations],
        [layer.trainable for layer in model._flatten_layers()],
        model.compiled,
        model.get_compile_config(),
        [v.numpy() for v in model.optimizer.variables] if model.compiled else [],
    )


def with_operators():
    given = keras.Input((4,))
    x = layers.Dense(4, name="dense")(given)
    x = keras.ops.relu(x + 1.0)[:, ::-1]
    return keras.Model(given, keras.ops.concatenate([x, given * 2.0], axis=-1))


MODELS = {
    "sequential": (small_models.convolutional, small_models.images()),
    "nested": (small_models.nested, small_models.images()),
    "operators": (with_operators, small_models.images()[:, 0, 0, :].repeat(2, -1)),
}


def plain_weights(model):
    """Returns the names and values of all weights that a plain model would have too."""
    return sorted(
        (layer.name, variable.name, variable.numpy().tobytes())
        for layer in model._flatten_layers()
        if not layer._layers and not type(layer).__module__.startswith("edgeax.transforms")
        for variable in layer.weights
    )


@pytest.mark.parametrize("kind", MODELS)
def test_the_copy_keeps_weights_structure_and_names(kind):
    make, given = MODELS[kind]
    model = make()
    copy = edgeax.compress(model, kernels_only(EIGHT_BITS))
    assert type(copy) is type(model) and copy.name == model.name
    if kind != "sequential":
        ours, theirs = ([part.name for part in m.operations] for m in (copy, model))
        assert ours[1:] == theirs[1:]  # Keras itself names an input anew that has no name
    assert plain_weights(copy) == plain_weights(model) != []
    assert np.allclose(copy(given), model(given), atol=0.1)
    assert not np.array_equal(copy(given), model(given))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_original_is_untouched(kind, compiled):
    make, given = MODELS[kind]
    model = make()
    if compiled:
        model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
        model.fit(given, np.asarray(model(given)), epochs=1, verbose=0)
    before = trace_of(model)
    copy = edgeax.compress(model, kernels_only(Prune(0.5), EIGHT_BITS))
    edgeax.summary(model)
    edgeax.fold_batch_norm(model)
    copy.compile("sgd", "mse", run_eagerly=True)
    copy.fit(given, np.zeros_like(copy(given)), epochs=1, verbose=0)
    edgeax.strip(copy)
    after = trace_of(model)
    for old, new in zip(before, after, strict=True):
        assert all(map(np.array_equal, old, new)) if isinstance(old, list) else old == new


def test_the_copy_is_compiled_like_the_model_with_a_fresh_optimizer():
    model = small_models.convolutional()
    model.compile(
        keras.optimizers.SGD(0.25, momentum=0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    given = small_models.images(), small_models.labels()
    model.fit(*given, verbose=0)
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert copy.compiled and copy.run_eagerly
    assert copy.optimizer is not model.optimizer
    assert (float(copy.optimizer.learning_rate), copy.optimizer.momentum) == (0.25, 0.5)
    assert int(copy.optimizer.iterations) == 0
    assert set(copy.fit(*given, verbose=0).history) == {"loss", "accuracy"}
    assert edgeax.strip(copy).compiled
    assert not edgeax.compress(small_models.convolutional(), "static_wi8_ai8").compiled


def test_a_loss_that_keras_cannot_copy_leaves_the_copy_uncompiled_with_a_warning():
    def own_loss(truth, prediction):
        return keras.ops.mean(keras.ops.square(truth - prediction))

    model = small_models.convolutional()
    model.compile("sgd", own_loss)
    with pytest.warns(UserWarning, match=r"Call its compile\(\) before fit.*own_loss"):
        copy = edgeax.compress(model, "static_wi8_ai8")
    assert not copy.compiled and model.compiled


def test_a_nested_model_that_was_compiled_on_its_own_is_no_hindrance():
    inner = small_models.block("inner", channels=2)
    inner.compile("sgd", lambda truth, prediction: keras.ops.mean(prediction))
    given = keras.Input((6, 6, 2))
    model = keras.Model(given, inner(given))
    assert edgeax.compress(model, "static_wi8_ai8").name == model.name


class OwnStep(keras.Model):
    """A functional model with a training step of its own."""

    def train_step(self, data):
        return {**super().train_step(data), "own": tf.constant(1.0)}


class OwnSequentialStep(keras.Sequential):
    """A Sequential model with a training step of its own."""

    def train_step(self, data):
        return {**super().train_step(data), "own": tf.constant(1.0)}


class OwnConstructor(OwnStep):
    """A functional model that cannot be constructed as Keras's own."""

    def __init__(self, inputs, outputs, extra):
        super().__init__(inputs, outputs)


def test_a_training_step_of_the_models_own_is_kept():
    given = keras.Input((2,))
    dense = layers.Dense(2)
    for model in (OwnStep(given, dense(given)), OwnSequentialStep([given, layers.Dense(2)])):
        model.compile("sgd", "mse", run_eagerly=True)
        copy = edgeax.compress(model, "static_wi8_ai8")
        assert type(copy).__name__ == type(model).__name__
        history = copy.fit(np.ones((2, 2)), np.ones((2, 2)), verbose=0).history
        assert history["own"] == [1.0]


def test_a_training_step_that_would_be_lost_is_an_error():
    given = keras.Input((2,))
    model = OwnConstructor(given, layers.Dense(2)(given), extra=3)
    with pytest.raises(ValueError, match="train_step of its own.*OwnConstructor"):
        edgeax.compress(model, "static_wi8_ai8")
    assert edgeax.summary(model).macs == 4


def test_a_nested_model_used_twice_advances_its_schedules_once_a_pass():
    model = small_models.nested()
    recipe = kernels_only(Prune(PolynomialDecay(0.0, 0.5, 0, 4, 1, 1)))
    copy = edgeax.compress(model, recipe)
    uses = {layer.name: layer.uses for layer in copy.layers if isinstance(layer, Compressed)}
    shallow = {part.name: part.uses for part in compressed_layers(copy.get_layer("shallow"))}
    deep = {part.name: part.uses for part in compressed_layers(copy.get_layer("deep"))}
    assert (uses, shallow, deep) == ({"stem": 1, "head": 1}, {"conv": 2}, {"conv": 1})
    copy.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    copy.fit(small_models.images(), small_models.labels(), batch_size=2, epochs=2, verbose=0)
    for layer in compressed_layers(copy):
        (chain,) = layer.chains
        assert int(chain.calls) == 8 * layer.uses
        mask = chain.transforms[0].mask.numpy()
        assert np.sum(~mask) == round(0.5 * mask.size)


def test_filters_see_paths_and_the_models_own_layers():
    model = small_models.nested()
    seen = []
    recipe = Recipe(
        [
            Rule("deep/inner/conv", kernel=Quantize("int4", axis=-1)),
            Rule(lambda layer: seen.append(layer) or layer.name == "head", kernel=EIGHT_BITS),
        ]
    )
    copy = edgeax.compress(model, recipe)
    assert [layer.name for layer in compressed_layers(copy)] == ["conv", "head"]
    assert model.get_layer("head") in seen and model.get_layer("stem") in seen


def test_the_later_rule_wins_slot_by_slot():
    recipe = Recipe(
        [
            Rule(".*", kernel=Quantize("int8", axis=-1), output=Quantize("int8")),
            Rule("conv|depthwise", kernel=Quantize("int4", axis=-1)),
            Rule("depthwise", output=[]),
            Rule("head", kernel=[]),
        ]
    )
    copy = edgeax.compress(small_models.convolutional(), recipe)
    made = {layer.name: layer for layer in compressed_layers(copy)}
    formats = {
        name: [member.format for member in layer.slots.templates["kernel"]]
        for name, layer in made.items()
    }
    assert formats == {"conv": ["int4"], "relu": [], "depthwise": ["int4"], "pool": [], "head": []}
    assert made["depthwise"].quantizer("output") is None
    assert made["relu"].quantizer("output").format == "int8"


def test_an_empty_rule_takes_a_layer_out():
    recipe = Recipe([Rule(".*", kernel=EIGHT_BITS), Rule("head", kernel=[])])
    copy = edgeax.compress(small_models.convolutional(), recipe)
    assert type(copy.get_layer("head")) is layers.Dense
    with pytest.raises(ValueError, match=r"`strict` allows no layer.*\['head'\]"):
        edgeax.compress(small_models.convolutional(), recipe, strict=True)


@pytest.mark.parametrize(
    "filter, message",
    [
        ("covn", r"`filter` of a rule must pick.*\['covn'\].*Layers near it: \['conv'"),
        (["x", "y"], r"`filter` of a rule must pick.*\['x', 'y'\]"),
        (lambda layer: False, "`filter` of a rule must pick.*<lambda>.*conv"),
    ],
)
def test_a_filter_that_matches_nothing_names_near_layers(filter, message):
    with pytest.raises(ValueError, match=message):
        edgeax.compress(small_models.convolutional(), Recipe([Rule(filter, kernel=EIGHT_BITS)]))


@pytest.mark.parametrize(
    "rule",
    [
        Rule("relu|pool", kernel=EIGHT_BITS),
        Rule("relu", input=Quantize("int8")),
        Rule("norm", bias=Quantize("int8")),
    ],
)
def test_a_rule_without_any_effect_is_an_error(rule):
    with pytest.raises(ValueError, match="`filter` of a rule must pick a layer that has what"):
        edgeax.compress(small_models.convolutional(), Recipe([rule]))


def test_strict_names_every_layer_that_stays_as_it_is():
    recipe = Recipe([Rule("inner", kernel=EIGHT_BITS)])
    left = r"\['stem', 'shallow/conv', 'head'\]"
    with pytest.raises(ValueError, match=f"`strict` allows no layer to stay.*{left}"):
        edgeax.compress(small_models.nested(), recipe, strict=True)
    assert edgeax.compress(small_models.nested(), kernels_only(EIGHT_BITS), strict=True)


def test_strict_counts_a_layer_in_a_layer_once():
    given = keras.Input((3, 4))
    model = keras.Model(given, layers.TimeDistributed(layers.Dense(2), name="each")(given))
    copy = edgeax.compress(model, kernels_only(EIGHT_BITS), strict=True)
    (wrapper,) = compressed_layers(copy)
    assert isinstance(wrapper.layer, layers.TimeDistributed) and len(wrapper.chains) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(bad):
    model = small_models.convolutional()
    value = model.layers[0].kernel.numpy()
    value[0, 0, 0, 0] = bad
    model.layers[0].kernel.assign(value)
    with pytest.raises(ValueError, match="finite weights.*conv/kernel'"):
        edgeax.compress(model, "static_wi8_ai8")


def test_a_model_without_weights_yet_is_refused():
    with pytest.raises(ValueError, match="`model` must be built"):
        edgeax.compress(keras.Sequential([layers.Dense(2)]), "static_wi8_ai8")


def test_what_is_no_model_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match="Received: Dense. Wrap.*edgeax.Compressed"):
        edgeax.compress(layers.Dense(1), "static_wi8_ai8")


def test_batch_normalization_can_be_folded_in_a_graph_only():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="Sequential or functional.*Received: Subclassed"):
        edgeax.fold_batch_norm(Subclassed())


def test_a_sequential_model_that_was_built_by_a_call_will_do():
    model = keras.Sequential([layers.Dense(2, name="dense")])
    model(np.ones((1, 3), np.float32))
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert np.allclose(copy(np.ones((1, 3))), model(np.ones((1, 3))), atol=0.05)


def test_a_compressed_model_is_not_compressed_again():
    copy = edgeax.compress(small_models.convolutional(), "static_wi8_ai8")
    with pytest.raises(ValueError, match="`model` must be a plain model.*edgeax.strip"):
        edgeax.compress(copy, "static_wi8_ai8")
    with pytest.raises(ValueError, match="`model` must be a plain model.*edgeax.strip"):
        edgeax.fold_batch_norm(copy)
    assert edgeax.compress(edgeax.strip(copy), "static_wi8_ai8")


def test_tied_weights_are_refused():
    given = keras.Input((2,))
    first, second = layers.Dense(2, name="first"), layers.Dense(2, name="second")
    model = keras.Model(given, second(first(given)))
    second._tracker.unlock()
    second._kernel = first._kernel
    with pytest.raises(ValueError, match="must not tie.*'first' and 'second' share"):
        edgeax.compress(model, "static_wi8_ai8")


def test_a_transform_that_cannot_work_names_the_layer():
    with pytest.raises(ValueError, match=r"number_of_clusters=16.*\(4, 3\).*layer 'head'"):
        edgeax.compress(small_models.convolutional(), [edgeax.Cluster(16)])


def test_a_preset_gives_a_small_kernel_fewer_clusters():
    model = edgeax.compress(small_models.convolutional(), "static_wc8_ai8")
    head = dict(edgeax.model.rewrite.paths_of_compressed(model))["head"]
    ((_, _, encoded),) = [code for code in head.freeze_weights() if code[0].name == "kernel"]
    assert len(encoded.params["codebook"]) == encoded.codes.size == 12


def test_frozen_parts_stay_frozen():
    model = small_models.nested()
    model.get_layer("deep").trainable = False
    model.get_layer("head").trainable = False
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert not copy.get_layer("deep").trainable
    before = copy.get_layer("deep").get_weights()[0], copy.get_layer("head").layer.get_weights()[0]
    copy.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", run_eagerly=True)
    stem = copy.get_layer("stem").kernel.numpy()
    copy.fit(small_models.images(), small_models.labels(), verbose=0)
    after = copy.get_layer("deep").get_weights()[0], copy.get_layer("head").layer.get_weights()[0]
    assert all(map(np.array_equal, before, after))
    assert not np.array_equal(copy.get_layer("stem").kernel, stem)


def test_lambda_layers_and_raw_operators_survive(tmp_path):
    def twice(x, factor):
        return x * factor

    given = keras.Input((4,))
    x = layers.Dense(4, name="dense")(given)
    x = layers.Lambda(lambda y: y + 1.0, name="more")(x)
    x = layers.Lambda(twice, arguments={"factor": 2.0}, output_shape=(4,), name="twice")(x)
    model = keras.Model(given, keras.ops.relu(x) - given)
    copy = edgeax.compress(model, "static_wi8_ai8")
    values = small_models.images()[:, 0, 0, :].repeat(2, -1)
    assert np.allclose(copy(values), model(values), atol=0.05)
    copy(values, training=True)
    plain = edgeax.strip(copy)
    assert not list(compressed_layers(plain))
    assert np.allclose(plain(values), model(values), atol=0.05)
    assert [row.path for row in edgeax.summary(copy).rows] == ["dense"]


@pytest.mark.parametrize("kind", ["flat", "sequential", "functional"])
def test_masks_reach_the_same_layers_as_before(kind):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([layers.LSTM(2, name="second")], name="inner")
    if kind == "functional":
        inside = keras.Input((4, 3))
        inner = keras.Model(inside, layers.LSTM(2, name="second")(inside), name="inner")
    given = keras.Input((4,), dtype="int32")
    x = layers.Embedding(5, 3, mask_zero=True, name="embedding")(given)
    x = layers.LSTM(3, return_sequences=True, name="first")(x)
    x = layers.LSTM(2, name="second")(x) if kind == "flat" else inner(x)
    model = keras.Model(given, layers.Dense(2, name="head")(x))
    generator = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(generator.uniform(-2, 2, size=variable.shape))
    copy = edgeax.compress(model, "static_wi8_ai8")
    tokens, other = np.int32([[1, 2, 0, 0]]), np.int32([[1, 2, 3, 3]])
    copy(tokens, training=True)
    assert np.allclose(copy(tokens), model(tokens), atol=0.05)
    assert np.max(np.abs(model(other) - model(tokens))) > 0.15
    assert np.allclose(edgeax.strip(copy)(tokens), copy(tokens), atol=0.05)
    assert np.allclose(edgeax.fold_batch_norm(model)(tokens), model(tokens), atol=1e-6)


def test_adapted_preprocessing_keeps_its_statistics():
    normalization = layers.Normalization(name="normalization")
    given = small_models.images()
    normalization.adapt(given * 3.0 + 1.0)
    model = keras.Sequential([keras.Input((6, 6, 2)), normalization, layers.Conv2D(2, 1)])
    exact = kernels_only(Cluster(2, begin_step=9))
    assert np.array_equal(edgeax.compress(model, exact)(given), model(given))
    rounded = edgeax.compress(model, "static_wi8_ai8")
    assert np.allclose(rounded(given), model(given), atol=0.05)


@pytest.mark.parametrize("kind", MODELS)
def test_strip_equals_the_compressed_model_without_activation_rounding(kind):
    make, given = MODELS[kind]
    copy = edgeax.compress(make(), kernels_only(Prune(0.25), Cluster(4), EIGHT_BITS))
    copy.compile("sgd", "mse", run_eagerly=True)
    copy.fit(given, np.zeros_like(copy(given)), epochs=2, verbose=0)
    plain = edgeax.strip(copy)
    assert not list(compressed_layers(plain))
    assert np.array_equal(plain(given), copy(given))


def test_strip_gives_taken_activations_back():
    model = small_models.convolutional()
    plain = edgeax.strip(edgeax.compress(model, "static_wi8_ai8"))
    assert plain.get_layer("head").activation is keras.activations.softmax
    assert type(plain.get_layer("relu")) is layers.ReLU
    assert plain_copy(layers.Dense(2, name="x")).name == "x"


FOLDABLE = {
    "conv": lambda: layers.Conv2D(4, 3, use_bias=False),
    "conv_with_bias": lambda: layers.Conv2D(4, 3, groups=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    "separable": lambda: layers.SeparableConv2D(4, 3),
    "transposed": lambda: layers.Conv2DTranspose(4, 3, strides=2),
    "dense": lambda: layers.Dense(4),
    "dense_without_bias": lambda: layers.Dense(4, use_bias=False),
    "einsum": lambda: layers.EinsumDense("abcd,de->abce", (6, 6, 4)),
    "einsum_with_bias": lambda: layers.EinsumDense("abcd,ed->abce", (6, 6, 4), bias_axes="e"),
}


@pytest.mark.parametrize("kind", FOLDABLE)
@pytest.mark.parametrize("scaled", [True, False])
def test_folding_computes_the_same_with_negative_and_zero_gamma(kind, scaled):
    keras.utils.set_random_seed(0)
    layer = FOLDABLE[kind]()
    norm = layers.BatchNormalization(scale=scaled, center=scaled, name="norm")
    model = keras.Sequential([keras.Input((6, 6, 2)), layer, norm, layers.ReLU(name="relu")])
    small_models.unsettle(model)
    if "bias" in [v.name for v in layer.weights]:
        layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
    if scaled:
        gamma = norm.gamma.numpy()
        assert (gamma < 0).any()
        gamma[0] = 0.0
        norm.gamma.assign(gamma)
    folded = edgeax.fold_batch_norm(model)
    assert [part.name for part in folded.layers[1:]] == [layer.name, "relu"]
    given = small_models.images()
    assert np.allclose(folded(given), model(given), atol=1e-5)
    assert np.std(model(given)) > 0.01


def test_folding_opens_nested_models_with_equal_names_and_leaves_what_is_shared():
    model = small_models.nested()
    folded = edgeax.fold_batch_norm(model)
    names = [layer.name for layer in folded.layers]
    assert "deep_inner_conv" in names and "deep_inner_norm" not in names
    assert "shallow_conv" in names and "shallow_norm" in names  # used twice
    given = small_models.images()
    assert np.allclose(folded(given), model(given), atol=1e-5)


def test_folding_gives_no_two_layers_one_name():
    keras.utils.set_random_seed(0)
    one, two = (
        keras.Sequential(
            [keras.Input((6, 6, 2)), *(layers.Conv2D(2, 1, name=name) for name in names)], name=path
        )
        for path, names in (("a", ["b", "b_c"]), ("a_b", ["c"]))
    )
    given = keras.Input((6, 6, 2), name="a_b_1")
    x = layers.Conv2D(2, 1, name="a_b_c")(two(one(given)))
    model = keras.Model(given, layers.Flatten(name="flatten")(x))
    folded = edgeax.fold_batch_norm(model)
    names = ["a_b_1", "a_b", "a_b_c_1", "a_b_c_2", "a_b_c", "flatten"]
    assert [layer.name for layer in folded.layers] == names
    images = small_models.images()
    assert np.allclose(folded(images), model(images), atol=1e-5)


def test_folding_keeps_the_names_of_outputs_where_they_are_of_one_layer_each():
    heads = keras.Input((4,), name="features")
    both = [layers.Dense(2, name="left")(heads), layers.Dense(3, name="right")(heads)]
    one = [keras.Input((4,)), layers.Dense(5, name="hidden"), layers.Dense(1, name="last")]
    given = keras.Input((4,), name="x")
    model = keras.Model(
        given,
        [keras.Sequential(one, name="head")(given), *keras.Model(heads, both, name="h")(given)],
    )
    assert model.output_names == ["head", "h", "h"]
    assert edgeax.fold_batch_norm(model).output_names == ["head", "h_left", "h_right"]


def test_a_batch_normalization_is_folded_call_by_call():
    norm = layers.BatchNormalization(name="norm")
    given = keras.Input((6, 6, 2))
    once = norm(layers.Conv2D(2, 1, name="a")(given))
    again = norm(layers.Conv2D(2, 1, name="b")(once))
    model = keras.Model(given, layers.Add()([again, norm(given)]))
    small_models.unsettle(model)
    folded = edgeax.fold_batch_norm(model)
    assert len([layer for layer in folded.layers if layer.name == "norm"]) == 1  # for norm(given)
    images = small_models.images()
    assert np.allclose(folded(images), model(images), atol=1e-5)


def test_a_batch_normalization_whose_input_is_needed_elsewhere_stays():
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(2, 1, name="conv")(given)
    model = keras.Model(given, layers.Add()([x, layers.BatchNormalization(name="norm")(x)]))
    assert "norm" in [layer.name for layer in edgeax.fold_batch_norm(model).layers]


def test_a_shared_operation_that_keras_cannot_describe_is_used_as_it_is():
    class Undescribed(keras.Operation):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    given = keras.Input((2,))
    operation = Undescribed(np.float32(2.0))
    model = keras.Model(given, operation(layers.Dense(2)(given)))
    copy = edgeax.compress(model, kernels_only(Cluster(2, begin_step=9)))
    assert fresh_copy(operation) is operation
    assert np.array_equal(copy(np.ones((1, 2))), model(np.ones((1, 2))))


def test_compressing_warns_about_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgeax.strip(edgeax.compress(small_models.nested(), "static_wi8_ai8"))


class OwnLoss(keras.Model):
    """A functional model with a loss of its own and another constructor than Keras's."""

    def __init__(self, weight, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def compute_loss(self, *args, **kwargs):
        return self.weight * super().compute_loss(*args, **kwargs)


def test_a_loss_of_the_models_own_is_not_lost_silently():
    given = keras.Input((3,))
    model = OwnLoss(9.0, inputs=given, outputs=keras.layers.Dense(2)(given))
    with pytest.raises(ValueError, match=r"`model` has a compute_loss of its own.*OwnLoss"):
        edgeax.compress(model, "static_wi8_ai8")


def test_every_layer_has_its_path():
    paths = layers_by_path(small_models.nested())
    assert {"stem", "shallow/relu", "deep/inner/conv", "head"} <= {*paths}


def test_folding_keeps_a_frozen_model_frozen():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.trainable = False
    assert not edgeax.fold_batch_norm(model).trainable
