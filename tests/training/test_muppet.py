"""MuPPET: when word lengths are switched, and that a training broken off goes on as it would."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.callbacks import MuPPET
from edgeax.model.arithmetics import muppet
from edgeax.training.muppet import gradient_diversity
from edgeax.transforms import KeptGradient, SwitchedGradient, SwitchedWidth
from tests.training import replicas
from tests.training.small_models import mlp, points

layers = keras.layers


def parts(model, *kinds):
    """Returns the transforms of some kinds."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]


def two_kernels(arithmetic="muppet"):
    """A model with kernels of 2 and of 3 weights."""
    named = [layers.Dense(1, use_bias=False, name="a"), layers.Dense(3, use_bias=False, name="b")]
    model = keras.Sequential([keras.Input((2,)), *named])
    model = edgeax.compress(model, edgeax.Recipe(arithmetic=arithmetic))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def gradients(epoch):
    """Gradients of 2 and of 3 numbers that agree more in some epochs than in others."""
    generator = np.random.default_rng(epoch)
    common = 0.4 * (1 + np.sin(epoch / 4))
    return [generator.normal(size=size) + common for size in (2, 3)]


# The authors' policy.py (ICIdsl/muppet), run on `gradients` with numpy in place of torch: the width
# after each third epoch, the violations so far, and the diversity that it computed.
TRACE = [
    *((8, 0, 0.5433), (8, 0, 0.8188), (8, 0, 1.6147), (8, 1, 0.7635), (12, 0, 1.1323)),
    *((12, 0, 7.2236), (12, 1, 1.0900), (14, 0, 4.3584), (14, 0, 3.3458), (14, 1, 0.5180)),
    *((16, 0, 0.5152), (16, 0, 0.9510), (16, 1, 0.5945), (32, 0, 0.8174), (32, 0, 0.8174)),
]


def test_rvvb20_the_policy_trace_is_that_of_the_authors_code():
    model, policy = two_kernels(), MuPPET()
    policy.set_model(model)
    found = []
    for epoch in range(3 * len(TRACE)):
        policy.on_epoch_begin(epoch)
        for kept, gradient in zip(parts(model, KeptGradient), gradients(epoch), strict=True):
            kept.last.assign(np.float32(gradient).reshape(kept.last.shape))
        before, logs = policy.word_length, {}
        policy.on_epoch_end(epoch, logs)
        assert logs["word_length"] == before  # that of the epoch that ends
        if (epoch + 1) % 3 == 0:
            violations = int(policy._violations.numpy())
            found.append((policy.word_length, violations, logs["gradient_diversity"]))
    assert [entry[:2] for entry in found] == [entry[:2] for entry in TRACE]
    np.testing.assert_allclose([e[2] for e in found], [e[2] for e in TRACE], atol=1e-4)
    switched = parts(model, SwitchedWidth, SwitchedGradient)
    assert len(switched) == 6 and {int(one.place.numpy()) for one in switched} == {4}


@pytest.mark.parametrize("cosine, violations", [(0.95, 1), (0.87, 0)])
def test_rvvb20_the_threshold_is_that_of_the_epoch(cosine, violations):
    # 1 + 1.5 * exp(-0.1 * epoch) is 2.006 at epoch 4, 1.910 at 5 and 1.823 at 6. Two gradients of
    # length 1 have a diversity of 1 / (1 + cosine), orthogonal ones 1.
    policy = MuPPET()
    policy.set_model(two_kernels())
    kept = policy._kept[1].last
    second = [cosine, (1 - cosine**2) ** 0.5, 0.0]
    for epoch, gradient in enumerate([*np.eye(3), [1.0, 0.0, 0.0], second, [0.0] * 3]):
        kept.assign(np.float32([gradient]))
        policy.on_epoch_end(epoch, {})
    assert int(policy._violations.numpy()) == violations


def test_rvvb20_diversity_of_orthogonal_and_of_equal_gradients():
    assert gradient_diversity([2.0], [np.array([1.0, 1.0])]) == 1.0
    assert gradient_diversity([3.0], [np.array([3.0, 0.0])]) == pytest.approx(1 / 3)
    both = gradient_diversity([2.0, 3.0, 0.0], [np.ones(2), np.array([3.0]), np.zeros(4)])
    assert both == pytest.approx((1 + 1 / 3) / 2)
    assert gradient_diversity([0.0], [np.zeros(2)]) == 0.0


def eager_muppet():
    """Switches wherever diversity falls."""
    return MuPPET(every=2, patience=1, excess=0.0)


def train(*callbacks):
    x, y = points(64)
    model = edgeax.compress(mlp(), edgeax.Recipe(arithmetic="muppet"))
    optimizer = keras.optimizers.SGD(0.1, 0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", steps_per_execution=4)
    history = None
    try:
        history = model.fit(x, y, 8, 10, shuffle=False, verbose=0, callbacks=[*callbacks]).history
    except KeyboardInterrupt:
        pass
    return model, history


def test_the_gradient_is_that_of_the_last_batch():
    x, y = points(16)
    found = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        model = two_kernels(muppet((16,)))  # roundings far smaller than gradients
        model.compile(keras.optimizers.SGD(0.0), "mse", steps_per_execution=steps)
        model.fit(x[:, :2], x[:, :3], 8, verbose=0, shuffle=False, callbacks=[MuPPET()])
        found.append([kept.last.numpy() for kept in parts(model, KeptGradient)])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    first, second = (layer.layer.kernel.numpy() for layer in model.layers[-2:])
    given, wanted = x[8:, :2], x[8:, :3]
    error = 2 * (given @ first @ second - wanted) / wanted.size
    np.testing.assert_allclose(found[0][1], (given @ first).T @ error, atol=1e-3)
    np.testing.assert_allclose(found[0][0], given.T @ error @ second.T, atol=1e-3)


def test_a_broken_off_training_goes_on_as_if_it_had_not_been(tmp_path):
    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:  # the policy looks at its end
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    whole, history = train(eager_muppet())
    assert history["word_length"][0] == 8 < history["word_length"][-1]
    # Each back-up is written before the policy sees the end of its epoch.
    train(backup(), eager_muppet(), Break())
    resumed, rest = train(backup(), eager_muppet())
    assert rest["word_length"] == history["word_length"][4:]
    assert rest["gradient_diversity"] == history["gradient_diversity"][3:]  # from epoch 1 on
    for one, same in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_rates_in_float32_fall_and_then_the_training_stops():
    model, policy = two_kernels(), MuPPET(float_epochs=2, factor=0.1, min_learning_rate=0.001)
    policy.set_model(model)
    policy.on_train_begin()
    for one in policy._switched:
        one.place.assign(4)
    rates, model.stop_training = [], False
    for epoch in range(6):
        assert not model.stop_training
        policy.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate))
        policy.on_epoch_end(epoch, {})
    assert model.stop_training  # two epochs each at 0.1, 0.01 and 0.001
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_the_width_stays_with_the_model(tmp_path):
    model = two_kernels()
    for one in parts(model, SwitchedWidth, SwitchedGradient):
        one.place.assign(2)
    model.save(tmp_path / "model.keras")
    again, policy = keras.saving.load_model(tmp_path / "model.keras"), MuPPET()
    again.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0, callbacks=[policy])
    assert policy.word_length == 14 and "_state_of_MuPPET" not in vars(again)
    kernel = edgeax.strip(again).layers[-1].kernel.numpy()
    step = 2.0 ** edgeax.formats.MuppetFloat(14).fit(kernel)["exponent"]
    np.testing.assert_array_equal(kernel / step, np.round(kernel / step))


def test_two_replicas_see_the_gradient_of_the_whole_batch():
    replicas.run("muppet")


def test_it_serializes():
    made = MuPPET(5, 3, 0.5, 0.2, 7, 0.5, 1e-3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == made.get_config()


def test_a_model_without_word_lengths_is_refused():
    def fit(model, *callbacks):
        model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0, callbacks=[*callbacks])

    with pytest.raises(ValueError, match="`model` must have the arithmetic 'muppet'"):
        fit(two_kernels("swalp"), MuPPET())
    narrow = muppet((8, 12))
    rules = [edgeax.Rule("@last", arithmetic=narrow)]
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2), layers.Dense(3)])
    model = edgeax.compress(model, edgeax.Recipe(rules, arithmetic="muppet"))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"the same widths.*\(8, 12\), \(8, 12, 14, 16\)"):
        fit(model, MuPPET())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"every": 0}, "every=0"),
        ({"patience": 0}, "patience=0"),
        ({"excess": -1.0}, "excess=-1.0"),
        ({"factor": 1.0}, "factor=1.0"),
        ({"min_learning_rate": 0.0}, "min_learning_rate"),
    ],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        MuPPET(**settings)
