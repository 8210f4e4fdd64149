"""Runs files in TensorFlow Lite Micro: numpy, its package `tflite_micro`, nothing else.

    python run_tflm.py FOLDER

FOLDER: NAME.tflite files beside inputs.npz, the arrays of their inputs in order, in rows. Writes
NAME.npz with the arrays of the outputs in order, of all rows, and a line "file NAME" to stderr
before the interpreter's own lines on its arena.
"""

import sys
from pathlib import Path

import numpy as np
from tflite_micro.python.tflite_micro import runtime

ARENA_BYTES = 1 << 21


def run(path, inputs, outputs):
    """Returns the outputs of one file, row by row, and the interpreter."""
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=ARENA_BYTES)
    rows = []
    for row in zip(*inputs, strict=True):
        for place, values in enumerate(row):
            interpreter.set_input(values[None], place)
        interpreter.invoke()
        rows.append([interpreter.get_output(place).copy() for place in range(outputs)])
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)], interpreter


def main(folder):
    """Runs every file of a folder."""
    with np.load(Path(folder, "inputs.npz")) as stored:
        outputs = int(stored["outputs"])
        inputs = [stored[str(place)] for place in range(len(stored.files) - 1)]
    for path in sorted(Path(folder).glob("*.tflite")):
        results, interpreter = run(path, inputs, outputs)
        np.savez(path.with_suffix(".npz"), *results)
        print(f"file {path.stem}", file=sys.stderr, flush=True)
        interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
