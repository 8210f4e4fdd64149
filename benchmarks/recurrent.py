"""LSTM and GRU networks as int8 files: accuracy beside Keras, size beside float, no loop inside.

Trained on Speech Commands v2 features where the folder EDGEAX_TEST_DATA holds
`speech_commands_v2_test_mfcc.npz` (49 x 10 MFCC, 12 words, split by speaker), else on generated
sequences. Nothing is chosen by the test set.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.harness import Benchmark, run

SPEECH = "speech_commands_v2_test_mfcc.npz"
RECIPE = "static_wi8_ai8"
MOST_POINTS_LOST = 1.0
_TEST_SHARE = 4  # one speaker of so many is tested

# Inputs and labels to train on, then inputs and labels to test with.
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_KINDS: dict[str, Any] = {
    "LSTM": lambda: keras.layers.LSTM(32),
    "GRU": lambda: keras.layers.GRU(32),
}


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a network and seed, and the targets the issue names."""
    source, data = speech() if _speech_file() and not quick else ("generated", generated())
    for kind in _KINDS:
        rows = [_row(kind, source, data, seed, quick) for seed in range(1 if quick else 2)]
        places = [benchmark.row(**row) for row in rows]
        lost = max(row["points_lost"] for row in rows)
        benchmark.wanted(
            f"{kind} points lost",
            lost,
            f"<= {MOST_POINTS_LOST}",
            lost <= MOST_POINTS_LOST,
            row=places[0],
        )
        loops = sum(row["while_operators"] for row in rows)
        benchmark.wanted(f"{kind} WHILE operators", loops, "0", loops == 0, row=places[0])


def _row(kind: str, source: str, data: Data, seed: int, quick: bool) -> dict[str, Any]:
    """Trains a float network, goes on with its int8 form, exports it; accuracies in percent."""
    x, y, x_test, y_test = data
    keras.utils.set_random_seed(seed)
    classes = int(y.max()) + 1
    given = keras.Input(x.shape[1:])
    model = keras.Model(given, keras.layers.Dense(classes, name="head")(_KINDS[kind]()(given)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2 if quick else 3e-3), loss)
    model.fit(x, y, epochs=8 if quick else 15, batch_size=64, verbose=0)
    small = edgeax.compress(model, RECIPE)
    small.compile(keras.optimizers.Adam(3e-4), loss)
    small.fit(x, y, epochs=1 if quick else 3, batch_size=64, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        result = edgeax.export(small, path, x[:256])
        answers = edgeax.Interpreter(path).run(x_test)

    def percent(outputs: np.ndarray) -> float:
        return 100.0 * float(np.mean(outputs.argmax(-1) == y_test))

    keras_percent = percent(small.predict(x_test, verbose=0))
    return {
        "network": kind,
        "data": source,
        "seed": seed,
        "float_percent": percent(model.predict(x_test, verbose=0)),
        "keras_int8_percent": keras_percent,
        "file_percent": percent(answers),
        "points_lost": keras_percent - percent(answers),
        "file_bytes": result.size_bytes,
        "float_bytes": result.float_size_bytes,
        "operators": sum(result.operators.values()),
        "while_operators": result.operators.get("WHILE", 0),
        "stays_float": len(result.stays_float),
    }


def _speech_file() -> Path | None:
    path = Path(os.environ.get("EDGEAX_TEST_DATA", "")) / SPEECH
    return path if path.is_file() else None


def speech() -> tuple[str, Data]:
    """Returns the speech features; mean and deviation of the training part become 0 and 1."""
    with np.load(_speech_file() or SPEECH) as arrays:
        x, y = arrays["mfcc"].astype(np.float32), arrays["y"].astype(np.int32)
        speakers = arrays["speaker"]
    tested = np.array([zlib.crc32(name.encode()) % _TEST_SHARE == 0 for name in speakers])
    mean, deviation = x[~tested].mean((0, 1)), x[~tested].std((0, 1))
    x = (x - mean) / deviation
    return "speech commands", (x[~tested], y[~tested], x[tested], y[tested])


def generated(count: int = 1200, steps: int = 12, seed: int = 0) -> Data:
    """Returns noisy sine waves `(count, steps, 4)`, whose frequency is the class, one of four."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 4, count).astype(np.int32)
    time = np.arange(steps)[None, :, None] * (1.0 + y[:, None, None]) * 0.5
    phase = generator.uniform(0, 0.5 * np.pi, (count, 1, 4))
    x = np.sin(time + phase) + 0.1 * generator.normal(size=(count, steps, 4))
    part = count * 3 // 4
    x = x.astype(np.float32)
    return x[:part], y[:part], x[part:], y[part:]


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("recurrent", measure)


if __name__ == "__main__":
    sys.exit(main())
