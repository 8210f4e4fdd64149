"""A compressed model in every way that Keras can train: each compared with the plain way."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Cluster, PolynomialDecay, Prune, Quantize, Recipe, Rule
from edgeax.model.copying import compressed_layers
from tests.model import small_models

IMAGES, LABELS = small_models.images(16), small_models.labels(16)


def make(**compile_arguments):
    """Returns a compiled model in which all kinds of state change during training."""
    recipe = Recipe(
        [
            Rule(
                "conv",
                kernel=[
                    Prune(PolynomialDecay(0.0, 0.5, 1, 12, frequency=2)),
                    Cluster(6, begin_step=5),
                    Quantize("int8", axis=-1),
                ],
                input=Quantize("int8"),
            ),
            Rule("head", kernel=Cluster(3, "density")),
            Rule("conv|depthwise", output=Quantize("int8", begin_step=3)),
        ]
    )
    model = edgeax.compress(small_models.convolutional(), recipe)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        **({"jit_compile": False} | compile_arguments),
    )
    model.optimizer.build(model.trainable_variables)  # else Keras traces the training step twice
    return model


def fit(model, epochs=4, **arguments):
    """Trains with 4 steps an epoch."""
    arguments = {"batch_size": 4, "shuffle": False, "verbose": 0} | arguments
    return model.fit(IMAGES, LABELS, epochs=epochs, **arguments).history


def steps(model):
    return {int(chain.calls) for layer in compressed_layers(model) for chain in layer.chains}


def assert_equal(ours, theirs, tolerance=0.0):
    """Compares all weights, those that are no floats exactly."""
    assert len(ours.weights) == len(theirs.weights)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        a_value, b_value = a.numpy(), b.numpy()
        if tolerance and np.issubdtype(a_value.dtype, np.floating):
            assert np.allclose(a_value, b_value, rtol=tolerance, atol=tolerance), a.path
        else:
            assert np.array_equal(a_value, b_value), a.path


@pytest.fixture(scope="module")
def plain():
    model = make()
    return model, fit(model)


def test_every_kind_of_state_moved_in_the_plain_run(plain):
    model, history = plain
    assert steps(model) == {16}
    assert history["loss"][-1] < history["loss"][0]
    conv, head = (
        next(x for x in compressed_layers(model) if x.name == n) for n in ("conv", "head")
    )
    assert conv.freeze_weights()[0][2].sparsity >= 0.5
    assert conv.freeze_weights()[0][2].distinct_values <= 6
    assert head.freeze_weights()[0][2].distinct_values <= 3
    assert conv.quantizer("input").extremes[0] < 0 < conv.quantizer("input").extremes[1]


def test_the_same_run_twice_gives_the_same_weights(plain):
    model = make()
    fit(model)
    assert_equal(model, plain[0])


def test_several_steps_per_execution_give_the_same_weights(plain):
    model = make(steps_per_execution=3)  # does not divide the 4 steps of an epoch
    fit(model)
    assert steps(model) == {16}
    assert_equal(model, plain[0])


def test_running_eagerly_gives_the_same_weights_within_float_noise(plain):
    model = make(run_eagerly=True)
    fit(model)
    assert steps(model) == {16}
    assert_equal(model, plain[0], tolerance=1e-5)


def test_compiling_by_xla_gives_the_same_weights_within_float_noise(plain):
    model = make(jit_compile=True)
    fit(model)
    assert steps(model) == {16}
    assert_equal(model, plain[0], tolerance=1e-5)


def test_mixed_precision_gives_the_same_weights_within_its_noise():
    def gently():
        model = make(run_eagerly=True)
        model.optimizer.learning_rate = 1e-3  # so that no weight changes sides by noise alone
        fit(model, epochs=2)
        return model

    exact = gently()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = gently()
    finally:
        keras.config.set_dtype_policy("float32")
    conv = mixed.get_layer("conv")
    assert (conv.layer.compute_dtype, conv.kernel.dtype) == ("float16", "float32")
    assert {chain.compute_dtype for chain in conv.chains} == {"float32"}
    assert mixed(IMAGES).dtype == "float16"
    assert_equal(mixed, exact, tolerance=5e-3)


class Interrupt(keras.callbacks.Callback):
    """Ends the process, as it were, in the middle of a training."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_and_restored_ends_like_one_that_was_not(plain, tmp_path):
    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)

    first = make()
    with pytest.raises(KeyboardInterrupt):
        fit(first, callbacks=[backup(), Interrupt()])
    assert steps(first) == {8}
    second = make()
    assert len(fit(second, callbacks=[backup()])["loss"]) == 2  # the epochs that were left
    assert_equal(second, plain[0])


def test_a_dataset_and_validation_change_nothing(plain):
    model = make()
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)
    model.fit(dataset, validation_data=dataset, epochs=4, shuffle=False, verbose=0)
    assert steps(model) == {16}
    assert_equal(model, plain[0], tolerance=1e-5)


def test_inference_before_any_training_is_that_of_the_rounded_kernels():
    model = make()
    before = model.get_weights()
    assert np.isfinite(model.predict(IMAGES, verbose=0)).all()
    assert all(map(np.array_equal, model.get_weights(), before))
