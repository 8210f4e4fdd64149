"""Runs one file in the interpreter of this Python: numpy, that interpreter, nothing else.

    python run_file.py PACKAGE FILE IMAGES RESULT [--plugin PATH] [--isa ISA] [--without-xnnpack]

PACKAGE: "ai_edge_litert", "tflite_runtime" or "tensorflow". IMAGES: an `.npy` whose rows go through
FILE one after the other. RESULT: an `.npz` to write, with `outputs` as the file gives them,
`version` of the package, and `peak_mib`, by how much the peak of this process's memory lies above
what it held with the package and the images loaded, but no model.
"""

import argparse
import ctypes
import importlib
import importlib.metadata
import operator

import numpy as np

# Package -> its module, and where in it stand the class, the loader and the choice of kernels.
_TOOLS = {
    "ai_edge_litert": (
        "ai_edge_litert.interpreter",
        ("Interpreter", "load_delegate", "OpResolverType"),
    ),
    "tflite_runtime": (
        "tflite_runtime.interpreter",
        ("Interpreter", "load_delegate", "OpResolverType"),
    ),
    "tensorflow": (
        "tensorflow",
        ("lite.Interpreter", "lite.experimental.load_delegate", "lite.experimental.OpResolverType"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("package", "file", "images", "result"):
        parser.add_argument(name)
    parser.add_argument("--plugin", help="edgeax's plugin library, for files that need it")
    parser.add_argument("--isa", default="auto", help="the plugin's kernels")
    parser.add_argument("--without-xnnpack", action="store_true", help="TFLite's own built-ins")
    arguments = parser.parse_args()

    module, names = _TOOLS[arguments.package]
    interpreter_class, load_delegate, resolvers = operator.attrgetter(*names)(
        importlib.import_module(module)
    )
    images = np.load(arguments.images)
    held_kib = forget_peak()
    options = {}
    if arguments.plugin:
        options["experimental_delegates"] = [
            load_delegate(arguments.plugin, {"isa": arguments.isa})
        ]
    if arguments.without_xnnpack:
        options["experimental_op_resolver_type"] = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    # One thread: each further one brings memory of its own.
    interpreter = interpreter_class(model_path=arguments.file, num_threads=1, **options)
    outputs = run(interpreter, images)
    peak_mib = (peak_kib() - held_kib) / 1024  # before anything else takes memory
    version = importlib.metadata.version(arguments.package)
    np.savez(arguments.result, outputs=outputs, version=version, peak_mib=peak_mib)


def run(interpreter, images):
    """Returns the outputs of all rows, in the type of the file's output."""
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    outputs = []
    for i in range(len(images)):
        interpreter.set_tensor(given, images[i : i + 1])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result))
    return np.concatenate(outputs)


def forget_peak() -> int:
    """Lets the peak start anew, for importing a package can need more than any model afterwards.

    Returns:
        What the process holds now, in KiB.
    """
    ctypes.CDLL(None).malloc_trim(0)  # else the model would live in what the import has freed
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # see proc(5)
    return peak_kib()


def peak_kib() -> int:
    """The most memory that this process has held, in KiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
