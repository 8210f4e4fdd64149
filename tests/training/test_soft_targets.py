"""The loss of distillation: values and gradients by hand, against Keras's, in files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.soft_targets import SoftTargets
from tests.training.small_models import mlp, points, softmax


def test_hvd15_gradient_is_the_one_worked_out_by_hand():
    # T = 2: p_t = softmax([ln 3, 0]) = [3/4, 1/4], p_s = [1/2, 1/2].
    # T^2 KL = 4 (3/4 ln(3/2) + 1/4 ln(1/2)); gradient T (p_s - p_t) = 2 [-1/4, 1/4]
    targets, predictions = tf.constant([[2 * np.log(3.0), 0.0]], tf.float32), tf.zeros((1, 2))
    with tf.GradientTape() as tape:
        tape.watch([targets, predictions])
        value = SoftTargets(temperature=2.0)(targets, predictions)
    for_targets, for_predictions = tape.gradient(value, [targets, predictions])
    assert float(value) == pytest.approx(4 * (0.75 * np.log(1.5) - 0.25 * np.log(2)), rel=1e-5)
    np.testing.assert_allclose(for_predictions, [[-0.5, 0.5]], rtol=1e-5)
    assert for_targets is None


@pytest.mark.parametrize("temperature", [1.0, 3.0, 20.0])
def test_the_loss_is_that_of_keras_where_keras_gets_a_divergence_of_probabilities(temperature):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 6, 5)).astype(np.float32)
    theirs = keras.distillation.LogitsDistillation(temperature, keras.losses.KLDivergence())
    expected = float(theirs.compute_loss(teacher, student))
    assert float(SoftTargets(temperature)(teacher, student)) == pytest.approx(expected, rel=1e-3)
    in_keras = keras.distillation.FeatureDistillation(loss=SoftTargets(temperature))
    assert float(in_keras.compute_loss(teacher, student)) == pytest.approx(expected, rel=1e-3)


def test_it_works_in_the_distiller_of_keras():
    student = mlp(4, None)
    distiller = keras.distillation.Distiller(
        mlp(8, None, seed=1),
        student,
        keras.distillation.FeatureDistillation(loss=SoftTargets(4.0)),
    )
    distiller.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = student.get_weights()[0]
    distiller.fit(*points(), verbose=0)
    assert not np.array_equal(before, student.get_weights()[0])


def test_probabilities_and_logits_say_the_same():
    teacher, student = np.float32([[1.0, -2.0, 0.5]]), np.float32([[0.0, 1.0, -1.0]])
    expected = float(SoftTargets(3.0)(teacher, student))
    for targets, given in [("logits", teacher), ("softmax", softmax(teacher))]:
        for predictions, made in [("logits", student), ("softmax", softmax(student))]:
            loss = SoftTargets(3.0, targets, predictions)
            assert float(loss(given, made)) == pytest.approx(expected, rel=1e-5)


def test_a_student_that_is_sure_and_wrong_gets_its_gradient():
    logits = tf.constant([[40.0, 0.0]])  # the second class has a probability of 4e-18
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = SoftTargets(1.0, predictions="softmax")(
            np.float32([[0.0, 40.0]]), tf.nn.softmax(logits)
        )
    np.testing.assert_allclose(tape.gradient(value, logits), [[1.0, -1.0]], rtol=1e-4)


def test_yes_no_questions_are_two_classes_each():
    teacher, student = np.float32([[1.0, -2.0]]), np.float32([[0.0, 1.0]])

    def as_classes(logits):  # (2, 2): for each unit the logits of no and yes
        return np.stack([np.zeros(2, np.float32), logits[0]], axis=-1)

    expected = float(SoftTargets(2.0)(as_classes(teacher), as_classes(student)))
    kinds = dict(targets="sigmoid_logits", predictions="sigmoid_logits")
    assert float(SoftTargets(2.0, **kinds)(teacher, student)) == pytest.approx(expected, rel=1e-5)
    answers = 1 / (1 + np.exp(-teacher))
    loss = SoftTargets(2.0, "sigmoid", "sigmoid_logits")
    assert float(loss(answers, student)) == pytest.approx(expected, rel=1e-5)
    one = SoftTargets(2.0)(as_classes(teacher)[:1], as_classes(student)[:1])
    alone = SoftTargets(2.0)(teacher[:, :1], student[:, :1])  # one unit is such a question
    assert float(alone) == pytest.approx(float(one), rel=1e-5)


def test_sample_weights_are_those_of_any_loss():
    teacher, student = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    places = SoftTargets(reduction=None)(teacher, student)
    assert places.shape == (3, 4)  # one divergence per place
    weighted = SoftTargets()(teacher, student, np.float32([[1.0], [0.0], [2.0]]))
    by_hand = (places[0] + 2 * places[2]).numpy().sum() / 12
    assert float(weighted) == pytest.approx(by_hand, rel=1e-5)


def test_the_loss_goes_round():
    loss = SoftTargets(3.0, "softmax", "logits", name="soft")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(copy) is SoftTargets and copy.get_config() == loss.get_config()


def test_it_works_alone_in_plain_fit_and_in_a_file(tmp_path):
    x, _ = points()
    student = mlp(4)
    student.compile(keras.optimizers.SGD(0.1), SoftTargets(4.0, predictions="softmax"))
    answers = mlp(8, None, seed=1)(x)
    losses = student.fit(x, answers, epochs=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    assert loaded.loss.temperature == 4.0


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SoftTargets(0.0), "`temperature` must be above 0"),
        (lambda: SoftTargets(targets="odds"), "`targets` must be one of"),
        (lambda: SoftTargets(predictions="odds"), "`predictions` must be one of"),
        (
            lambda: SoftTargets()(np.zeros((4,), np.float32), np.zeros((4, 3), np.float32)),
            r"`y_true` must be a teacher's answers.*\(4,\)",
        ),
        (
            lambda: SoftTargets(1.0, "softmax", "sigmoid")(np.ones((1, 3)), np.ones((1, 3))),
            "must both be classes.*'softmax' and 'sigmoid' of 3 units",
        ),
        (
            lambda: SoftTargets(1.0, "softmax")(np.ones((2, 1)), np.ones((2, 1))),
            "one unit is never 'softmax'.*'softmax' and 'logits' of 1 units",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
