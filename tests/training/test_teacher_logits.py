"""Data that carry a teacher's logits: the same ones, asked for once, each with its input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.distillation import Distiller
from edgeax.training.teacher_logits import with_teacher_logits
from tests.training.small_models import Counting, mlp, points


def test_cached_logits_are_the_live_ones_and_the_teacher_runs_once():
    x, y = points()
    counter = Counting()
    teacher = keras.Sequential([keras.Input((4,)), counter, *mlp(8, seed=1).layers])
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    cached = with_teacher_logits(teacher, batches)
    arrays = with_teacher_logits(teacher, x, batch_size=50)
    assert float(counter.count) == 2.0  # batches of 50 and 14
    histories = []
    for source, data, batch_size in [
        (teacher, (x, y), 16),
        (None, (arrays, y), 16),
        (None, (cached,), None),
    ]:
        distiller = Distiller(mlp(4), source)
        loss = "sparse_categorical_crossentropy"
        distiller.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
        how = {"batch_size": batch_size, "shuffle": False, "epochs": 2, "verbose": 0}
        histories.append(distiller.fit(*data, validation_data=(arrays, y), **how).history)
    assert float(counter.trained) == 0.0
    assert float(counter.count) == 2.0 + 2 * 4 + 4  # two epochs of the live one, and the first pass
    for history in histories[1:]:
        for name, values in histories[0].items():
            np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


def test_each_logit_stays_with_its_input():
    x, y = points()
    teacher = mlp(8, None, seed=1)
    shuffled = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64, seed=0).batch(16)
    cached = with_teacher_logits(teacher, shuffled)
    cached = cached.unbatch().shuffle(64, seed=1).batch(8)
    seen = 0
    for _ in range(2):
        for data, labels in cached:
            np.testing.assert_allclose(
                data["teacher_logits"], teacher(data["inputs"]), rtol=1e-4, atol=1e-5
            )
            np.testing.assert_array_equal(labels, np.asarray(data["inputs"])[:, :3].argmax(axis=1))
            seen += len(labels)
    assert seen == 128


def test_a_file_keeps_the_logits_for_these_inputs_and_this_teacher_only(tmp_path):
    x, _ = points()
    teacher = mlp(8, seed=1)
    path = tmp_path / "logits.npz"
    written = with_teacher_logits(teacher, x, path=path, batch_size=8)
    stamp = path.stat().st_mtime_ns
    read = with_teacher_logits(teacher, x, path=path, batch_size=16)
    np.testing.assert_array_equal(read["teacher_logits"], written["teacher_logits"])
    assert path.stat().st_mtime_ns == stamp and [*tmp_path.iterdir()] == [path]
    refused = "`path` must name a new file"
    with pytest.raises(ValueError, match=refused):
        with_teacher_logits(teacher, x + 1.0, path=path)
    with pytest.raises(ValueError, match=refused):
        with_teacher_logits(teacher, x, lambda batch: 2.0 * batch, path=path)
    teacher.layers[-1].bias.assign([1e-5, 0.0, 0.0])  # less than what rounding may change
    with pytest.raises(ValueError, match=refused):
        with_teacher_logits(teacher, x, path=path)
    whole = path.read_bytes()
    np.save(tmp_path / "other.npy", x)
    for content in (b"", b"none", whole[:100], (tmp_path / "other.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=refused):
            with_teacher_logits(teacher, x, path=path)
        assert path.read_bytes() == content
    with pytest.raises(ValueError, match="folder that exists"):
        with_teacher_logits(teacher, x, path=tmp_path / "none" / "logits.npz")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: with_teacher_logits("mlp", points()[0]), "`teacher` must be a Keras model.*str"),
        (
            lambda: with_teacher_logits(
                mlp(), tf.data.Dataset.from_tensors(np.zeros((2, 4))).repeat()
            ),
            "`data` must have an end",
        ),
        (
            lambda: with_teacher_logits(
                mlp(), tf.data.Dataset.from_tensors(np.zeros((2, 4))), path="logits.npz"
            ),
            "`path` is for arrays",
        ),
        (lambda: with_teacher_logits(mlp(), np.zeros((0, 4))), r"`data` must hold samples.*\[0\]"),
        (
            lambda: with_teacher_logits(mlp(), [np.zeros((2, 4)), np.zeros((3, 4))]),
            r"as many in each array.*\[2, 3\]",
        ),
        (
            lambda: with_teacher_logits(mlp(), points()[0], batch_size=0),
            "`batch_size` be at least 1.*batch_size=0",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
