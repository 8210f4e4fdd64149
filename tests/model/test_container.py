"""CompressedModel: subclassed models that are compressed stay what they are, also in files."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import PolynomialDecay, Prune, Quantize, Recipe, Rule
from edgeax.model.container import CompressedModel, symbols_for
from edgeax.model.copying import compressed_layers
from edgeax.model.rewrite import paths_of_compressed
from tests.model.layer_kinds import Branches, kinds

layers = keras.layers

EIGHT_BITS = Quantize("int8", axis=-1)
GIVEN = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
TARGETS = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
TOKENS = np.random.default_rng(2).integers(1, 7, (4, 5)).astype(np.int32)


def branches():
    return kinds()["subclassed model"]().model


def kernels_only(*transforms):
    return Recipe([Rule(".*", kernel=list(transforms))])


def steps(model):
    """Returns how many steps the schedules of a model's kernels have gone."""
    return {
        path: [int(weight.chain.calls.numpy()) // weight.chain.uses for weight in w._weights_of]
        for path, w in model.wrappers.items()
        if w._weights_of
    }


@keras.saving.register_keras_serializable("tests")
class Tied(keras.Model):
    """A language model that reads its embedding a second time, by a raw operator."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = layers.Embedding(7, 4, name="embedding")
        self.recurrent = layers.GRU(4, return_sequences=True, name="recurrent")

    def call(self, inputs):
        states = self.recurrent(self.embedding(inputs))
        return tf.matmul(states, self.embedding.embeddings, transpose_b=True)


@keras.saving.register_keras_serializable("tests")
class Autoencoder(keras.Model):
    """Calls its parts in a training step of its own, which its call never runs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        given = keras.Input((6,))
        self.encoder = keras.Model(given, layers.Dense(4, name="code")(given), name="encoder")
        self.decoder = layers.Dense(6, name="decoder")
        self.seen = keras.metrics.Mean(name="seen")

    def call(self, inputs):
        return self.decoder(self.encoder(inputs))

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.decoder(self.encoder(data)) - data) ** 2)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.seen.update_state(loss)
        return {"own": self.seen.result()}


@keras.saving.register_keras_serializable("tests")
class Pair(keras.Model):
    """Takes two tensors, and says so to Keras, which notes the first one's shape only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(2, name="first"), layers.Dense(2, name="second")

    def call(self, inputs, other):
        return self.first(inputs) + self.second(other)

    def get_build_config(self):
        return {"shapes_dict": {"inputs_shape": (None, 3), "other_shape": (None, 3)}}


def built(kind, given, **others):
    keras.utils.set_random_seed(0)
    model = kind()
    model(given, **others)
    return model


def test_the_compressed_model_is_one_of_the_users_class_and_the_original_is_untouched():
    model = branches()
    config, weights, kind = model.get_config(), model.get_weights(), type(model)
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert isinstance(copy, CompressedModel) and isinstance(copy, Branches)
    assert (copy.name, copy.units, len(copy.blocks)) == (model.name, 4, 2)
    assert type(model) is kind and model.get_config() == config
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert not list(compressed_layers(model))
    assert [type(layer) for layer in model.blocks] == [layers.Dense] * 2
    assert list(paths_of_compressed(copy)) == [
        "block_0",
        "block_1",
        "backbone/inner",
        "shared",
        "norm",
        "head",
    ]


def test_its_layers_compute_with_transformed_kernels_wherever_they_are_held():
    model = branches()
    copy = edgeax.compress(model, kernels_only(Quantize("int2")))
    expected = branches()
    for variable in expected.weights:
        if variable.name == "kernel":
            scale = np.max(np.abs(variable))
            variable.assign(scale * np.clip(np.rint(variable / scale), -1, 1))
    assert np.array_equal(copy(GIVEN), expected(GIVEN))
    assert not np.allclose(copy(GIVEN), model(GIVEN), atol=0.01)
    assert np.array_equal(edgeax.strip(copy)(GIVEN), expected(GIVEN))


def test_roundings_of_a_model_of_keras_operations_are_placed_as_in_a_graph():
    copy = edgeax.compress(branches(), "static_wi8_ai8")
    slots = {
        path: sorted(slot for slot, members in wrapper.slots.templates.items() if members)
        for path, wrapper in copy.wrappers.items()
    }
    assert slots == {
        "block_0": ["input", "kernel", "output"],
        "block_1": ["kernel", "output"],
        "backbone/inner": ["before_activation", "kernel", "output"],
        "shared": ["kernel", "output"],
        "norm": ["output"],
        "head": ["kernel", "output"],
    }
    assert copy.wrappers["shared"].uses == 2


def test_fit_is_that_of_the_plain_model_when_the_transforms_do_nothing():
    runs = []
    for wrap in (lambda model: model, lambda model: edgeax.compress(model, [Prune(0.0)])):
        model = wrap(branches())
        model.compile("adam", "mse", run_eagerly=True)
        losses = model.fit(GIVEN, TARGETS, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        runs.append((losses, [v.numpy() for v in model.trainable_variables], model.predict(GIVEN)))
    (losses, weights, outputs), (ours, our_weights, our_outputs) = runs
    assert ours == losses
    assert len(weights) == len(our_weights)
    assert all(map(np.array_equal, our_weights, weights))
    assert np.array_equal(our_outputs, outputs)


@pytest.mark.parametrize("compiled", ["eager", "graph"])
def test_a_training_step_is_one_step_of_the_schedules(compiled):
    recipe = kernels_only(Prune(PolynomialDecay(0.0, 0.5, 0, 2, 1, 1)))
    copy = edgeax.compress(branches(), recipe)
    copy.compile("sgd", "mse", run_eagerly=compiled == "eager")
    copy.fit(GIVEN, TARGETS, batch_size=4, epochs=2, verbose=0)
    copy.evaluate(GIVEN, TARGETS, verbose=0)
    assert set(map(tuple, steps(copy).values())) == {(4,)}
    for wrapper in copy.wrappers.values():
        for _, _, encoded in wrapper.freeze_weights():
            assert encoded.sparsity == 0.5


def test_a_training_step_of_the_users_own_trains_and_is_one_step(tmp_path):
    copy = edgeax.compress(built(Autoencoder, GIVEN), kernels_only(Prune(0.5), EIGHT_BITS))
    copy.compile("sgd", run_eagerly=True)
    before = copy.get_weights()
    history = copy.fit(GIVEN, batch_size=4, epochs=2, verbose=0).history
    assert list(history) == ["own"] and history["own"][1] < history["own"][0]
    assert steps(copy) == {"encoder/code": [4], "decoder": [4]}
    assert not np.array_equal(copy.get_weights()[0], before[0])
    copy.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(GIVEN), copy(GIVEN))


def test_a_weight_that_is_read_outside_its_layer_reads_transformed_there_too():
    model = built(Tied, TOKENS)
    copy = edgeax.compress(model, kernels_only(Quantize("int2")))
    expected = built(Tied, TOKENS)
    for variable in expected.weights:
        if variable.name in ("embeddings", "kernel", "recurrent_kernel"):
            scale = np.max(np.abs(variable))
            variable.assign(scale * np.clip(np.rint(variable / scale), -1, 1))
    assert np.array_equal(copy(TOKENS), expected(TOKENS))

    def gradient(called):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(called(TOKENS) ** 2)
        return tf.convert_to_tensor(tape.gradient(loss, called.embedding.embeddings.value))

    assert np.allclose(gradient(copy), gradient(expected), atol=1e-6)


def test_a_model_whose_call_takes_no_training_argument_trains_in_fit_only():
    copy = edgeax.compress(built(Tied, TOKENS), kernels_only(Prune(0.5)))
    copy.compile("sgd", "mse", run_eagerly=True)
    copy.fit(TOKENS, np.zeros((4, 5, 7)), batch_size=2, verbose=0)
    copy.predict(TOKENS, verbose=0)
    assert steps(copy) == {"embedding": [2], "recurrent": [2, 2]}
    copy(TOKENS)
    copy(TOKENS, training=False)
    assert steps(copy)["embedding"] == [2]
    copy(TOKENS, training=True)
    assert steps(copy) == {"embedding": [3], "recurrent": [3, 3]}


def test_outputs_are_rounded_layer_by_layer_where_there_is_no_graph():
    copy = edgeax.compress(built(Tied, TOKENS), "static_wi8_ai8")
    copy(TOKENS, training=True)
    assert [copy.wrappers[path].quantizer("output").format for path in copy.wrappers] == [
        "int8"
    ] * 2
    assert np.allclose(edgeax.strip(copy)(TOKENS), copy(TOKENS), atol=0.01)
    assert [row.path for row in edgeax.summary(copy).rows] == ["embedding", "recurrent"]


@pytest.mark.parametrize("make, given", [(branches, GIVEN), (lambda: built(Tied, TOKENS), TOKENS)])
def test_a_loaded_model_is_the_same_and_trains_on_equally(make, given, tmp_path):
    recipe = Recipe(
        [
            Rule(
                ".*",
                kernel=[Prune(PolynomialDecay(0.0, 0.5, 0, 4, 1, 1)), EIGHT_BITS],
                output=Quantize("int8"),
            )
        ]
    )
    model = edgeax.compress(make(), recipe)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    targets = np.zeros(model(given).shape)
    model.fit(given, targets, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.to_json() == model.to_json()
    assert np.array_equal(loaded(given), model(given))
    for copy in (model, loaded):
        copy.fit(given, targets, batch_size=2, shuffle=False, verbose=0)
    assert len(loaded.weights) == len(model.weights)
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


def test_weights_alone_go_round_and_keras_can_clone_it(tmp_path):
    model = edgeax.compress(branches(), "static_wi4_ai8")
    model(GIVEN, training=True)
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.models.clone_model(model)
    assert not other.built or other.weights
    other(GIVEN)
    assert len(other.weights) == len(model.weights)
    other.load_weights(tmp_path / "model.weights.h5")
    assert np.array_equal(other(GIVEN), model(GIVEN))


def test_frozen_parts_stay_frozen_also_in_a_file(tmp_path):
    model = branches()
    model.backbone.trainable = False
    copy = edgeax.compress(model, kernels_only(Prune(PolynomialDecay(0.0, 0.5, 0, 2, 1, 1))))
    copy.blocks[0].trainable = False
    before = [layer.get_weights() for layer in (copy.backbone, copy.blocks[0])]
    copy.compile("sgd", "mse", run_eagerly=True)
    copy.fit(GIVEN, TARGETS, batch_size=2, verbose=0)
    after = [layer.get_weights() for layer in (copy.backbone, copy.blocks[0])]
    assert all(map(np.array_equal, sum(before, []), sum(after, [])))
    assert steps(copy)["backbone/inner"] == steps(copy)["block_0"] == [0]
    assert steps(copy)["block_1"] == [4]
    copy.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == len(copy.trainable_variables)
    assert not loaded.backbone.trainable and not loaded.wrappers["block_0"].trainable
    loaded.backbone.trainable = True
    assert loaded.wrappers["backbone/inner"].trainable
    assert len(loaded.trainable_variables) == len(copy.trainable_variables) + 2


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.blocks.__setitem__(1, layers.Dense(4)),
        lambda model: model.blocks.reverse(),
        lambda model: setattr(model, "head", model.shared),
    ],
)
def test_a_change_of_its_layers_is_noticed_and_not_trained(change):
    model = edgeax.compress(branches(), "static_wi8_ai8")
    model.compile("sgd", "mse")
    change(model)
    for use in (
        lambda: model(GIVEN),
        lambda: model.fit(GIVEN, TARGETS, verbose=0),
        lambda: model.evaluate(GIVEN, TARGETS, verbose=0),
        lambda: model.predict(GIVEN, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"`branches\.\w+` must hold the layers.*edgeax.strip"):
            use()


def test_a_file_of_a_class_that_has_changed_is_refused(tmp_path, monkeypatch):
    model = edgeax.compress(branches(), "static_wi8_ai8")
    config = model.get_config()
    config["wrapped"][0]["kind"] = "Conv2D"
    copy = CompressedModel.from_config(config)
    with pytest.raises(ValueError, match="no Conv2D where 'block_0' was"):
        copy(GIVEN)


def test_a_model_with_several_arguments_is_compressed_and_reloaded(tmp_path):
    model = built(Pair, GIVEN[:, :3], other=GIVEN[:, 3:])
    copy = edgeax.compress(model, kernels_only(EIGHT_BITS))
    ours = copy(GIVEN[:, :3], other=GIVEN[:, 3:])
    assert np.allclose(ours, model(GIVEN[:, :3], other=GIVEN[:, 3:]), atol=0.05)
    copy.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(GIVEN[:, :3], other=GIVEN[:, 3:]), ours)


def test_symbols_are_like_what_a_model_was_built_with():
    model = branches()
    (args,), kwargs = symbols_for(model, {"input_shape": [4, 6]})
    assert args.shape == (None, 6) and not kwargs
    (pair,), _ = symbols_for(model, {"input_shape": [[4, 6], [4, 2, 3]]})
    assert [part.shape for part in pair] == [(None, 6), (None, 2, 3)]
    _, kwargs = symbols_for(model, {"shapes_dict": {"x_shape": (4, 6), "y_shape": {"a": (4, 1)}}})
    assert kwargs["x"].shape == (None, 6) and kwargs["y"]["a"].shape == (None, 1)
    with pytest.raises(ValueError, match=r"get_build_config\(\).*{}.*Call the model"):
        symbols_for(model, None)


def test_compressing_a_subclassed_model_warns_about_nothing():
    model = branches()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="__array__ implementation")
        edgeax.compress(model, "static_wi8_ai8")(GIVEN)
