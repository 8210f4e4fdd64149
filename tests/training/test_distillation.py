"""The Distiller: losses by hand, students and teachers of all kinds, quantized students."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.distillation import Distiller
from edgeax.training.soft_targets import SoftTargets
from edgeax.training.teacher_logits import with_teacher_logits
from tests.training.small_models import Counting, mlp, points, softmax

layers = keras.layers

SPARSE = "sparse_categorical_crossentropy"


@keras.saving.register_keras_serializable("test_distillation")
class Subclassed(keras.Model):
    def __init__(self, units=8, classes=3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.classes = units, classes
        self.hidden = layers.Dense(units, activation="relu")
        self.head = layers.Dense(classes)

    def call(self, x):
        return self.head(self.hidden(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "classes": self.classes}


def by_hand(logits, probabilities, labels, temperature):
    """Returns the losses of each sample by its label and by the teacher's logits."""
    p_t = softmax(np.asarray(logits) / temperature)
    p_s = softmax(np.log(probabilities) / temperature)
    soft = temperature**2 * (p_t * np.log(p_t / p_s)).sum(axis=1)
    return -np.log(np.asarray(probabilities)[np.arange(len(labels)), labels]), soft


def test_hvd15_the_loss_is_the_weighted_sum():
    x, y = points()
    teacher, student = mlp(8, None, seed=1), mlp(4)
    probabilities = np.asarray(student(x))
    hard, soft = (losses.mean() for losses in by_hand(teacher(x), probabilities, y, 4.0))
    distiller = Distiller(student, teacher, temperature=4.0, weight=0.7)
    distiller.compile("sgd", SPARSE, metrics=["accuracy"])
    found = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(0.3 * hard + 0.7 * soft, rel=1e-4)
    assert found["distillation_loss"] == pytest.approx(soft, rel=1e-4)
    assert found["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == y).mean())


@pytest.mark.parametrize("data", ["arrays", "tf.data", "classes"])
def test_sample_weights_and_regularizers_count(data):
    x, y = points(32)
    weights = np.float32([1.0] * 16 + [0.0] * 16)
    teacher = mlp(8, None, seed=1)
    student = mlp(4, kernel_regularizer=keras.regularizers.L2(0.1))
    hard, soft = by_hand(teacher(x), student(x), y, 2.0)
    regularization = 0.1 * float(np.square(student.get_weights()[0]).sum())
    distiller = Distiller(student, teacher)
    distiller.compile("sgd", SPARSE)
    if data == "arrays":
        found = distiller.evaluate(x, y, sample_weight=weights, verbose=0)[0]
    elif data == "tf.data":
        batches = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(32)
        found = distiller.evaluate(batches, verbose=0)[0]
    else:  # the loss of one batch, before its step
        weights = np.where(y == 0, 3.0, 1.0)
        found = distiller.fit(x, y, class_weight={0: 3.0}, verbose=0).history["loss"][0]
    expected = (weights * (0.3 * hard + 0.7 * soft)).mean() + regularization
    assert found == pytest.approx(expected, rel=1e-4)


def knowing():
    """Returns a teacher that knows the classes of `points`."""
    teacher = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    teacher.layers[0].kernel.assign(5.0 * np.eye(4, 3))
    return teacher


def test_the_student_learns_is_saved_by_itself_and_the_teacher_stays(tmp_path):
    x, y = points(256)
    teacher, student = knowing(), mlp(8)
    weights = [w.copy() for w in teacher.get_weights()]
    distiller = Distiller(student, teacher)
    distiller.compile(keras.optimizers.Adam(0.05), SPARSE, metrics=["accuracy"])
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss")
    history = distiller.fit(
        x, y, epochs=4, validation_data=points(64, seed=5), callbacks=[best], verbose=0
    ).history
    assert history["val_accuracy"][-1] > max(0.8, history["val_accuracy"][0])
    assert all(map(np.array_equal, weights, teacher.get_weights())) and teacher.trainable
    assert len(distiller.weights) == len(student.weights) and teacher not in distiller.layers
    distiller.save(tmp_path / "student.keras")
    for name in ("student.keras", "best.keras"):
        loaded = keras.models.load_model(tmp_path / name)
        np.testing.assert_allclose(loaded(x), student(x), rtol=1e-5, atol=1e-6)
        assert type(loaded) is keras.Sequential and loaded.count_params() == student.count_params()


def test_the_teacher_runs_in_inference_mode():
    counter = Counting()
    teacher = keras.Sequential([keras.Input((4,)), counter, layers.Dropout(0.5), layers.Dense(3)])
    distiller = Distiller(mlp(4), teacher)
    distiller.compile("sgd", SPARSE)
    distiller.fit(*points(), verbose=0)
    assert float(counter.count) == 2.0 and float(counter.trained) == 0.0


def test_the_teacher_alone_needs_neither_labels_nor_a_loss():
    x, _ = points()
    student = mlp(4, kernel_regularizer=keras.regularizers.L2(0.1))
    distiller = Distiller(student, mlp(8, None, seed=1), weight=1.0)
    distiller.compile("sgd")
    history = distiller.fit(x, verbose=0).history
    assert history["loss"][0] > history["distillation_loss"][0]  # by the regularizer


def test_an_adapter_makes_the_teachers_inputs():
    images = np.random.default_rng(0).normal(size=(16, 4, 4, 1)).astype(np.float32)
    keras.utils.set_random_seed(0)
    teacher = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)])
    student = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"`teacher` must take the inputs.*8, 8, 1.*4, 4, 1"):
        Distiller(student, teacher)
    resize = layers.Resizing(8, 8)
    distiller = Distiller(student, teacher, weight=1.0, adapt_inputs=resize)
    distiller.compile("sgd")
    expected = SoftTargets(2.0)(teacher(resize(images)), student(images))
    assert distiller.evaluate(images, verbose=0)[0] == pytest.approx(float(expected), rel=1e-4)


def two_outputs(form, units, prefix=""):
    keras.utils.set_random_seed(units)
    given = keras.Input((4,))
    hidden = layers.Dense(units, activation="relu")(given)
    kind = layers.Dense(3, activation="softmax", name=f"{prefix}kind")(hidden)
    place = layers.Dense(2, name=f"{prefix}place")(hidden)
    outputs = {"place": place, "kind": kind} if form == "dict" else [kind, place]
    return keras.Model(given, outputs)


@pytest.mark.parametrize("form", ["dict", "list"])
@pytest.mark.parametrize("cached", [False, True], ids=["live", "cached"])
def test_each_output_has_its_share(form, cached):
    x, y = points()
    place = x[:, :2]
    teacher, student = two_outputs(form, 16, "teachers_"), two_outputs(form, 4)
    prefix = "" if form == "dict" else "teachers_"  # a dict has names of its own
    gives = {f"{prefix}kind": "softmax", f"{prefix}place": "logits"}
    order = ("kind", "place") if form == "dict" else (0, 1)
    answers, made = (keras.tree.map_structure(np.asarray, model(x)) for model in (teacher, student))
    hard, soft = by_hand(np.log(answers[order[0]]), made[order[0]], y, 2.0)
    squares = np.square(made[order[1]] - place).mean()
    shares = {"kind": 0.7, "place": 0.0}
    if cached:
        data = with_teacher_logits(teacher, x, teacher_gives=gives)
        distiller = Distiller(student, weight=shares)
    else:
        data = x
        distiller = Distiller(student, teacher, weight=shares, teacher_gives=gives)
    losses = {"kind": SPARSE, "place": "mse"}
    distiller.compile("sgd", losses, loss_weights={"kind": 1.0, "place": 0.5})
    labels = {"kind": y, "place": place} if form == "dict" else [y, place]
    found = distiller.fit(data, labels, batch_size=64, verbose=0).history["loss"][0]
    expected = 0.3 * hard.mean() + 0.7 * soft.mean() + 0.5 * squares
    assert found == pytest.approx(expected, rel=1e-3)  # of the one batch, before its step


def test_subclassed_models_say_what_they_give(tmp_path):
    x, y = points()
    keras.utils.set_random_seed(0)
    teacher, student = Subclassed(16), Subclassed(4)
    with pytest.raises(ValueError, match="`student_gives` must be one of"):
        Distiller(student, teacher)
    with pytest.raises(ValueError, match="`teacher_gives` must be one of"):
        Distiller(student, teacher, student_gives="logits")
    distiller = Distiller(student, teacher, student_gives="logits", teacher_gives="logits")
    distiller.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    distiller.fit(x, y, verbose=0)
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    np.testing.assert_allclose(loaded(x), student(x), rtol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_cached_logits_are_of_the_question_that_the_student_answers(activation):
    x, _ = points()
    student = mlp(4, activation)
    logits = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    distiller = Distiller(student, weight=1.0)
    distiller.compile("sgd")
    found = distiller.evaluate({"inputs": x, "teacher_logits": logits}, verbose=0)[0]
    targets = "sigmoid_logits" if activation == "sigmoid" else "logits"
    expected = SoftTargets(2.0, targets, activation or "logits")(logits, student(x))
    assert found == pytest.approx(float(expected), rel=1e-4)


# Quantized distillation


def distilled(student, x, y):
    """Distills with the settings of the paper; returns the metrics before and after."""
    distiller = Distiller(student, knowing())
    assert distiller.temperature == 2.0
    distiller.compile(keras.optimizers.Adam(0.02), SPARSE, metrics=["accuracy"])
    before = distiller.evaluate(x, y, verbose=0, return_dict=True)
    distiller.fit(x, y, epochs=6, verbose=0)
    return before, distiller.evaluate(x, y, verbose=0, return_dict=True)


@pytest.mark.parametrize("kernel, levels", [("int2", 4), ("ternary", 3)])
def test_ppa18_distillation_trains_a_two_bit_student(kernel, levels, tmp_path):
    x, y = points(512)
    plain = mlp(32)
    student = edgeax.compress(plain, [kernel])
    before, after = distilled(student, x, y)
    assert after["accuracy"] > 0.85 > before["accuracy"]
    assert after["distillation_loss"] < 0.5 * before["distillation_loss"]
    hidden = student.get_layer("hidden").layer
    assert not np.allclose(hidden.kernel, plain.get_layer("hidden").kernel)  # the float weights
    rounded = np.asarray(edgeax.strip(student).get_layer("hidden").kernel)
    assert max(len(np.unique(column)) for column in rounded.T) <= levels
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    np.testing.assert_allclose(loaded(x), student(x), rtol=1e-5, atol=1e-6)


def test_ppa18_distillation_trains_the_points_and_not_the_weights():
    x, y = points(512)
    plain = mlp(16)
    hidden = np.asarray(plain.get_layer("hidden")(x))  # the head is solved for, not trained
    head = np.linalg.lstsq(hidden, 6.0 * np.eye(3)[y] - 2.0, rcond=None)[0]
    plain.get_layer("head").kernel.assign(head)
    student = edgeax.compress(plain, [edgeax.LearnedPoints(2)])  # four values per kernel
    before, after = distilled(student, x, y)
    assert after["accuracy"] > before["accuracy"]
    assert after["distillation_loss"] < 0.7 * before["distillation_loss"]
    hidden = student.get_layer("hidden").layer
    np.testing.assert_array_equal(hidden.kernel, plain.get_layer("hidden").kernel)
    assert len(np.unique(edgeax.strip(student).get_layer("hidden").kernel)) <= 4


def test_ppa18_the_points_get_the_gradient_of_the_soft_loss():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False, name="head")])
    student = edgeax.compress(model, ["points4"])
    x, answers = np.float32([[1.0, 2.0]]), np.float32([[2 * np.log(3), 0.0]])
    distiller = Distiller(student, weight=1.0)
    distiller.compile(keras.optimizers.SGD(0.1))
    (points,) = [w for w in student.trainable_weights if w.name == "points"]
    before = np.sort(points.numpy())
    kernel = np.asarray(model.layers[0].kernel)
    p_s = softmax(x @ kernel / 2.0)  # the points of four weights start at the weights
    gradient = x.T @ (2.0 * (p_s - [[0.75, 0.25]]))  # T (p_s - p_t)
    distiller.fit({"inputs": x, "teacher_logits": answers}, verbose=0)
    nearest = np.abs(before[None, None] - kernel[..., None]).argmin(axis=-1)
    expected = before.copy()
    np.add.at(expected, nearest, -0.1 * gradient)
    np.testing.assert_allclose(np.sort(points.numpy()), np.sort(expected), atol=1e-4)


def test_schedules_of_the_student_advance_once_per_step():
    x, y = points(64)
    recipe = [edgeax.Prune(edgeax.PolynomialDecay(0.0, 0.5, 0, 4)), "int4"]
    keras.utils.set_random_seed(0)
    built = Subclassed(16)
    built(x)
    teacher = mlp(8, None, seed=1)
    for plain, gives in ((mlp(16), None), (built, "logits")):
        students = [edgeax.compress(plain, recipe) for _ in range(2)]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=bool(gives))
        distiller = Distiller(students[0], teacher, weight=0.0, student_gives=gives)
        for model in (distiller, students[1]):
            model.compile(keras.optimizers.SGD(0.1), loss)
            model.fit(x, y, epochs=2, batch_size=32, shuffle=False, verbose=0)
        for one, other in zip(*(s.get_weights() for s in students), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_callbacks_see_the_compressed_layers():
    student = edgeax.compress(mlp(), ["int4"])
    distiller = Distiller(student, mlp(seed=1))
    distiller.compile("sgd", SPARSE)
    logger = edgeax.callbacks.CompressionLogger()
    history = distiller.fit(*points(), callbacks=[logger], verbose=0).history
    assert [name for name in history if name.endswith("/hidden") and "distinct" in name]


# Refusals


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Distiller(mlp(), mlp(), temperature=-1.0), "`temperature` must be above 0"),
        (lambda: Distiller(mlp(), mlp(), weight=1.5), r"`weight` must lie in \[0, 1\].*1.5"),
        (lambda: Distiller(mlp(), mlp(), weight=float("nan")), r"`weight` must lie in \[0, 1\]"),
        (lambda: Distiller("mlp", mlp()), "`student` must be a Keras model.*str"),
        (lambda: Distiller(mlp(), "mlp"), "`teacher` must be a Keras model.*str"),
        (lambda: Distiller(mlp(), mlp(classes=4)), r"`teacher` must answer.*4\).*3\)"),
        (lambda: Distiller(mlp(), mlp(), student_gives="odds"), "`student_gives` must be one"),
        (lambda: Distiller(mlp(), mlp()).compile("sgd"), "`loss` must be given"),
        (
            lambda: Distiller(mlp(), mlp(), weight=[0.5]).compile("sgd", SPARSE),
            "must have the form of `weight`",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_only_fit_can_know_is_refused_before_the_first_step():
    x, y = points()
    keras.utils.set_random_seed(0)
    student = Subclassed(4)
    student(x)
    before = student.get_weights()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    synthetic = edgeax.SyntheticTeacher(np.zeros((3, 3)))
    for teacher, weight, labels, message in [
        (mlp(classes=4), 0.7, y, "`teacher` must answer"),
        (None, 0.7, y, "`x` must hold the teacher's logits"),
        (mlp(activation="sigmoid"), 0.7, y, "yes-no"),
        (mlp(), {"a": 0.5}, y, "`weight` must have one entry"),
        (mlp(), 0.7, None, "`y` must hold the labels, for `compile`"),
        (synthetic, 0.7, None, "`y` must hold the labels, by which alone a SyntheticTeacher"),
    ]:
        distiller = Distiller(student, teacher, weight=weight, student_gives="logits")
        distiller.compile("sgd", {"a": loss} if isinstance(weight, dict) else loss)
        with pytest.raises(ValueError, match=message):
            distiller.fit(x, labels, verbose=0)
    assert all(map(np.array_equal, before, student.get_weights()))
