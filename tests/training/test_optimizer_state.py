"""What an optimizer remembers of masked weights."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.optimizer_state import MaskOptimizerState, masked_weights, slots_of
from edgeax.transforms.mask import ChosenMask
from tests.training.small_models import mlp, points

layers = keras.layers


def model_of(optimizer, transforms, kernel=(3.0, 1.0, 2.0, 4.0), **compile):
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(1, use_bias=False)])
    plain.layers[0].kernel.assign(np.reshape(kernel, (4, 1)))
    model = edgeax.compress(plain, transforms)

    def falling(y_true, y_pred):  # its gradient by each weight is x
        return keras.ops.sum(y_pred, axis=-1)

    model.compile(optimizer, falling, **compile)
    return model


def fit(model, callbacks, steps):
    x = np.ones((steps, 4), np.float32)
    model.fit(x, x[:, :1], batch_size=1, verbose=0, callbacks=callbacks)
    return model.layers[0].kernel.numpy().ravel()


def later(sparsity=0.5, step=2):
    """Prunes half of the weights at the third step."""
    return [edgeax.Prune(edgeax.ConstantSparsity(sparsity, step, frequency=100))]


def test_without_it_momentum_moves_a_masked_weight():
    weights = fit(model_of(keras.optimizers.SGD(0.1, momentum=0.9), later()), [], 4)
    # 0.1, 0.19 and then, masked, 0.171 and 0.1539 of the momentum that it had
    assert weights[1] == pytest.approx(1.0 - 0.1 - 0.19 - 0.171 - 0.1539)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.1, momentum=0.5, centered=True),
    "lion": lambda: keras.optimizers.Lion(0.1),
    "average": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)),
}
SLOTS = {"adam": 3, "adamw": 2, "rmsprop": 3, "average": 2, "scaled": 2}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_masked_weights_and_their_slots_are_zero_and_the_others_as_without_it(name):
    model, alone = (model_of(OPTIMIZERS[name](), later()) for _ in range(2))
    weights, expected = fit(model, [MaskOptimizerState()], 5), fit(alone, [], 5)
    stays = model.layers[0].weight_chains[0].chain.transforms[0].mask.numpy().ravel()
    assert stays.tolist() == [True, False, False, True]
    assert weights[stays].tolist() == expected[stays].tolist()
    assert weights[~stays].tolist() == [0.0, 0.0] and expected[~stays].all()
    slots = slots_of(model.optimizer, model.layers[0].kernel)
    before = slots_of(alone.optimizer, alone.layers[0].kernel)
    assert len(slots) == SLOTS.get(name, 1)
    for slot, other in zip(slots, before, strict=True):
        value, kept = slot.numpy().ravel(), other.numpy().ravel()
        assert not value[~stays].any()
        assert value[stays].tolist() == kept[stays].tolist() and kept.any()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"jit_compile": True},
        {"run_eagerly": True},
        {"steps_per_execution": 3},
        {"steps_per_execution": 6},
    ],
)
def test_it_is_exact_between_any_two_steps(settings):
    """A mask that opens again: what it was masked with must be gone by then."""
    model = model_of(keras.optimizers.SGD(0.1, momentum=0.9), [_OpenAgain()], **settings)
    weights = fit(model, [MaskOptimizerState()], 6)
    # masked in steps 1 to 3, open from step 4 on: 0.1, then 0.1 + 0.09
    assert weights[0] == pytest.approx(0.0 - 0.1 - 0.19, abs=1e-6)
    assert weights[1] == pytest.approx(1.0 - 0.1 * (1 + 1.9 + 2.71 + 3.439 + 4.0951 + 4.68559))
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


@keras.saving.register_keras_serializable("test_optimizer_state")
class _OpenAgain(ChosenMask):
    """Masks the first weight in the steps 1 to 3, counted from 0."""

    def due(self, step):
        return step >= 0

    def chosen(self, tensor, step):
        first = np.arange(4).reshape(4, 1) == 0
        masked = first & (step >= 1) & (step <= 3)
        return ~masked


def test_layouts_and_nested_models_are_seen_to():
    inner = keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            layers.Conv2DTranspose(3, 2, name="up"),
            layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise"),
        ]
    )
    given = keras.Input((3, 3, 2))
    plain = keras.Model(given, layers.Dense(2, name="head")(layers.Flatten()(inner(given))))
    model = edgeax.compress(plain, [edgeax.Prune(0.5, structure="filter")])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(8, 3, 3, 2))
    model.fit(x, np.ones((8, 2)), epochs=2, verbose=0, callbacks=[MaskOptimizerState()])
    found = {weight.variable.path.split("/")[-2]: weight for weight in masked_weights(model)}
    assert {*found} == {"up", "depthwise", "head"}
    for variable in (found["up"].variable, *slots_of(model.optimizer, found["up"].variable)):
        filters = variable.numpy().any(axis=(0, 1, 3))  # outputs come before inputs there
        assert filters.sum() == 1  # round(1.5) = 2 of 3 went
    depthwise = found["depthwise"].variable.numpy()
    assert depthwise.any(axis=(0, 1)).sum() == 3  # of six channels


def test_dense_updates_are_left_alone():
    model = model_of("adam", [edgeax.Prune(0.5, updates="dense")])
    assert [*masked_weights(model)] == []
    with pytest.raises(ValueError, match="a mask that freezes.*none"):
        fit(model, [MaskOptimizerState()], 1)


def test_a_mask_that_is_there_before_fit_is_seen_to_at_once():
    model = model_of(keras.optimizers.SGD(0.0), [edgeax.Prune(0.5)])
    assert model.layers[0].kernel.numpy().all()
    assert fit(model, [MaskOptimizerState()], 1).tolist() == [3.0, 0.0, 0.0, 4.0]


def test_it_runs_in_half_precision():
    plain = mlp(dtype=keras.dtype_policies.DTypePolicy("mixed_float16"))
    model = edgeax.compress(plain, [edgeax.Prune(0.5)])
    model.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "sparse_categorical_crossentropy",
    )
    x, y = points()
    model.fit(x, y, verbose=0, callbacks=[MaskOptimizerState()])
    for weight in masked_weights(model):
        assert np.count_nonzero(weight.variable.numpy()) == weight.variable.numpy().size // 2


def test_an_optimizer_that_is_not_built_keeps_nothing():
    model = model_of("adam", [edgeax.Prune(0.5)])
    assert slots_of(keras.optimizers.Adam(), model.layers[0].kernel) == []


def test_the_settings_go_round():
    item = MaskOptimizerState(begin_epoch=3)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()
