import dataclasses
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.rehearsal import RehearsalBuffer
from edgeax.runtime import Trainer, plugin
from tests.export import training_networks as networks

RATE = 0.05


def file_of(tmp_path_factory, model, **settings):
    path = tmp_path_factory.mktemp("trainer") / "model.tflite"
    settings = {"optimizer": keras.optimizers.SGD(RATE), "batch_size": networks.BATCH, **settings}
    edgeax.export(model, path, train=edgeax.OnDeviceTraining(**settings), measure=False)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return file_of(tmp_path_factory, networks.branching())


@pytest.fixture(scope="module")
def selective(tmp_path_factory):
    return file_of(tmp_path_factory, networks.selective(), keep=True)


@pytest.fixture(scope="module")
def data():
    images, labels = networks.batches(20)
    return images.reshape(-1, 10, 10, 1), labels.ravel()


def equal(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_steps_are_those_of_keras(path):
    images, labels = networks.batches(10)
    model = networks.branching()
    model.get_layer("norm").trainable = False
    expected = networks.keras_losses(model, keras.optimizers.SGD(RATE), images, labels)
    trainer = Trainer(path)
    found = [trainer.train_on_batch(x, y) for x, y in zip(images, labels, strict=True)]
    np.testing.assert_allclose([step["loss"] for step in found], expected, rtol=1e-5)


def test_fit_learns_and_tells_what_it_did(path, data):
    trainer = Trainer(path)
    before = trainer.evaluate(*data)["accuracy"]
    history = trainer.fit(*data, epochs=6)
    assert trainer.evaluate(*data)["accuracy"] > max(0.9, before)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["steps_seen"] == history["steps_run"] == [20.0] * 6
    joules = sum(trainer.signature.energy.values())
    assert history["energy_j"] == pytest.approx([20 * joules] * 6)
    assert trainer.step_ms > 0.0


@pytest.mark.parametrize("last", ["softmax", "linear"])
def test_evaluate_tells_the_loss_of_keras(path, data, tmp_path_factory, last):
    """Of probabilities and of logits; a file that does not say which of them it has tells none."""
    images, labels = data
    if last == "linear":
        model = networks.convolutional()
        path = file_of(tmp_path_factory, model, trainable=1)
    else:
        model = networks.branching()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=last == "linear")
    expected = float(loss(labels, model.predict(images, verbose=0)))
    trainer = Trainer(path)
    assert trainer.signature.from_logits is (last == "linear")
    found = trainer.evaluate(images, labels)
    assert found["loss"] == pytest.approx(expected, rel=1e-5) and "accuracy" in found
    trainer.signature = dataclasses.replace(trainer.signature, from_logits=None)
    assert trainer.evaluate(images, labels) == {"accuracy": found["accuracy"]}


def test_the_same_seed_gives_the_same_weights(path, data):
    first, second, other = (Trainer(path, seed=seed) for seed in (1, 1, 2))
    for trainer in (first, second, other):
        trainer.fit(*data, drop=0.5)
    assert equal(first.state(), second.state())
    assert not equal(first.state(), other.state())


def test_a_last_batch_is_filled_from_the_beginning(path, data):
    images, labels = data
    trainer = Trainer(path)
    assert trainer.fit(images[:5], labels[:5])["steps_run"] == [2.0]
    assert trainer.fit(images[:1], labels[:1])["steps_run"] == [1.0]


def test_dropped_batches_do_not_run(path, data):
    trainer = Trainer(path, seed=np.int64(0))
    history = trainer.fit(*data, epochs=np.int32(5), drop=np.float32(0.5))
    ran = int(sum(history["steps_run"]))
    assert sum(history["steps_seen"]) == 100.0
    assert 30 < ran < 70
    assert trainer.state()["optimizer/iteration"] == ran


def test_a_learning_rate_is_the_next_steps(path, data):
    images, labels = data
    fast, slow = Trainer(path, learning_rate=0.5), Trainer(path, learning_rate=0.5)
    slow.learning_rate = 0.25
    start = fast.state()["last/kernel"]
    for trainer in (fast, slow):
        trainer.train_on_batch(images[:4], labels[:4])
    moved = [trainer.state()["last/kernel"] - start for trainer in (fast, slow)]
    np.testing.assert_allclose(moved[0], 2 * moved[1], rtol=1e-3, atol=1e-6)


def test_predictions_are_the_same_from_variables_and_from_a_plain_file(path, data, tmp_path):
    images, _ = data
    trainer = Trainer(path)
    trainer.fit(*data)
    few = trainer.predict(images[:3])
    many = trainer.predict(images)
    np.testing.assert_allclose(many[:3], few, rtol=1e-5, atol=1e-6)
    trainer.export(tmp_path / "plain.tflite")
    plain = edgeax.Interpreter(tmp_path / "plain.tflite").run(images)
    np.testing.assert_array_equal(plain, many)
    trainer.fit(*data)
    assert not np.array_equal(trainer.predict(images), many)


def test_a_checkpoint_goes_on_where_it_was_written(path, data, tmp_path):
    first, second = Trainer(path), Trainer(path)
    first.fit(*data)
    first.save(tmp_path / "a.ckpt")
    second.restore(tmp_path / "a.ckpt")
    assert equal(first.state(), second.state())
    images, labels = data
    steps = [trainer.train_on_batch(images[:4], labels[:4]) for trainer in (first, second)]
    assert steps[0] == steps[1]
    second.reset()
    assert equal(second.state(), Trainer(path).state())


def test_the_checkpoint_of_another_model_changes_nothing(path, selective, tmp_path):
    other, trainer = Trainer(selective), Trainer(path)
    other.save(tmp_path / "other.ckpt")
    before = trainer.state()
    with pytest.raises(ValueError, match="saved from"):
        trainer.restore(tmp_path / "other.ckpt")
    assert equal(trainer.state(), before)


def test_gradients_are_what_a_step_moves_by(path, data):
    images, labels = data
    trainer = Trainer(path)
    before = trainer.state()
    loss, gradients = trainer.gradients(images[:4], labels[:4])
    assert equal(trainer.state(), before)
    assert trainer.train_on_batch(images[:4], labels[:4])["loss"] == pytest.approx(loss)
    after = trainer.state()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            after[name], before[name] - RATE * gradient, rtol=1e-5, atol=1e-7, err_msg=name
        )


def test_a_block_that_is_left_out_does_not_move(selective, data):
    images, labels = data
    trainer = Trainer(selective)
    assert len(trainer.signature.blocks) == 2
    before = trainer.state()
    trainer.fit(images, labels, keep=[1.0, 1e-9])
    after = trainer.state()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    first, second = trainer.signature.blocks
    assert any(first in name for name in moved)
    assert not any(second in name for name in moved)


def test_earlier_samples_come_again(path, data):
    images, labels = data
    buffer = RehearsalBuffer(40_000, (10, 10, 1), 3, span=(-3.0, 5.0))
    trainer = Trainer(path, rehearsal=buffer)
    images = np.clip(images, -3.0, 5.0)
    old, new = labels == 0, labels != 0
    for _ in range(8):
        trainer.fit(images[old], labels[old])
    assert buffer.counts[0] == min(buffer.slots, 8 * old.sum())
    history = trainer.fit(images[new], labels[new], epochs=12)
    assert history["steps_seen"][0] == np.ceil(2 * new.sum() / networks.BATCH)
    assert trainer.evaluate(images[old], labels[old])["accuracy"] > 0.9
    assert trainer.memory["rehearsal_bytes"] == buffer.bytes


def test_whole_numbers_come_again_as_such(tmp_path_factory):
    keras.utils.set_random_seed(0)
    given = keras.Input((6,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(200, 4)(given))
    path = file_of(tmp_path_factory, keras.Model(given, keras.layers.Dense(3)(x)))
    words, labels = np.random.default_rng(0).integers(0, 200, (8, 6)), np.arange(8) % 3
    buffer = RehearsalBuffer(1000, (6,), 3, span=(0, 255))
    trainer = Trainer(path, rehearsal=buffer)
    assert trainer.fit(words, labels)["steps_run"] == [2.0]
    assert trainer.fit(words, labels)["steps_run"] == [4.0]
    assert np.array_equal(buffer.samples()[0][:8], words)
    with pytest.raises(ValueError, match=r"`rehearsal` must keep whole numbers.*int32.*span"):
        Trainer(path, rehearsal=RehearsalBuffer(1000, (6,), 3, span=(0, 200)))


def test_threads_take_turns(path, data):
    images, labels = data
    trainer = Trainer(path)
    threads = [
        threading.Thread(target=lambda: trainer.fit(images[:40], labels[:40])) for _ in range(4)
    ]
    threads += [threading.Thread(target=lambda: trainer.predict(images)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trainer.state()["optimizer/iteration"] == 40


def test_bad_input_changes_nothing(path, data):
    images, labels = data
    trainer = Trainer(path)
    before = trainer.state()
    bad = images[:4].copy()
    bad[0, 0, 0] = np.nan
    for x, y, others, message in [
        (bad, labels[:4], {}, "must be finite"),
        (images[:4, :5], labels[:4], {}, r"shape \(count, 10, 10, 1\)"),
        (images[:4], [0, 1, 2, 3], {}, r"integers in \[0, 3\)"),
        (images[:4], labels[:3], {}, r"shape \(4,\)"),
        (images[:4], labels[:4], {"drop": 1.0}, "`drop`"),
        (images[:4], labels[:4], {"rehearse": -1.0}, "`rehearse`"),
        (images[:4], labels[:4], {"rehearse": 0.999}, r"`rehearse` must lie in \[0, 0.99\]"),
        (images[:4], labels[:4], {"rehearse": "half"}, "`rehearse` must lie in.*'half'"),
        (images[:4], labels[:4], {"epochs": 0}, "`epochs`"),
        (images[:4], labels[:4], {"epochs": True}, "`epochs` must be an integer.*True"),
        (images[:4], labels[:4], {"keep": "all"}, "`keep` must be 1 for a file.*keep='all'"),
        (images[:4], labels[:4], {"keep": 0.5}, "without selective blocks"),
    ]:
        with pytest.raises(ValueError, match=message):
            trainer.fit(x, y, **others)
    with pytest.raises(ValueError, match=r"hold 4 samples.*Received: 3.*`fit`"):
        trainer.train_on_batch(images[:3], labels[:3])
    assert equal(trainer.state(), before)


def test_a_rate_that_is_none_leaves_the_memory_of_samples_as_it_is(path, data):
    images, labels = data
    buffer = RehearsalBuffer(40_000, (10, 10, 1), 3, span=(-3.0, 5.0))
    trainer = Trainer(path, rehearsal=buffer)
    for rate in (-1.0, float("nan"), 1e39, 1e-60, None, "0.1", [0.1]):
        trainer.learning_rate = rate
        with pytest.raises(ValueError, match="`learning_rate` must be finite and above 0"):
            trainer.fit(np.clip(images, -3.0, 5.0), labels)
    assert not buffer.counts.any()
    assert equal(trainer.state(), Trainer(path).state())


def test_bad_settings_are_refused(path, selective):
    with pytest.raises(ValueError, match="`learning_rate` must be finite and above 0"):
        Trainer(path, learning_rate=0.0)
    for seed in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match="`seed` must be an integer"):
            Trainer(path, seed=seed)
    with pytest.raises(ValueError, match="`rehearsal` must hold samples"):
        Trainer(path, rehearsal=RehearsalBuffer(1000, (4,), 3))
    with pytest.raises(ValueError, match="`rehearsal` must have at most the model's 3 classes"):
        Trainer(path, rehearsal=RehearsalBuffer(1000, (10, 10, 1), 4))
    with pytest.raises(ValueError, match=r"`keep` must be above 0.*Received: keep=\[1.0, 0.0\]"):
        Trainer(selective).fit(np.zeros((1, 10, 10, 1)), [0], keep=[1.0, 0.0])


def test_a_loss_that_is_not_finite_says_what_to_do(path, data):
    images, labels = data
    trainer = Trainer(path, learning_rate=1e30)
    with pytest.raises(ValueError, match=r"stay finite.*`reset` or `restore`"):
        trainer.fit(images, labels, epochs=3)


def test_a_file_without_training_is_refused(path, tmp_path):
    Trainer(path).export(tmp_path / "plain.tflite")
    with pytest.raises(ValueError, match="exported for training"):
        Trainer(tmp_path / "plain.tflite")


def test_a_missing_plugin_is_named_with_its_cure(path, monkeypatch):
    def missing():
        raise FileNotFoundError("The plugin libedgeax.so is missing. Run pip install edgeax.")

    monkeypatch.setattr(plugin, "delegate_path", missing)
    monkeypatch.setattr("edgeax.runtime.interpreter.delegate_path", missing)
    with pytest.raises(FileNotFoundError, match=r"needs edgeax's plugin.*pip install"):
        Trainer(path)


def test_no_framework_is_loaded(path):
    code = """
        import sys
        import numpy as np
        from edgeax.runtime import Trainer
        trainer = Trainer(sys.argv[1])
        trainer.fit(np.zeros((4, 10, 10, 1)), np.zeros(4, int))
        trainer.predict(np.zeros((40, 10, 10, 1)))
        print(sorted({"tensorflow", "keras"} & set(sys.modules)))
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    outcome = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120
    )
    assert outcome.stdout.strip() == "[]", outcome.stderr
