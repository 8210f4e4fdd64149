import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.transforms import Chain
from edgeax.transforms.cluster_activations import ClusterActivations
from tests.transforms.bound import activation_chain, value_and_gradients
from tests.transforms.modes import compiled, graph, in_every_mode

BATCH = np.random.default_rng(0).normal(0.4, 1.0, size=(30, 20)).astype(np.float32)


def points_of(chain):
    return chain.transforms[0].activation_params()["points"]


def best_points(values, count):
    """The least squared error of k-means with one point at zero, over many starts."""
    rng, best = np.random.default_rng(1), np.inf
    for _ in range(40):
        points = np.sort(np.append(rng.choice(values, count - 1, replace=False), 0.0))
        for _ in range(60):
            members = np.abs(values[:, None] - points).argmin(axis=1)
            for place in np.flatnonzero(points):
                points[place] = values[members == place].mean() if np.any(members == place) else 9.0
        best = min(best, np.mean((values - points[members]) ** 2))
    return best


def test_rikr17_points_are_those_of_k_means_over_the_batch():
    chain = activation_chain(ClusterActivations(6), BATCH)
    points = points_of(chain)
    assert np.all(np.diff(points) > 0) and np.count_nonzero(points == 0.0) == 1
    members = np.abs(BATCH[..., None] - points).argmin(axis=-1)
    for place, point in enumerate(points):
        if point != 0.0:
            assert point == pytest.approx(BATCH[members == place].mean(), abs=1e-5)
    error = np.mean((chain.call(tf.constant(BATCH)).numpy() - BATCH) ** 2)
    assert error <= 1.1 * best_points(BATCH.ravel().astype(np.float64), 6)


@in_every_mode
def test_values_are_the_nearest_points_in_every_mode(mode):
    chain = activation_chain(ClusterActivations(5), BATCH)
    points = points_of(chain)
    nearest = points[np.abs(BATCH[..., None] - points).argmin(axis=-1)]
    assert np.array_equal(mode(chain.call)(tf.constant(BATCH)), nearest)
    format, params = chain.transforms[0].number_format, chain.transforms[0].activation_params()
    assert np.array_equal(format.decode(format.encode(BATCH, params), params), nearest)


def test_values_pass_until_a_batch_was_seen_and_one_that_is_not_finite_is_passed_over():
    chain = activation_chain(ClusterActivations(4))
    assert chain.transforms[0].extremes is None and chain.transforms[0].activation_params() is None
    assert np.array_equal(chain.call(tf.constant(BATCH)), BATCH)
    broken = BATCH.copy()
    broken[3, 3] = np.nan
    chain.call(tf.constant(broken), training=True)
    assert not chain.transforms[0].is_found
    chain.call(tf.constant(BATCH), training=True)
    found = points_of(chain)
    chain.call(tf.constant(broken), training=True)
    assert np.array_equal(points_of(chain), found)


def test_points_follow_the_means_of_their_members():
    chain = activation_chain(ClusterActivations(3, momentum=0.75), np.float32([[-2, -2, 0, 4, 4]]))
    assert points_of(chain).tolist() == [-2, 0, 4]
    chain.call(tf.constant(np.float32([[0.5, 5.0, 7.0, 0.0]])), training=True)
    # -2 has no members, 0.5 and 0 belong to zero, which stays; 0.75 * 4 + 0.25 * 6.
    assert points_of(chain).tolist() == [-2, 0, 4.5]


def test_zeros_stay_zero_of_whatever_sign_the_values_are():
    for batch in (np.abs(BATCH) + 1, -np.abs(BATCH) - 1, np.maximum(BATCH, 0)):
        chain = activation_chain(ClusterActivations(4), batch)
        assert not np.any(chain.call(tf.zeros((2, 3))))
        low, high = chain.transforms[0].extremes
        values = chain.call(tf.constant(batch)).numpy()
        assert low <= min(0.0, values.min()) and max(0.0, values.max()) <= high


def test_after_a_batch_of_zeros_points_are_found_in_the_next():
    chain = activation_chain(ClusterActivations(4, momentum=0.5), np.zeros((2, 3), np.float32))
    assert points_of(chain).tolist() == [0, 0, 0, 0]
    for _ in range(30):
        chain.call(tf.constant(BATCH), training=True)
    expected = points_of(activation_chain(ClusterActivations(4), BATCH))
    assert points_of(chain) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("value", [0.7, -3.0, 0.0])
def test_equal_values_are_kept(value):
    batch = np.full((3, 4), value, np.float32)
    chain = activation_chain(ClusterActivations(4), batch, batch)
    assert chain.call(tf.constant(batch)).numpy() == pytest.approx(batch, rel=1e-6)


def test_the_gradient_passes_straight_through():
    chain = activation_chain(ClusterActivations(4), BATCH)
    upstream = np.random.default_rng(1).normal(size=BATCH.shape).astype(np.float32)
    _, gradient = value_and_gradients(chain, 3 * BATCH, upstream)
    assert np.array_equal(gradient, upstream)


@pytest.mark.parametrize("mode", [graph, compiled], ids=["graph", "compiled"])
def test_the_batch_size_may_be_unknown(mode):
    chain = activation_chain(ClusterActivations(4))
    run = mode(lambda x: chain.call(x, training=True))
    traced = run.get_concrete_function(tf.TensorSpec((None, 3)))
    assert traced.structured_outputs.shape.as_list() == [None, 3]
    assert run(tf.constant(BATCH[:, :3])).shape == (30, 3)


def network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ]
    )
    rule = edgeax.Rule(".*", input=ClusterActivations(5), output=ClusterActivations(6))
    small = edgeax.compress(model, edgeax.Recipe([rule]))
    small.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    return small


def images(count=32):
    return np.random.default_rng(2).normal(size=(count, 6, 6, 2)).astype(np.float32)


def test_a_model_trains_and_survives_saving(tmp_path):
    model = network()
    data, wanted = images(), images().mean(axis=(1, 2)) @ np.float32([[1, 0, 2, 1], [0, 1, 1, -1]])
    losses = model.fit(data, wanted, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    seen = []
    with edgeax.model.passes.watched(lambda owner, tensor: seen.append((owner, tensor))):
        outputs = np.asarray(model(data))
    inputs = [np.asarray(t) for owner, t in seen if isinstance(owner, edgeax.Compressed)]
    assert [len(np.unique(values)) <= most for values, most in zip(inputs, (5, 6), strict=True)]
    assert len(np.unique(outputs)) <= 6
    model.save(tmp_path / "model.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "model.keras")(data), outputs)


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_an_exported_file_puts_values_on_the_points(tmp_path, activations):
    model, data = network(), images()
    model.fit(data, np.zeros((32, 4), np.float32), epochs=2, verbose=0)
    path = tmp_path / "model.tflite"
    edgeax.export(model, path, data, activations=activations, measure=False)
    found = edgeax.Interpreter(str(path)).run(data)
    assert len(np.unique(np.round(found, 4))) <= 6
    expected = np.asarray(model(data))
    # In int8 points are codes of 8 bits, inside the network too, so more values change their point.
    half_step, least = (step_of_points(path) / 2, 0.8) if activations == "int8" else (0.0, 0.9)
    near = np.abs(found - expected) <= half_step + 1e-3
    assert np.mean(near) > least  # some lie between two points


def step_of_points(path):
    """The scale of the 8-bit codes that the last points of a file are."""
    graph = Model.read(path).subgraphs[0]
    gathers = [operator for operator in graph.operators if operator.name == "GATHER"]
    return float(graph.tensors[gathers[-1].outputs[0]].scale[0])


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_it_trains_compiled_and_several_steps_at_once(settings):
    def losses(**settings):
        keras.utils.set_random_seed(0)
        layer = edgeax.Compressed(keras.layers.Dense(2), input=ClusterActivations(4))
        model = keras.Sequential([keras.Input((20,)), layer])
        model.compile(keras.optimizers.SGD(0.05), "mse", **settings)
        wanted = BATCH[:, :2]
        return model.fit(BATCH, wanted, epochs=2, batch_size=15, shuffle=False, verbose=0).history

    plain = losses(jit_compile=False)["loss"]
    found = losses(**{"jit_compile": False, **settings})["loss"]
    assert found == pytest.approx(plain, rel=0.03)


def test_settings_survive_json():
    wanted = {"number_of_clusters": 9, "momentum": 0.5}
    made = ClusterActivations(**wanted)
    text = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == made.get_config() == wanted


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ClusterActivations(1), r"`entries` must be in 2\.\.256"),
        (lambda: ClusterActivations(momentum=1.0), r"`momentum` must lie in \[0, 1\)"),
        (
            lambda: Chain([ClusterActivations(4)]).bind("weight", (3, 3)),
            "`ClusterActivations` must stand at an input or output",
        ),
        (
            lambda: Chain([edgeax.Quantize("int8"), ClusterActivations(4)]),
            "must be the only quantizer in a chain",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
