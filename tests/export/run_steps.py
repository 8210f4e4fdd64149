"""Trains a file in one interpreter: numpy, that interpreter, nothing else.

    python run_steps.py MODULE LIBRARY FILE DATA OUT

MODULE: "ai_edge_litert.interpreter" or "tflite_runtime.interpreter". LIBRARY: the plugin. DATA: an
.npz with images and labels, one batch for each step, the other inputs of `train`, and perhaps
"before NAME": the value of a variable for each step to begin with. OUT gets
`loss` of each step, `infer` of the first image in the fresh interpreter, before all else, and the
variables afterwards.
"""

import importlib
import sys

import numpy as np


def main(module_name, library, file, data, out):
    module = importlib.import_module(module_name)
    interpreter = module.Interpreter(
        model_path=file, experimental_delegates=[module.load_delegate(library)]
    )
    given = np.load(data)
    names = ("infer", "train", "save", "restore")
    infer, train, save, restore = map(interpreter.get_signature_runner, names)
    ((name, _),) = infer.get_input_details().items()
    (fresh,) = infer(**{name: given["images"][0][:1]}).values()
    before = {key[7:]: given[key] for key in given if key.startswith("before ")}
    others = {key: given[key] for key in given if key not in ("images", "labels")}
    others = {key: value for key, value in others.items() if not key.startswith("before ")}
    state = save() if before else {}
    losses = []
    for step, (x, y) in enumerate(zip(given["images"], given["labels"], strict=True)):
        if before:
            restore(**{**state, **{key: values[step] for key, values in before.items()}})
        losses.append(train(**{name: x, "y": y}, **others)["loss"])
    np.savez(out, loss=np.array(losses), infer=fresh, **save())


if __name__ == "__main__":
    main(*sys.argv[1:])
