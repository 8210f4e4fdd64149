"""What a teacher's soft labels do, and the teacher made of that."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.distillation import Distiller
from edgeax.training.soft_targets import SoftTargets
from edgeax.training.teacher_effects import SyntheticTeacher, confidence_weights, teacher_effects

layers = keras.layers


def test_tsz20_parts_are_those_worked_out_by_hand():
    # Confidences 0.8 and 0.4, mean 0.6: smoothing gives 0.6 and twice 0.2.
    parts = teacher_effects([[0.8, 0.2, 0.0], [0.3, 0.4, 0.3]], [0, 1])
    close = pytest.approx
    assert parts.smoothing == close(np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]]))
    assert parts.reweighting == close(np.array([[0.2, -0.1, -0.1], [0.1, -0.2, 0.1]]))
    assert parts.relationship == close(np.array([[0.0, 0.1, -0.1], [0.0, 0.0, 0.0]]))


def test_the_parts_of_the_gradient_add_up_and_vanish_where_they_should():
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.ones(5), 40)
    labels = rng.integers(0, 5, 40)
    parts = teacher_effects(soft, labels)
    np.testing.assert_allclose(sum(parts), soft, atol=1e-12)
    logits = tf.constant(rng.normal(size=(40, 5)))
    with tf.GradientTape() as tape:  # an outside oracle: the cross entropy with the soft labels
        tape.watch(logits)
        loss = -tf.reduce_sum(tf.constant(soft) * tf.nn.log_softmax(logits))
    student = tf.nn.softmax(logits).numpy()
    split = (student - parts.smoothing) - parts.reweighting - parts.relationship
    np.testing.assert_allclose(tape.gradient(loss, logits).numpy(), split, atol=1e-12)

    smoothed = 0.7 * np.eye(5)[labels] + 0.06  # label smoothing alone
    parts = teacher_effects(smoothed, labels)
    np.testing.assert_allclose(parts.reweighting, 0.0, atol=1e-12)
    np.testing.assert_allclose(parts.relationship, 0.0, atol=1e-12)


def test_tsz20_the_ratio_is_that_of_the_two_gradients():
    rng = np.random.default_rng(1)
    teacher, student = rng.normal(size=(2, 30, 4)).astype(np.float32) * 3
    labels = rng.integers(0, 4, 30)
    weight, temperature = 0.6, 2.5
    z = tf.constant(student)
    rows = np.stack([np.arange(30), labels], axis=1)

    def gradient_of_the_correct_logit(loss):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss()
        return tf.gather_nd(tape.gradient(value, z), rows).numpy()

    def plain():
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, z))

    def distilled():
        soft = SoftTargets(temperature, reduction="sum")(teacher, z)
        return (1 - weight) * plain() + weight * soft

    ratio = gradient_of_the_correct_logit(distilled) / gradient_of_the_correct_logit(plain)
    weights = confidence_weights(teacher, student, labels, weight, temperature)
    np.testing.assert_allclose(weights, ratio, rtol=2e-3, atol=1e-3)


def test_the_weight_is_the_teachers_confidence_where_the_student_knows_nothing():
    # The student gives 1/4 to each of 4 classes; (p_t - 1/4) / (3/4).
    teacher = np.log([[0.7, 0.1, 0.1, 0.1], [0.4, 0.2, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]])
    weights = confidence_weights(teacher, np.zeros((3, 4)), np.zeros(3, int), weight=1.0)
    np.testing.assert_allclose(weights, [0.6, 0.2, 0.0], atol=1e-12)
    half = confidence_weights(teacher, np.zeros((3, 4)), np.zeros(3, int), weight=0.5)
    np.testing.assert_allclose(half, [0.8, 0.6, 0.5], atol=1e-12)


def test_tsz20_soft_labels_are_worked_out_by_hand():
    # exp(ln 3) : exp(0) = 3 : 1 of what the confidence of 0.8 leaves
    similar = [[9.0, np.log(3), 0.0], [0.0, 9.0, 0.0], [0.0, np.log(3), 9.0]]
    teacher = SyntheticTeacher(similar, confidence=0.8, temperature=1.0)
    expected = np.float32([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
    np.testing.assert_allclose(teacher(np.array([0, 1, 2])), expected, rtol=1e-6)
    np.testing.assert_allclose(teacher(np.array([[2], [0]])), expected[[2, 0]], rtol=1e-6)
    np.testing.assert_allclose(teacher(np.eye(3, dtype=np.float32)), expected, rtol=1e-6)
    sharper = SyntheticTeacher(similar, confidence=0.8, temperature=0.5)  # 9 : 1
    np.testing.assert_allclose(sharper(np.array([0])), [[0.8, 0.18, 0.02]], rtol=1e-6)


def test_similarities_come_from_the_class_weights():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2), layers.Dense(3, name="head")])
    # class 1 is class 0 twice as long, class 2 at a right angle to both
    model.get_layer("head").kernel.assign([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    teacher = SyntheticTeacher.from_model(model, confidence=0.5, temperature=1.0)
    most = 0.5 * np.e / (np.e + 1)  # of cosines 1 and 0
    expected = [[0.5, most, 0.5 - most], [most, 0.5, 0.5 - most], [0.25, 0.25, 0.5]]
    np.testing.assert_allclose(teacher(np.arange(3)), expected, rtol=1e-5)


def small(classes=3):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(classes, activation="softmax")])


def test_it_teaches_in_plain_fit_and_in_the_distiller():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4)).astype(np.float32)
    labels = x[:, :3].argmax(axis=1)
    teacher = SyntheticTeacher(np.zeros((3, 3)), confidence=0.9)
    plain, distilled = small(), small()
    plain.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy")
    plain.fit(x, teacher(labels), epochs=3, shuffle=False, verbose=0)
    distiller = Distiller(distilled, teacher, temperature=1.0, weight=1.0)
    distiller.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    history = distiller.fit(x, labels, epochs=3, shuffle=False, verbose=0).history
    # the same gradients: a divergence is a cross entropy less a constant
    np.testing.assert_allclose(plain.get_weights()[0], distilled.get_weights()[0], atol=1e-4)
    assert history["accuracy"][-1] > 0.7


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: teacher_effects([[0.5, 0.4]], [0]), "`probabilities` must.*sum to 1"),
        (lambda: teacher_effects([[1.5, -0.5]], [0]), r"`probabilities` must lie in \[0, 1\]"),
        (lambda: teacher_effects([[0.5, 0.5]], [2]), r"`labels` must be one integer in \[0, 2\)"),
        (lambda: teacher_effects([[0.5, 0.5]], [0, 1]), "`labels` must.*of which there are 1"),
        (lambda: confidence_weights([[0, 1]], [[0, 1, 2]], [0]), r"same shape.*\(1, 2\)"),
        (lambda: confidence_weights([[0, 1]], [[0, 1]], [0], weight=1.5), "`weight` must lie"),
        (lambda: SyntheticTeacher(np.zeros((2, 3))), r"`similarities` must.*\(2, 3\)"),
        (lambda: SyntheticTeacher(np.zeros((2, 2)), confidence=1.1), "`confidence` must lie"),
        (lambda: SyntheticTeacher(np.zeros((2, 2)), temperature=0.0), "`temperature` must be"),
        (lambda: SyntheticTeacher(np.zeros((2, 2)))(np.zeros((4, 3), np.float32)), "one-hot"),
        (
            lambda: SyntheticTeacher.from_model(
                keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Reshape((2, 1))])
            ),
            "`model` must have one output.*outputs of \\[1\\] classes",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
