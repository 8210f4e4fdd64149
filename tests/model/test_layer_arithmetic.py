import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats import FixedPoint
from edgeax.formats.names import format_of
from edgeax.model.layer_arithmetic import activation_to_take
from edgeax.training import Arithmetic
from edgeax.transforms import WAGEError
from tests import source_tree

PROGRAM = Path(__file__).parent / "strategies" / "arithmetic.py"
REPLICATED = ("fixed16", "enhanced_fp8", "flexpoint")

layers = keras.layers


def compiled(arithmetic, optimizer=None, **kwargs):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, "tanh", name="hidden"),
            layers.Dense(2, "softmax", name="head"),
        ]
    )
    model = edgeax.compress(model, edgeax.Recipe(arithmetic=arithmetic))
    model.compile(optimizer or keras.optimizers.SGD(0.5, momentum=0.9), "mse", **kwargs)
    return model


def data(count=32):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, 6)).astype(np.float32)
    return x, np.eye(2, dtype=np.float32)[(x[:, 0] > 0).astype(int)]


def test_operands_errors_and_gradients_are_on_their_formats():
    made = Arithmetic("fp8_e5m2", "bfp4", FixedPoint(2, 6))
    layer = edgeax.Compressed(layers.Dense(3, "tanh"), arithmetic=made)
    x = tf.constant(data(4)[0])
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    upstream = tf.constant(np.random.default_rng(1).normal(size=(4, 3)), tf.float32)
    gradients = tape.gradient(y, [x, layer.layer.kernel.value], upstream)
    kernel = format_of("fp8_e5m2", -1)
    w = layer.layer.kernel.numpy()
    w = kernel.decode(kernel.encode(w, kernel.fit(w)), kernel.fit(w))
    value = format_of("fp8_e5m2")
    v = value.decode(value.encode(x.numpy(), value.fit(x.numpy())), value.fit(x.numpy()))
    np.testing.assert_allclose(y, np.tanh(v @ w), rtol=1e-5)
    # The error stands before the activation, which the wrapper has taken over.
    error = upstream.numpy() * (1 - y.numpy() ** 2)
    blocks = format_of("bfp4")
    error = blocks.decode(blocks.encode(error, blocks.fit(error)), blocks.fit(error))
    np.testing.assert_allclose(gradients[0], error @ w.T, rtol=1e-5, atol=1e-6)
    expected = np.clip(np.round(v.T @ error * 64) / 64, -2, 2 - 1 / 64)
    np.testing.assert_allclose(gradients[1], expected, atol=1e-6)


def test_weights_stay_on_the_format_of_updates():
    model = compiled(Arithmetic(update=FixedPoint(2, 6), rounding="stochastic"))
    model.fit(*data(), epochs=2, verbose=0)
    for variable in model.trainable_variables:
        assert np.array_equal(np.round(variable.numpy() * 64), variable.numpy() * 64)
        assert np.any(variable.numpy())


def test_a_constraint_of_the_layer_acts_first():
    keras.utils.set_random_seed(0)
    dense = layers.Dense(2, kernel_constraint=keras.constraints.NonNeg())
    model = keras.Sequential([keras.Input((6,)), dense])
    model = edgeax.compress(model, Arithmetic(update="bfloat16"))
    model.compile("sgd", "mse")
    model.fit(*data(), verbose=0)
    kernel = model.layers[0].layer.kernel.numpy()
    assert kernel.min() >= 0.0 and np.array_equal(kernel.view(np.uint32) & 0xFFFF, 0 * kernel)


def test_a_weight_that_is_not_finite_raises_with_the_name_of_its_layer():
    x, y = data()
    x[3, 2] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match="`kernel` of layer 'hidden' must"):
        compiled("bfloat16").fit(x, y, verbose=0)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(
    "arithmetic",
    [Arithmetic("fp16", "fp16", "fp16", loss_scale=128.0), "hbfp", "pfq"],
    ids=["static scale", "hbfp", "pfq"],
)
def test_so_does_a_step_in_any_arithmetic_that_leaves_none_out(arithmetic, steps):
    x, y = data()
    x[30, 2] = np.nan  # in the last of four batches
    scale = getattr(arithmetic, "loss_scale", None)
    optimizer = edgeax.optimizers.loss_scaled(keras.optimizers.SGD(0.5), scale)
    model = compiled(arithmetic, optimizer, steps_per_execution=steps)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="of layer '(hidden|head)' must stay f"
    ):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)


def test_gradients_that_overflow_under_a_static_scale_raise_too():
    x, y = data()
    optimizer = edgeax.optimizers.loss_scaled(keras.optimizers.SGD(0.5), 65000.0)
    model = compiled(Arithmetic("fp16", "fp16", "fp16", loss_scale=65000.0), optimizer)
    with pytest.raises(tf.errors.InvalidArgumentError, match="leave out such steps by loss_scale"):
        model.fit(100 * x, 1000 * y, batch_size=8, verbose=0)


@pytest.mark.parametrize("steps", [1, 4])
def test_such_a_step_is_left_out_under_dynamic_scaling(steps):
    x, y = data()
    x[3, 2] = np.nan  # in the first of four batches
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5, momentum=0.9), 256.0)
    model = compiled("fp16", optimizer, steps_per_execution=steps)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)
    assert model.optimizer.iterations.numpy() == 3
    assert model.optimizer.dynamic_scale.numpy() == 128.0


@pytest.mark.parametrize("name, jit", [("fp16", True), ("fixed16", False)])
def test_a_saved_model_goes_on_as_it_would_have(name, jit, tmp_path):
    def trained(epochs, save):
        keras.utils.set_random_seed(0)
        model = compiled(name, jit_compile=jit)
        model.fit(*data(), epochs=1, shuffle=False, verbose=0)
        if save:
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras")
        model.fit(*data(), epochs=epochs - 1, shuffle=False, verbose=0)
        return model.get_weights()

    for one, other in zip(trained(2, False), trained(2, True), strict=True):
        np.testing.assert_array_equal(one, other)


def test_replicas_round_alike():
    environment = {**os.environ, "PYTHONPATH": str(source_tree.REPOSITORY)}
    made = subprocess.run(
        [sys.executable, str(PROGRAM), *REPLICATED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    for name, line in zip(REPLICATED, made.stdout.splitlines(), strict=True):
        differing, before, after = map(float, line.split())
        assert differing == 0 and after < before, name


def test_activations_are_taken_over_where_something_happens_before_them():
    relu, fp16 = layers.Dense(2, "relu"), Arithmetic("fp16")
    assert activation_to_take(relu, fp16) is None
    assert activation_to_take(relu, Arithmetic(backward=WAGEError(8))) is keras.activations.relu
    assert activation_to_take(layers.Dense(2), Arithmetic(backward="fp16")) is None
    assert activation_to_take(layers.LSTM(2), Arithmetic(backward="fp16")) is None


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.LSTM(3, return_state=True), (2, 4, 6)),
        (layers.SeparableConv2D(3, 2), (2, 5, 5, 2)),
        (layers.DepthwiseConv2D(3), (2, 5, 5, 2)),
        (layers.Conv2DTranspose(3, 3), (2, 5, 5, 2)),
        (layers.EinsumDense("abc,cd->abd", (None, 4)), (2, 3, 5)),
        (layers.Bidirectional(layers.GRU(3)), (2, 4, 6)),
        (layers.Embedding(7, 4), (2, 3)),
    ],
)
def test_any_layer_that_can_be_wrapped_trains(layer, shape):
    wrapped = edgeax.Compressed(layer, arithmetic=Arithmetic("hbfp8", "hbfp8", "bfloat16"))
    x = np.random.default_rng(0).integers(0, 7, shape)
    with tf.GradientTape() as tape:
        outputs = wrapped(tf.constant(x, "int32" if len(shape) == 2 else "float32"), training=True)
        loss = sum(tf.reduce_sum(part**2) for part in keras.tree.flatten(outputs))
    variables = [variable.value for variable in wrapped.trainable_variables]
    for gradient in tape.gradient(loss, variables):
        assert np.all(np.isfinite(tf.convert_to_tensor(gradient).numpy()))
