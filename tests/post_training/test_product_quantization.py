"""product_quantize(): what comes out is smaller, computes nearly the same, and can be used on."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.post_training.product_quantization import product_quantize
from edgeax.transforms.vector_cluster import VectorCluster
from tests.post_training import cases

layers = keras.layers


def blobs(count, seed):
    """Images of four classes, each a blob at another place, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    y, x = np.mgrid[:8, :8]
    centers = np.array([[2, 2], [2, 5], [5, 2], [5, 5]])[labels] + rng.normal(0, 0.5, (count, 2))
    squares = (y - centers[:, :1, None]) ** 2 + (x - centers[:, 1:, None]) ** 2
    images = np.exp(-squares / 3) + 0.1 * rng.normal(size=(count, 8, 8))
    return images[..., None].astype(np.float32), labels


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", name="first"),
            layers.Conv2D(12, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="dense"),
            layers.Dense(4, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    model.fit(*blobs(256, 0), epochs=6, batch_size=32, verbose=0)
    return model


def error(model, other, images):
    return float(np.mean((np.asarray(model(images)) - np.asarray(other(images))) ** 2))


@pytest.mark.parametrize("seed, tables", [(0, "shared"), (1, "per_input")])
def test_wlw15_error_correction_beats_plain_product_quantization(network, seed, tables):
    samples, held = blobs(256, 1 + seed)[0], blobs(256, 11 + seed)[0]
    settings = {"layers": "second|dense|head", "tables": tables, "seed": seed}
    plain = product_quantize(network, 4, 8, samples, error_correction=False, **settings)
    corrected = product_quantize(network, 4, 8, samples, **settings)
    assert error(corrected, network, samples) < 0.5 * error(plain, network, samples)
    assert error(corrected, network, held) < 0.5 * error(plain, network, held)


def test_what_comes_out_is_small_and_goes_on(network, tmp_path):
    images, labels = blobs(128, 2)
    small = product_quantize(network, 4, 8, images, "second|dense|head", "per_input")
    rows = {row.path: row for row in edgeax.summary(small).rows}
    # 3 * 3 * 8 * 12 / 4 indices of 3 bits, 2 tables of 8 codewords of 4 floats, 12 biases.
    assert rows["second"].size_bytes == 216 * 3 // 8 + 2 * 8 * 4 * 4 + 12 * 4
    assert isinstance(small.get_layer("head").weight_chains[0].chain.transforms[0], VectorCluster)
    before = np.asarray(small(images))

    small.save(tmp_path / "small.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "small.keras")(images), before)
    edgeax.export(small, tmp_path / "small.tflite", images, activations="float32", measure=False)
    found = edgeax.Interpreter(str(tmp_path / "small.tflite")).run(images)
    assert found == pytest.approx(before, abs=1e-3)

    assert small.compiled
    small.compile(keras.optimizers.Adam(1e-3), small.loss, jit_compile=False)
    losses = small.fit(images, labels, epochs=4, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert edgeax.summary(small).rows[1].size_bytes == rows["second"].size_bytes


def test_the_same_seed_gives_the_same_model(network):
    images = blobs(64, 3)[0]
    one, again, other = (
        np.asarray(product_quantize(network, 4, 8, images, "dense", seed=seed)(images))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_without_correction_no_samples_are_needed_and_codewords_are_those_of_k_means(network):
    plain = product_quantize(network, 4, 8, layers="dense", error_correction=False, seed=3)
    rule = edgeax.Rule("dense", kernel=VectorCluster(8, 4, seed=3))
    compressed = edgeax.compress(network, edgeax.Recipe([rule]))
    images = blobs(8, 4)[0]
    assert np.array_equal(plain(images), compressed(images))


def test_few_samples_are_enough_for_a_finite_model():
    model, samples = cases.dense_pair()
    small = product_quantize(model, 2, 4, samples[:1])
    assert np.isfinite(np.asarray(small(samples))).all()


def test_a_subclassed_model_is_quantized_too():
    model, samples = cases.subclassed()
    plain, small = (
        product_quantize(model, 1, 3, samples, error_correction=corrected)
        for corrected in (False, True)
    )
    assert error(small, model, samples) < error(plain, model, samples)


def test_equal_weights_and_more_clusters_than_sub_vectors_are_kept_as_they_are():
    model, samples = cases.dense_pair()
    model.get_layer("first").kernel.assign(0.25 * np.ones((12, 16)))
    small = product_quantize(model, 4, 64, samples, error_correction=False)
    assert error(small, model, samples) == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_is_refused(network):
    images = blobs(8, 5)[0]
    with pytest.raises(
        ValueError, match=r"`length` must divide.*Use one of \[1, 3, 9\].*layer 'first'"
    ):
        product_quantize(network, 4, 8, images)
    with pytest.raises(ValueError, match="`number_of_clusters` must be an integer, at least 2"):
        product_quantize(network, 4, 1, images)
    with pytest.raises(ValueError, match="`tables` must be one of"):
        product_quantize(network, 4, 8, images, tables="many")
    with pytest.raises(ValueError, match="`samples` for input.* must have shape"):
        product_quantize(network, 4, 8, images[..., 0], layers="dense")
    broken = keras.models.clone_model(network)
    broken.get_layer("dense").bias.assign(np.full(32, np.nan))
    with pytest.raises(ValueError, match="NaN|finite"):
        product_quantize(broken, 4, 8, images, layers="dense")
