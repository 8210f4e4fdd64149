"""SWA: which weights the mean is of, and that a training that was broken off has the same one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.callbacks import SWA
from edgeax.optimizers import RoundedSGD
from tests.model import small_models as normalized
from tests.training import replicas
from tests.training.small_models import mlp, points

layers = keras.layers


def falling(optimizer=None, **settings):
    """A model of one weight that starts at 0 and falls by the learning rate times x in a step."""
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    optimizer = optimizer or keras.optimizers.SGD(1.0)
    model.compile(optimizer, lambda _, y: keras.ops.sum(y, axis=-1), **settings)
    return model


def fit(model, x, *callbacks, **settings):
    settings = {"batch_size": 1, "shuffle": False, "verbose": 0, **settings}
    x = np.float32(x).reshape(-1, 1)
    return model.fit(x, x, callbacks=[*callbacks], **settings)


def weight(model):
    return float(model.get_weights()[0].ravel()[0])


SETTINGS = [
    {},
    {"jit_compile": True},
    {"run_eagerly": True},
    {"steps_per_execution": 4},
    {"steps_per_execution": 64},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_ipg18_the_mean_is_that_of_the_weights_at_the_ends_of_cycles(settings):
    model, swa = falling(**settings), SWA(frequency=3)
    fit(model, 2.0 ** np.arange(10), swa)
    # After 3, 6 and 9 steps the weight is 1 less than 2**3, 2**6, 2**9, below 0.
    assert swa.count == 3 and weight(model) == pytest.approx(-(7 + 63 + 511) / 3, rel=1e-6)
    swa.restore_weights()
    assert weight(model) == -1023.0


class Counting(layers.Layer):
    """Adds 0, and counts its steps in an integer that is declared trainable."""

    def build(self, input_shape):
        self.count = self.add_weight(dtype="int32", initializer="zeros", name="count")

    def call(self, inputs):
        self.count.assign(self.count + 1)
        return inputs + 0.0 * keras.ops.cast(self.count, inputs.dtype)


def test_integers_among_the_trained_weights_are_not_averaged():
    given = keras.Input((1,))
    x = Counting()(given)
    x = layers.Dense(1, use_bias=False, kernel_initializer="zeros")(x)
    model, swa = keras.Model(given, x), SWA(frequency=3)
    model.compile(keras.optimizers.SGD(1.0), lambda _, y: keras.ops.sum(y, axis=-1))
    count = model.layers[1].count
    assert any(variable is count for variable in model.trainable_variables)
    begun = int(count.value)
    fit(model, np.ones(9), swa)
    assert swa.count == 3 and int(count.value) == begun + 9
    assert float(model.layers[2].kernel.value[0, 0]) == pytest.approx(-(3 + 6 + 9) / 3)


@pytest.mark.parametrize("settings", [{}, {"steps_per_execution": 3}])
def test_ipg18_the_mean_is_that_of_the_ends_of_epochs(settings):
    model, swa = falling(**settings), SWA(begin_epoch=2)
    fit(model, [1.0, 3.0], swa, epochs=6)  # 4 less in each epoch
    assert swa.count == 4 and weight(model) == -(12 + 16 + 20 + 24) / 4


def test_cycles_are_counted_from_the_epoch_at_which_they_begin():
    model, swa = falling(), SWA(begin_epoch=1, frequency=3)
    fit(model, np.ones(5), swa, epochs=3)  # 10 updates from the sixth on: after 8, 11 and 14
    assert swa.count == 3 and weight(model) == -11.0


@pytest.mark.parametrize("settings", SETTINGS)
def test_ipg18_the_rate_falls_to_its_lowest_at_the_end_of_each_cycle(settings):
    model, swa = falling(**settings), SWA(frequency=3, learning_rate=(4.0, 1.0))
    fit(model, [1.0, 10.0, 100.0, 1e3, 1e4, 1e5], swa)
    # (1 - t) * 4 + t * 1 with t = 1/3, 2/3, 1.
    swa.restore_weights()
    assert weight(model) == pytest.approx(-123123.0)


def test_a_constant_rate_begins_with_the_averages():
    model, swa = falling(), SWA(begin_epoch=1, learning_rate=0.5)
    fit(model, [1.0], swa, epochs=3)
    swa.restore_weights()
    assert weight(model) == -2.0


def test_yzk19_the_error_falls_as_1_by_t_below_the_rounding_floor():
    # f(w) = |w - wanted|**2 / 2 with noisy gradients, w stored in 8 bits: a step is 2**-6. The mean
    # of T weights has a squared error of c / T, that of the last weight does not fall.
    size = 512
    wanted = np.random.default_rng(0).uniform(-0.9, 0.9, size).astype(np.float32)
    wanted[0] = 0.99

    def errors(steps):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((1,)), layers.Dense(size, use_bias=False, kernel_initializer="zeros")]
        )
        half = lambda y, found: keras.ops.sum(keras.ops.square(found - y), axis=-1) / 2  # noqa: E731
        flat = edgeax.formats.SmallBlockFloat(8, axis=None)
        model.compile(RoundedSGD(0.25, format=flat), half, steps_per_execution=64)
        noise = np.random.default_rng(steps).normal(size=(64 + steps, size))
        y = wanted + 0.02 * np.float32(noise)
        x = np.ones((len(y), 1), np.float32)
        model.fit(x[:64], y[:64], batch_size=1, verbose=0)
        swa = SWA(frequency=1)
        model.fit(x[64:], y[64:], batch_size=1, verbose=0, callbacks=[swa])
        mean = np.mean((model.get_weights()[0] - wanted) ** 2)
        swa.restore_weights()
        return mean, np.mean((model.get_weights()[0] - wanted) ** 2)

    found = {steps: errors(steps) for steps in (64, 256, 1024)}
    for steps in (64, 256):
        assert found[4 * steps][0] / found[steps][0] == pytest.approx(1 / 4, rel=0.35)
        assert found[4 * steps][1] / found[steps][1] == pytest.approx(1.0, rel=0.3)
    step = 2.0**-6
    assert found[1024][1] > step**2 / 12  # not even as good as rounding what is wanted
    assert found[1024][0] < step**2 / 12 / 10


def test_yzk19_a_model_in_8_bits_computes_with_the_mean_in_float():
    model = edgeax.compress(mlp(), edgeax.Recipe(arithmetic="swalp"))
    model.compile(RoundedSGD(0.05, 0.9, format="swalp8"), "sparse_categorical_crossentropy")
    x, y = points(64)
    swa = SWA(begin_epoch=1, learning_rate=0.02)
    model.fit(x, y, 16, epochs=6, verbose=0, callbacks=[swa])
    mean = model.get_layer("hidden").kernel.numpy()
    swa.restore_weights()
    raw = model.get_layer("hidden").kernel.numpy()

    def steps(kernel):
        return kernel / 2.0 ** (np.floor(np.log2(np.abs(kernel).max(0))) - 6)

    assert np.array_equal(steps(raw), np.round(steps(raw)))
    assert not np.array_equal(steps(mean), np.round(steps(mean)))
    ones = np.ones((1, 4), np.float32)  # exact in 8 bits: what comes out is the sum of weights used
    model.set_weights([v * 0 for v in model.get_weights()])
    model.get_layer("hidden").kernel.assign(np.abs(mean))
    hidden = keras.Model(model.inputs[0], model.get_layer("hidden").output)
    np.testing.assert_allclose(hidden(ones)[0], np.abs(mean).sum(0), rtol=1e-6)


def test_batch_normalizations_get_the_statistics_of_the_mean():
    samples = normalized.images(40)
    model = normalized.two_normalizations()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    targets = np.random.default_rng(0).normal(size=(40, *model.output_shape[1:]))
    swa = SWA(samples=samples)
    model.fit(samples, targets, batch_size=8, epochs=3, verbose=0, callbacks=[swa])
    found = [v.numpy() for v in model.non_trainable_weights]
    edgeax.reestimate_batch_norm(model, samples)
    for one, same in zip(found, model.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(one, same.numpy())
    swa.restore_weights()
    assert not np.allclose(found[0], model.non_trainable_weights[0].numpy())


def test_batch_normalizations_without_samples_are_refused():
    model = normalized.two_normalizations()
    model.compile("sgd", "mse")
    images = normalized.images(8)
    targets = np.zeros((8, *model.output_shape[1:]))
    with pytest.raises(ValueError, match="`samples` must be given.*'norm0'"):
        model.fit(images, targets, verbose=0, callbacks=[SWA()])
    for layer in model.layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    model.compile("sgd", "mse")
    model.fit(images, targets, verbose=0, callbacks=[SWA()])


class Break(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "settings, steps, first",
    [
        ({}, 1, False),
        ({"frequency": 3, "learning_rate": (0.2, 0.05)}, 4, True),
    ],
)
def test_a_broken_off_training_goes_on_as_if_it_had_not_been(tmp_path, settings, steps, first):
    x, y = points(64)

    def train(*callbacks, breaks=()):
        model = mlp()
        model.compile(
            keras.optimizers.SGD(0.1, 0.9),
            "sparse_categorical_crossentropy",
            steps_per_execution=steps,
        )
        swa = SWA(begin_epoch=1, **settings)
        order = [swa, *callbacks] if first else [*callbacks, swa]
        try:
            model.fit(x, y, 8, 5, shuffle=False, verbose=0, callbacks=[*order, *breaks])
        except KeyboardInterrupt:
            pass
        return swa.count, model

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    count, whole = train()
    train(backup(), breaks=[Break()])
    again, resumed = train(backup())
    assert count == again > 3
    for one, same in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert "_state_of_SWA" not in vars(resumed)


def test_weights_saved_without_it_can_be_loaded_while_it_is_there(tmp_path):
    model = falling()
    fit(model, [1.0])
    model.save_weights(tmp_path / "before.weights.h5")

    class Load(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.load_weights(tmp_path / "before.weights.h5")

    swa = SWA()
    fit(model, [1.0], swa, Load(), epochs=3)
    assert swa.count == 3 and weight(model) == pytest.approx(-(2 + 2 + 3) / 3)


def test_a_second_training_averages_anew():
    model, swa = falling(), SWA()
    fit(model, [1.0], swa)
    fit(model, [1.0], swa, epochs=2)
    assert swa.count == 2 and weight(model) == -2.5


def test_gathered_gradients_count_once():
    model = falling(keras.optimizers.SGD(1.0, gradient_accumulation_steps=2))
    swa = SWA(frequency=2)
    fit(model, np.ones(12), swa)  # 12 steps, of which Keras makes 6 updates
    assert swa.count == 3 and weight(model) == -4.0
    swa.restore_weights()
    assert weight(model) == -6.0


def test_two_replicas_average_as_one():
    replicas.run("swa")


def test_no_end_of_a_cycle_is_a_warning():
    model = falling()
    with pytest.warns(UserWarning, match="`SWA` must see the end of a cycle.*frequency=9"):
        fit(model, np.ones(4), SWA(frequency=9))
    assert weight(model) == -4.0
    with pytest.raises(ValueError, match="`restore_weights` must come after"):
        SWA().restore_weights()


def test_a_schedule_beside_a_rate_and_a_second_one_are_refused():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model = falling(keras.optimizers.SGD(schedule))
    with pytest.raises(ValueError, match="`learning_rate` must be None where .*0.5"):
        fit(model, [1.0], SWA(learning_rate=0.5))
    fit(model, [1.0], SWA())
    with pytest.raises(ValueError, match="at most one SWA"):
        fit(falling(), [1.0], SWA(), SWA(frequency=1))


def test_it_serializes():
    for made in (SWA(3, learning_rate=0.1), SWA(0, 5, (0.1, 0.01), batch_size=7)):
        data = keras.saving.serialize_keras_object(made)
        again = keras.saving.deserialize_keras_object(data)
        assert again.get_config() == made.get_config()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"frequency": "batch"}, "frequency='batch'"),
        ({"frequency": 0}, "frequency=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": "cosine"}, "learning_rate='cosine'"),
        (
            {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10)},
            "`learning_rate` must be None.*Give a schedule to the optimizer",
        ),
        ({"learning_rate": (0.1, 0.01)}, "`frequency` must be the length of a cycle"),
        ({"begin_epoch": -1}, "-1"),
    ],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        SWA(**settings)


def test_means_are_float32_under_mixed_precision():
    model, swa = falling(), SWA()
    model.set_weights([np.float32([[1 / 3]])])
    fit(model, [0.0], swa)
    assert tf.as_dtype(swa._means[0].dtype) == tf.float32 and weight(model) == np.float32(1 / 3)
