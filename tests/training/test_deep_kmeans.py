"""Deep k-means: rows of kernels, the spectral term, and what it does to them in `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.training.deep_kmeans import (
    DeepKMeans,
    kernel_rows,
    spectral_penalty,
    top_directions,
)

layers = keras.layers


def penalty(samples, rank):
    samples = np.asarray(samples, np.float32)
    directions = top_directions(samples, rank)
    return float(spectral_penalty(tf.constant(samples), tf.constant(directions)))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(5, 40), (12, 7)])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_www18_is_half_the_squares_of_the_singular_values_left_over(shape, rank):
    samples = random(*shape)
    singular = np.linalg.svd(samples.astype(np.float64), compute_uv=False)
    assert penalty(samples, rank) == pytest.approx(0.5 * np.sum(singular[rank:] ** 2), rel=1e-4)


def test_www18_is_zero_exactly_where_the_rank_is_no_higher():
    codewords = random(6, 3)
    samples = codewords[:, np.random.default_rng(1).integers(0, 3, 50)]  # of rank 3
    energy = np.sum(samples**2)
    assert abs(penalty(samples, 3)) < 1e-6 * energy
    assert abs(penalty(samples, 4)) < 1e-6 * energy  # F is orthonormal beyond the rank too
    assert penalty(samples, 2) > 1e-3 * energy
    assert penalty(samples + 0.1 * random(6, 50, seed=2), 3) > 1e-3 * energy
    assert penalty(np.zeros((4, 9)), 2) == 0.0


def test_www18_worked_out_by_hand():
    # W^T W is diagonal: 9, 16, 4, 25. Of F the columns are the two largest, the last and second.
    samples = np.diag([3.0, 4.0, 2.0, 5.0])
    assert np.abs(top_directions(samples, 2)) == pytest.approx(np.eye(4)[:, [3, 1]], abs=1e-6)
    assert penalty(samples, 2) == pytest.approx(0.5 * (9 + 4))


def test_www18_directions_are_the_orthonormal_eigenvectors_of_the_largest_eigenvalues():
    samples = random(5, 30)
    directions = top_directions(samples, 3)
    assert directions.T @ directions == pytest.approx(np.eye(3), abs=1e-5)
    gram = samples.T @ samples
    largest = np.sort(np.linalg.eigvalsh(gram.astype(np.float64)))[::-1][:3]
    assert gram @ directions == pytest.approx(directions * largest, abs=1e-3)


def test_any_other_orthonormal_matrix_gives_more():
    samples = random(5, 20)
    for seed in range(5):
        other, _ = np.linalg.qr(random(20, 3, seed=seed + 1))
        assert spectral_penalty(samples, other) > penalty(samples, 3)


def test_www18_the_gradient_is_what_lies_outside_the_kept_directions():
    samples, directions = tf.constant(random(4, 10)), tf.constant(top_directions(random(4, 10), 2))
    with tf.GradientTape() as tape:
        tape.watch(samples)
        term = spectral_penalty(samples, directions)
    expected = samples - samples @ directions @ tf.transpose(directions)
    assert tape.gradient(term, samples).numpy() == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize(
    "shape, input_axes, length",
    [
        ((3, 5, 4, 6), None, 5),  # a row of a convolution is as long as it is wide
        ((7, 4, 6), None, 7),
        ((2, 3, 5, 4, 6), None, 5),
        ((3, 5, 8), (), 5),  # depthwise
        ((5, 8), (), 5),
        ((9, 6), None, 9),
        ((9, 6, 4), (0,), 9),  # an LSTM
        ((2, 3, 8), (0, 1), 6),  # dense over two axes
    ],
)
def test_rows_are_as_long_as_the_kernel_is_wide(shape, input_axes, length):
    weight = random(*shape)
    rows = kernel_rows(tf.constant(weight), input_axes).numpy()
    assert rows.shape == (length, weight.size // length)
    assert np.array_equal(np.sort(rows.ravel()), np.sort(weight.ravel()))


def test_www18_a_sample_is_a_row_of_one_filter_in_one_input_channel():
    weight = random(2, 3, 4, 5)
    rows = kernel_rows(tf.constant(weight)).numpy()
    seen = {tuple(column) for column in rows.T}
    assert seen == {tuple(weight[y, :, i, o]) for y in range(2) for i in range(4) for o in range(5)}


def zero_loss(y_true, y_pred):
    return 0.0 * keras.ops.sum(y_pred, axis=-1)


def convolution(width=5, rate=0.0):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, (3, width), use_bias=False, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, use_bias=False, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), zero_loss)
    return model


def fit(model, callback, epochs=1, steps=1):
    x, y = np.zeros((steps, 6, 6, 2), np.float32), np.zeros((steps, 2), np.float32)
    return model.fit(x, y, batch_size=1, epochs=epochs, verbose=0, callbacks=[callback])


def singular_values(model):
    rows = kernel_rows(tf.constant(model.get_layer("conv").kernel.value)).numpy()
    return np.linalg.svd(rows, compute_uv=False)


def test_www18_the_term_is_added_to_the_loss_of_training():
    model = convolution()
    expected = 0.5 * np.sum(singular_values(model)[2:] ** 2)
    history = fit(model, DeepKMeans(2, strength=0.3)).history
    assert history["loss"] == [pytest.approx(0.3 * expected, rel=1e-4)]
    # The head makes the outputs, so it is left out; and what was added is taken out again.
    assert model.evaluate(np.zeros((1, 6, 6, 2)), np.zeros((1, 2)), verbose=0) == 0.0


def test_www18_rows_lose_the_rank_that_is_not_asked_for():
    model = convolution(rate=0.1)
    before, head = singular_values(model), model.get_layer("head").kernel.numpy()
    fit(model, DeepKMeans(2, strength=1.0, refresh_epochs=2), epochs=6, steps=10)
    after = singular_values(model)
    # What lies outside shrinks by 1 - 0.1 in each of 60 steps; what is kept stays.
    assert after[:2] == pytest.approx(before[:2], rel=1e-3)
    assert after[2:] == pytest.approx(before[2:] * 0.9**60, rel=1e-2)
    assert np.array_equal(model.get_layer("head").kernel.numpy(), head)


def test_directions_are_found_anew_after_some_epochs():
    model = convolution()
    conv, terms = model.get_layer("conv").kernel, []

    class Change(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            terms.append(logs["loss"])
            conv.assign(random(*conv.shape, seed=epoch))

    x, y = np.zeros((1, 6, 6, 2)), np.zeros((1, 2))
    callbacks = [DeepKMeans(2, 1.0, refresh_epochs=2, begin_epoch=1), Change()]
    model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)

    def best(seed):
        rows = kernel_rows(tf.constant(random(*conv.shape, seed=seed))).numpy()
        return penalty(rows, 2)

    assert terms[0] == 0.0
    assert terms[1] == pytest.approx(best(0), rel=1e-4)  # found at first
    assert terms[2] > 1.1 * best(1)  # those of before
    assert terms[3] == pytest.approx(best(2), rel=1e-4)
    assert terms[4] > 1.1 * best(3)


def test_samples_of_a_given_length_are_those_that_vector_codebooks_cut():
    model = convolution()
    kernel = model.get_layer("conv").kernel.numpy()
    # `length` inputs in a row, of each output channel.
    cut = kernel.reshape(-1, 4).T.reshape(-1, 6).T
    history = fit(model, DeepKMeans(3, strength=1.0, length=6)).history
    assert history["loss"] == [pytest.approx(penalty(cut, 3), rel=1e-4)]


def test_www18_few_codewords_fit_rows_of_low_rank_better():
    # Rows on a line through zero are fitted by 4 codewords far better than rows anywhere.
    format = VectorCodebook(4, length=6)

    def error(model):
        kernel = model.get_layer("conv").kernel.numpy()
        params = format.fit(kernel)
        away = format.decode(format.encode(kernel, params), params) - kernel
        return np.sum(away**2) / np.sum(kernel**2)

    model = convolution(rate=0.1)
    before = error(model)
    fit(model, DeepKMeans(1, strength=1.0, length=6), epochs=4, steps=10)
    assert error(model) < 0.5 * before


def test_compressed_models_in_half_precision_train_under_xla():
    keras.utils.set_random_seed(0)
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    conv = layers.Conv2D(4, 3, dtype=policy, name="conv")
    head = [layers.GlobalAveragePooling2D(), layers.Dense(2, name="head")]
    model = edgeax.compress(keras.Sequential([keras.Input((6, 6, 2)), conv, *head]), ["int8"])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=True)
    loss = fit(model, DeepKMeans(1, strength=0.1)).history["loss"]
    assert np.isfinite(loss).all() and loss[0] > 0.0


@pytest.mark.parametrize(
    "model, callback, message",
    [
        (convolution(), DeepKMeans(5), r"`rank` must be below 5 for layer 'conv'.*rank=5"),
        (convolution(), DeepKMeans(2, layers="head"), "`rank` must be below 2 for layer 'head'"),
        (convolution(), DeepKMeans(2, layers="dense"), "`layers` of DeepKMeans must pick"),
        (convolution(), DeepKMeans(2, length=4), "`length` must divide"),
    ],
)
def test_what_a_model_has_not_is_refused_before_training(model, callback, message):
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match=message):
        fit(model, callback)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.weights, strict=True))


def test_a_kernel_that_is_not_finite_is_refused():
    model = convolution()
    model.get_layer("conv").kernel.assign(np.full((3, 5, 2, 4), np.nan))
    with pytest.raises(ValueError, match="`model` must have finite weights.*'conv'"):
        fit(model, DeepKMeans(2))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DeepKMeans(0), "`rank` must be an integer, at least 1.*rank=0"),
        (lambda: DeepKMeans(2, strength=-1.0), "`strength` must be at least 0"),
        (lambda: DeepKMeans(2, length=0), "`length` must be an integer, at least 1"),
        (lambda: DeepKMeans(2, layers=3), "`layers` must be None"),
        (lambda: DeepKMeans(2, refresh_epochs=0), "`refresh_epochs` must be.*at least 1"),
        (lambda: DeepKMeans(2, begin_epoch=-1), "`begin_epoch` must be.*at least 0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_settings_go_round():
    callback = DeepKMeans(2, 0.1, 8, "conv", 4, 1)
    data = keras.saving.serialize_keras_object(callback)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is DeepKMeans and copy.get_config() == callback.get_config()
