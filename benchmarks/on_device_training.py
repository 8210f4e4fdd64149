"""A deployed network learns on: the same losses as in TensorFlow, its time, its memory.

Two convolutions, a depthwise one and a dense layer learn Fashion-MNIST, are exported so that all
layers can be trained by SGD, and then see the images turned by 90 degrees.

- Losses of `STEPS` steps in ai-edge-litert and tflite-runtime beside those of Keras: the largest
  relative difference, where each step begins with Keras's weights, and where each goes its own way.
  How far roundings alone lead, Keras beside itself shows, from weights that are one rounding off.
- Losses of `ARM_STEPS` on an emulated Cortex-A72 beside those here.
- Accuracy on turned test images before `edgeax.runtime.Trainer.fit` and after it.
- Time of a step of the trainer beside one of TensorFlow's (`model.train_step` in a `tf.function`),
  one thread each, in turns: medians, and the median of the ratios.
- Peak of the resident memory of a process that trains, of either.
- Time of an inference: by the signature `infer`, by the plain file that `Trainer.predict` makes of
  the weights, and of the network exported without `train`; ratios by turns.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets.
`--quick` is a smoke test on the bundled piece.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np

import edgeax
from benchmarks.formats import Images, images, say
from benchmarks.harness import REPOSITORY, Benchmark, run
from benchmarks.hosts import prepare_arm
from benchmarks.pairing import Child, run_paired
from edgeax.runtime.plugin import delegate_path
from tests.emulation import aarch64, process

BATCH = 16
RATE = 0.05
EPOCHS = 2
ADAPT_IMAGES = 4000
STEPS, ARM_STEPS = 200, 20
ROUNDS, TURN_STEPS, PEAK_STEPS = 15, 50, 100
MOST_DIFFERENCE = 1e-5
MOST_MIB = 64.0
MOST_INFER_RATIO = 1.3
ARM_CPU = "cortex-a72"
RUN_STEPS = REPOSITORY / "tests" / "export" / "run_steps.py"
TFLITE_RUNTIME = REPOSITORY / "build" / "tflite_runtime" / "bin" / "python"

layers = keras.layers


def network() -> keras.Model:
    """Returns the network, from images `(28, 28, 1)` to logits."""
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return keras.Model(image, layers.Dense(10, name="logits")(x))


def optimizer() -> keras.optimizers.Optimizer:
    """Returns the optimizer, in Keras and on the device."""
    return keras.optimizers.SGD(RATE)


def turned(x: np.ndarray) -> np.ndarray:
    """Returns images `(count, height, width, 1)` turned by 90 degrees."""
    return np.ascontiguousarray(np.rot90(x, axes=(1, 2)))


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report."""
    data = images("fashion_mnist", quick)
    keras.utils.set_random_seed(0)
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(data.x, data.y, batch_size=64, epochs=1 if quick else EPOCHS, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        train = edgeax.OnDeviceTraining(optimizer(), batch_size=BATCH)
        trained, plain = Path(folder, "train.tflite"), Path(folder, "plain.tflite")
        say(str(edgeax.export(model, trained, train=train, measure=False)))
        edgeax.export(model, plain, data.x[:100], measure=False)
        compare_losses(benchmark, model, trained, data, Path(folder), quick)
        adapt(benchmark, trained, data, quick)
        compare_steps(benchmark, trained, quick)
        compare_memory(benchmark, trained, quick)
        compare_inference(benchmark, trained, plain, data, quick)


def compare_losses(
    benchmark: Benchmark, model: keras.Model, file: Path, data: Images, folder: Path, quick: bool
) -> None:
    """Adds the largest relative differences of losses."""
    steps = 20 if quick else STEPS
    places = np.random.default_rng(0).integers(0, len(data.x), (steps, BATCH))
    x, y = turned(data.x[places.ravel()]), data.y[places]
    x = x.reshape(steps, BATCH, *x.shape[1:])
    by_keras, weights = keras_losses(model, x, y)
    nudged, _ = keras_losses(model, x, y, nudge=True)
    add_difference(benchmark, "Keras, weights one rounding off", "Keras", nudged, by_keras)
    given = Given(x, y, folder)
    here = None
    for module, python in (
        ("ai_edge_litert.interpreter", Path(sys.executable)),
        ("tflite_runtime.interpreter", TFLITE_RUNTIME),
    ):
        if not python.exists():
            raise RuntimeError(f"{python} must be there. Run: make {TFLITE_RUNTIME.parents[1]}")

        def execute(words: list[str | Path], python: Path = python) -> process.Outcome:
            return process.run([python, "-I", RUN_STEPS, *words], timeout_s=600)

        words = [module, Path(delegate_path()), file]
        name = module.partition(".")[0]
        locked = losses(execute, words, given, weights)
        free = losses(execute, words, given)
        here = free if here is None else here
        add_difference(
            benchmark, f"{name}, each step from Keras's weights", "Keras", locked, by_keras
        )
        add_difference(benchmark, name, "Keras", free, by_keras)
    few = min(ARM_STEPS, steps)
    arm = losses(
        lambda words: aarch64.run_python(ARM_CPU, RUN_STEPS, *words),
        ["ai_edge_litert.interpreter", prepare_arm(f"LiteRT on {ARM_CPU}"), file],
        Given(x[:few], y[:few], folder),
    )
    add_difference(
        benchmark, f"ai_edge_litert on {ARM_CPU}", "ai_edge_litert here", arm, here[:few]
    )


def add_difference(
    benchmark: Benchmark, name: str, beside: str, one: np.ndarray, other: np.ndarray
) -> None:
    """Adds the largest relative difference of losses, and what is wanted of it but of Keras's."""
    difference = float(np.max(np.abs(one / other - 1.0)))
    place = benchmark.row(
        what=f"losses in {name}",
        beside=beside,
        steps=len(one),
        first_loss=float(one[0]),
        last_loss=float(one[-1]),
        largest_difference=difference,
    )
    if not name.startswith("Keras"):
        benchmark.wanted(
            f"losses in {name}, relative difference",
            difference,
            f"<= {MOST_DIFFERENCE}",
            difference <= MOST_DIFFERENCE,
            row=place,
        )


def keras_losses(
    model: keras.Model, x: np.ndarray, y: np.ndarray, nudge: bool = False
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the loss of each step of a copy of a model in Keras, and its weights before each.

    Args:
        model: Not changed.
        x: Images, `(steps, batch, 28, 28, 1)`.
        y: Their classes, `(steps, batch)`.
        nudge: Whether to begin with the floats next above the weights.
    """
    copy = keras.models.clone_model(model)
    values = model.get_weights()
    copy.set_weights([np.nextafter(v, np.float32(np.inf)) for v in values] if nudge else values)
    copy.compile(optimizer(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found, weights = [], {variable.path: [] for variable in copy.trainable_variables}
    for batch, labels in zip(x, y, strict=True):
        for variable in copy.trainable_variables:
            weights[variable.path].append(keras.ops.convert_to_numpy(variable))
        copy.reset_metrics()
        found.append(float(copy.train_on_batch(batch, labels)))
    return np.array(found), {path: np.stack(steps) for path, steps in weights.items()}


@dataclasses.dataclass(frozen=True)
class Given:
    """What interpreters train on, one batch for each step, and a folder to hand it over in."""

    x: np.ndarray
    y: np.ndarray
    folder: Path


def losses(
    execute: Callable[[list[str | Path]], process.Outcome],
    words: list[str | Path],
    given: Given,
    weights: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Returns the loss of each step in an interpreter of its own process.

    Args:
        execute: Runs RUN_STEPS with words.
        words: The interpreter, the plugin and the file.
        given: The batches.
        weights: By name, those that each step begins with; None: what the one before left.
    """
    data, result = given.folder / "data.npz", given.folder / "result.npz"
    before = {f"before {name}": values for name, values in (weights or {}).items()}
    np.savez(data, images=given.x, labels=given.y, learning_rate=np.float32([RATE]), **before)
    outcome = execute([*words, data, result])
    if outcome.code != 0:
        raise RuntimeError(f"{words[0]} must train the file. It said:\n{outcome.output}")
    with np.load(result) as found:
        return np.asarray(found["loss"])


def adapt(benchmark: Benchmark, file: Path, data: Images, quick: bool) -> None:
    """Adds the accuracy on turned images before and after training on the device."""
    count = 200 if quick else ADAPT_IMAGES
    trainer = edgeax.runtime.Trainer(file)
    x_test = turned(data.x_test)
    before = trainer.evaluate(x_test, data.y_test)["accuracy"]
    straight = trainer.evaluate(data.x_test, data.y_test)["accuracy"]
    history = trainer.fit(turned(data.x[:count]), data.y[:count], epochs=1 if quick else 2)
    benchmark.row(
        what="accuracy on turned images",
        before_percent=100 * before,
        after_percent=100 * trainer.evaluate(x_test, data.y_test)["accuracy"],
        upright_before_percent=100 * straight,
        steps=int(sum(history["steps_run"])),
        modelled_mj=1e3 * sum(history["energy_j"]),
        state_bytes=trainer.memory["state_bytes"],
        activation_bytes=trainer.memory["activation_bytes"],
    )


def child(side: str, file: Path, steps: int, *flags: str) -> list[str]:
    """Returns the command of a process that trains."""
    module = "benchmarks.children.drift_turns"
    return [sys.executable, "-m", module, side, str(file), str(BATCH), str(steps), *flags]


def compare_steps(benchmark: Benchmark, file: Path, quick: bool) -> None:
    """Adds the times of a step."""
    rounds, steps = (2, 5) if quick else (ROUNDS, TURN_STEPS)
    sides = ("trainer", "tensorflow")
    times = run_paired({side: Child(child(side, file, steps)) for side in sides}, rounds)
    ratio = times.ratio("trainer", "tensorflow")
    place = benchmark.row(
        what="time of a step",
        batch=BATCH,
        trainer_ms=times.median_ms("trainer"),
        tensorflow_ms=times.median_ms("tensorflow"),
        ratio=ratio,
    )
    benchmark.wanted("step, of TensorFlow's time", ratio, "<= 1.0", ratio <= 1.0, row=place)


def compare_memory(benchmark: Benchmark, file: Path, quick: bool) -> None:
    """Adds the peaks of memory."""
    mib = {}
    for side in ("trainer", "tensorflow"):
        command = child(side, file, 5 if quick else PEAK_STEPS, "--peak")
        finished = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        if finished.returncode:
            raise RuntimeError(f"{side} must train. It said:\n{finished.stderr}")
        mib[side] = int(finished.stdout.split()[-1]) / 1024
    place = benchmark.row(
        what="peak of resident memory",
        trainer_mib=mib["trainer"],
        tensorflow_mib=mib["tensorflow"],
    )
    held = mib["trainer"]
    benchmark.wanted("peak, MiB", held, f"<= {MOST_MIB:g}", held <= MOST_MIB, row=place)


def compare_inference(
    benchmark: Benchmark, trained: Path, plain: Path, data: Images, quick: bool
) -> None:
    """Adds the times of an inference."""
    image = data.x_test[:1]
    trainer = edgeax.runtime.Trainer(trained)
    baked = plain.with_name("baked.tflite")
    trainer.export(baked)
    runners = {
        "infer": edgeax.Interpreter(trained, num_threads=1),
        "baked": edgeax.Interpreter(baked, num_threads=1),
        "plain": edgeax.Interpreter(plain, num_threads=1),
    }
    times = in_turns({name: one for name, one in runners.items()}, image, 3 if quick else 60)
    medians = {name: statistics.median(one) for name, one in times.items()}
    place = benchmark.row(
        what="time of an inference",
        **{f"{name}_us": 1e6 * value for name, value in medians.items()},
        plain_bytes=plain.stat().st_size,
        trained_bytes=trained.stat().st_size,
    )
    for name, called in (("infer", "signature infer"), ("baked", "Trainer.predict")):
        pairs = zip(times[name], times["plain"], strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        benchmark.wanted(
            f"{called}, of the plain file's time",
            ratio,
            f"<= {MOST_INFER_RATIO}",
            ratio <= MOST_INFER_RATIO,
            row=place,
        )


def in_turns(
    runners: Mapping[str, edgeax.Interpreter], image: np.ndarray, rounds: int
) -> dict[str, list[float]]:
    """Returns seconds of an invoke of each interpreter, in each round."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for runner in runners.values():
        runner.run(image)
    for _ in range(rounds):
        for name, runner in runners.items():
            begun = time.perf_counter()
            for _ in range(20):
                runner.invoke()
            times[name].append((time.perf_counter() - begun) / 20)
    return times


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("on_device_training", measure)


if __name__ == "__main__":
    sys.exit(main())
