"""Runs golden models through the plugin in one interpreter: numpy, that interpreter, nothing else.

    python run_plugin_check.py MODULE LIBRARY FOLDER [ISA]

MODULE: "ai_edge_litert.interpreter", "tflite_runtime.interpreter" or "tensorflow". LIBRARY: the
plugin. FOLDER: what golden_folder.py writes, NAME.tflite beside NAME.npz with `x` and `y`, the
input and the expected output, or `y` and an `x_INPUT` for each of several, or `error`, the message
with which the file must be refused. ISA: the kernels, "auto" unless given. A file of one input runs
twice, the second time with it resized after allocation to twice the batch. Prints "plugin: N files,
0 wrong" and ends with 0, or names what is wrong and ends with 1.
"""

import importlib
import sys
from pathlib import Path

import numpy as np


def load_tools(module_name):
    """Returns the interpreter class and the function that loads a delegate."""
    module = importlib.import_module(module_name)
    if module_name == "tensorflow":
        return module.lite.Interpreter, module.lite.experimental.load_delegate
    return module.Interpreter, module.load_delegate


def run(interpreter, x):
    """Runs one input, resizing to its shape where needed."""
    details = interpreter.get_input_details()[0]
    if tuple(details["shape"]) != x.shape:
        interpreter.resize_tensor_input(details["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(details["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def run_named(interpreter, golden):
    """Runs the inputs of a file by their names."""
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], golden["x_" + details["name"]])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def compare(what, found, expected):
    """Says how two arrays differ; empty when they do not."""
    if found.shape != expected.shape:
        return f"{what}: shape {found.shape}, not {expected.shape}"
    wrong = int((found != expected).sum())
    return f"{what}: {wrong} of {expected.size} codes are wrong" if wrong else ""


def check(path, interpreter_class, delegate):
    """Says what is wrong with one file; empty when nothing is."""
    golden = np.load(path.with_suffix(".npz"))
    try:
        interpreter = interpreter_class(model_path=str(path), experimental_delegates=[delegate])
        if "error" in golden:
            interpreter.allocate_tensors()
            return "was not refused"
        if "x" not in golden:
            return compare("as in the file", run_named(interpreter, golden), golden["y"])
        x, y = golden["x"], golden["y"]
        first = compare("as in the file", run(interpreter, x), y)
        twice = [np.concatenate([array, array]) for array in (x, y)]
        return first or compare("at twice the batch", run(interpreter, twice[0]), twice[1])
    except (RuntimeError, ValueError) as error:
        if "error" in golden and str(golden["error"]) in str(error):
            return ""
        return f"error: {error}"


def main(module_name, library, folder, isa="auto"):
    """Checks every file of the folder; returns the exit code."""
    interpreter_class, load_delegate = load_tools(module_name)
    files = sorted(Path(folder).glob("*.tflite"))
    wrong = 0
    for path in files:
        said = check(path, interpreter_class, load_delegate(library, {"isa": isa}))
        if said:
            wrong += 1
            print(f"{path.stem}: {said}")
    print(f"plugin: {len(files)} files, {wrong} wrong")
    return 0 if files and wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
