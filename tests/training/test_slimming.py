"""Network slimming: the gains of batch normalization drawn to zero."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.slimming import SlimmingL1, normalization_gains

layers = keras.layers


def block(name="backbone"):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(4, 3, use_bias=False, name="conv1"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(),
            layers.Conv2D(2, 1, use_bias=False, name="conv2"),
            layers.BatchNormalization(name="bn2"),
            layers.BatchNormalization(scale=False, name="unscaled"),
        ],
        name=name,
    )


def nested():
    given = keras.Input((4, 4, 1))
    return keras.Model(given, layers.GlobalAveragePooling2D()(block()(given)))


def compiled(model, rate=0.5, **compile):
    zero = lambda y, x: 0.0 * keras.ops.sum(x, axis=-1)  # noqa: E731
    model.compile(keras.optimizers.SGD(rate), zero, **compile)
    for path, gain in normalization_gains(model):
        gain.assign([2.0, -1.0, 0.0, 0.5] if path.endswith("bn1") else [1.0, 3.0])
    return model


def fit(model, callbacks):
    x = np.random.default_rng(0).normal(size=(4, 4, 4, 1))
    return model.fit(x, np.ones((4, 2)), verbose=0, callbacks=callbacks).history["loss"]


def gains(model):
    return {path: gain.numpy().tolist() for path, gain in normalization_gains(model)}


@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_lls17_moves_gamma_by_its_sign(settings):
    model = compiled(nested(), **settings)
    assert fit(model, [SlimmingL1(0.5)]) == [0.5 * (3.5 + 4.0)]
    assert gains(model) == {
        "backbone/bn1": [1.75, -0.75, 0.0, 0.25],
        "backbone/bn2": [0.75, 2.75],
    }
    fit(model, [])
    assert gains(model)["backbone/bn2"] == [0.75, 2.75]


def test_lls17_strength_is_that_of_the_paper():
    assert SlimmingL1().strength == 1e-4


def test_layers_are_picked_by_their_paths():
    model = compiled(nested())
    assert fit(model, [SlimmingL1(0.5, layers="bn2$")]) == [0.5 * 4.0]
    assert fit(compiled(nested()), [SlimmingL1(0.5, layers=["1", "2"])]) == [0.5 * 7.5]


def test_lls17_gains_that_the_loss_needs_stay():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.BatchNormalization(center=False, name="bn"),
            layers.Dense(1, use_bias=False, name="head"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(x, x[:, :1], epochs=40, verbose=0, callbacks=[SlimmingL1(0.1)])
    gain = np.abs(model.get_layer("bn").gamma.numpy())
    assert gain[0] > 0.5 and gain[1:].max() < 0.02


def test_it_runs_with_prune_in_a_compressed_model():
    model = compiled(edgeax.compress(nested(), [edgeax.Prune(0.5)]), steps_per_execution=2)
    fit(model, [SlimmingL1(0.5)])
    assert gains(model)["backbone/bn2"] == [0.75, 2.75]
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


def test_a_model_without_such_a_gain_is_refused():
    model = compiled(nested())
    with pytest.raises(ValueError, match="`layers` of SlimmingL1.*'bn3'.*backbone/bn1"):
        fit(model, [SlimmingL1(layers="bn3")])
    model.get_layer("backbone").get_layer("bn1").trainable = False
    assert [path for path, _ in normalization_gains(model)] == ["backbone/bn2"]


def test_the_settings_go_round():
    item = SlimmingL1(0.1, ["bn"], 2)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SlimmingL1(float("inf")), "`strength` must be.*finite"),
        (lambda: SlimmingL1(layers=[]), "`layers` must be None"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
