"""The command line: `edgeax COMMAND ...`. Thin: each command calls the public API.

What the user did wrong is said in one line on stderr, with exit code 2.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import os
import pkgutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

import edgeax
from edgeax.formats.files import check_writable, write_atomically
from edgeax.formats.methods import methods
from edgeax.formats.tables import text_table

_BAD_USE = 2
_STDERR = 2  # the file descriptor that C++ writes to


@dataclasses.dataclass(frozen=True)
class _Command:
    """A subcommand.

    Attributes:
        run: Does the work, from positional arguments and parsed flags.
        usage: Its arguments; as many capital words stand outside brackets and flags as positional
            arguments are wanted.
        summary: What it does, for the help.
        define: Defines its flags.
        positional: Number of positional arguments.
    """

    run: Callable[[list[str], flags.FlagValues], None]
    usage: str
    summary: str
    define: Callable[[flags.FlagValues], None]
    positional: int


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; `sys.argv[1:]` when None.
    Returns:
        The exit code: 0, or 2 when the arguments or the files given are no good.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _dispatch(arguments)
    except (ValueError, OSError, ImportError, flags.Error) as error:
        print(f"edgeax: {' '.join(str(error).split())}", file=sys.stderr)
        return _BAD_USE
    return 0


def _dispatch(arguments: list[str]) -> None:
    first = arguments[0] if arguments else ""
    if first in ("--help", "-h"):
        print(_help())
    elif first == "--version":
        print(f"edgeax {edgeax.__version__}")
    elif first not in _COMMANDS:
        raise ValueError(
            f"a command must be one of {', '.join(_COMMANDS)}. Received: {first!r}. "
            "Run `edgeax --help`."
        )
    else:
        _run_command(first, arguments)


def _run_command(name: str, arguments: list[str]) -> None:
    command = _COMMANDS[name]
    values = flags.FlagValues()
    values.set_gnu_getopt()  # flags may follow the file
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    command.define(values)
    positional = values(arguments)[1:]
    if values.help:
        print(f"{command.summary}\n\nusage: edgeax {name} {command.usage}\n\n{_flag_help(command)}")
        return
    if len(positional) != command.positional:
        raise ValueError(
            f"`{name}` takes {command.positional} argument(s) besides flags. Received: "
            f"{len(positional)}. Usage: edgeax {name} {command.usage}"
        )
    if "json" in values and values.json is not None:
        check_writable(values.json)  # before long work, and before anything else is written
    command.run(positional, values)


def _help() -> str:
    rows = [
        {"command": f"edgeax {name}", "what it does": command.summary}
        for name, command in _COMMANDS.items()
    ]
    usage = "usage: edgeax COMMAND ... | COMMAND --help | --version | --help"
    return f"{usage}\n\n{text_table(rows)}"


def _flag_help(command: _Command) -> str:
    values = flags.FlagValues()
    command.define(values)
    return text_table([{"flag": f"--{name}", "meaning": values[name].help} for name in values])


def _define_nothing(values: flags.FlagValues) -> None:
    """For commands without flags."""


def _define_json(values: flags.FlagValues) -> None:
    flags.DEFINE_string("json", None, "Also write everything as JSON here.", flag_values=values)


def _define_run(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "input", None, "A .npy file; for several inputs an .npz file.", flag_values=values
    )
    flags.DEFINE_string(
        "output", None, "The .npy file to write; for several outputs an .npz.", flag_values=values
    )
    flags.DEFINE_integer(
        "num_threads", None, "Threads of the interpreter.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_boolean(
        "raw", False, "Pass codes of quantized tensors through unchanged.", flag_values=values
    )


def _define_compress(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "recipe", None, "A preset such as static_wi8_ai8, or a recipe.json.", flag_values=values
    )
    flags.DEFINE_string(
        "samples", None, "Typical inputs: a .npy file; an .npz for several.", flag_values=values
    )
    flags.DEFINE_string("output", None, "The .tflite file to write.", flag_values=values)
    flags.DEFINE_enum(
        "io", "float32", ["float32", "int8"], "Type of inputs and outputs.", flag_values=values
    )
    flags.DEFINE_enum(
        "runtime",
        "edgeax",
        ["edgeax", "stock", "tflm", "tflm+edgeax"],
        "stock: no plugin needed; tflm: for TensorFlow Lite Micro; tflm+edgeax: with ours there.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "optimize",
        None,
        ["size", "latency"],
        "size: weights are coded, too; latency: the fastest operators for --target.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "target",
        None,
        "With --optimize latency: a processor, or what `edgeax tune` wrote.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "calibration", None, "How ranges are chosen, such as mse.", flag_values=values
    )
    flags.DEFINE_list(
        "corrections", [], "Such as adaround,bias_correction; in this order.", flag_values=values
    )
    flags.DEFINE_boolean(
        "strict", False, "Fail where an operator would compute in float.", flag_values=values
    )
    _define_json(values)


def _inspect(positional: list[str], values: flags.FlagValues) -> None:
    from edgeax.runtime import read_details  # here: `delegate-path` must not need a schema

    details = read_details(positional[0])
    _write_json(values.json, details.to_dict())
    print(details)


def _run(positional: list[str], values: flags.FlagValues) -> None:
    for name in ("input", "output"):
        if not values[name].value:
            raise ValueError(
                f"`--{name}` must be given. Usage: edgeax run {_COMMANDS['run'].usage}"
            )
    check_writable(values.output)
    inputs = _load_arrays(values.input)
    with _native_stderr_silenced():
        interpreter = edgeax.Interpreter(positional[0], num_threads=values.num_threads)
        outputs = interpreter.run(inputs, raw=values.raw)
    if isinstance(outputs, list):
        names = [str(entry["name"]) for entry in interpreter.get_output_details()]
        _save_arrays(values.output, dict(zip(names, outputs, strict=True)))
    else:
        _save_array(values.output, outputs)


def _compress(positional: list[str], values: flags.FlagValues) -> None:
    for name in ("recipe", "samples", "output"):
        if not values[name].value:
            raise ValueError(
                f"`--{name}` must be given. Usage: edgeax compress {_COMMANDS['compress'].usage}"
            )
    check_writable(values.output)
    samples = _load_arrays(values.samples, "--samples")
    with _native_stderr_silenced():
        result = _compressed(positional[0], values, samples)
    _write_json(values.json, result.as_dict())
    print(result)


def _compressed(path: str, values: flags.FlagValues, samples: Any) -> Any:
    """Rounds a saved model by a recipe and exports it; nobody trains, so all acts at once."""
    recipe = values.recipe
    if Path(recipe).suffix == ".json":
        recipe = edgeax.Recipe.from_json(Path(recipe).read_text("utf-8", errors="replace"))
    if not Path(path).is_file():
        raise ValueError(f"`MODEL` must be a .keras file. Received: {path}, which is no file.")
    import keras  # here: the other commands need none

    model = keras.models.load_model(path, compile=False)
    if values.calibration or values.corrections:
        model = edgeax.quantize(
            model, samples, recipe, values.calibration or "min_max", values.corrections
        )
    else:
        model = edgeax.compress(model, edgeax.at_once(recipe))
    return edgeax.export(
        model,
        values.output,
        samples,
        io=values.io,
        runtime=values.runtime,
        strict=values.strict,
        optimize=values.optimize,
        target=values.target,
    )


def _define_tune(values: flags.FlagValues) -> None:
    flags.DEFINE_string("output", None, "The JSON file to write.", flag_values=values)


def _tune(positional: list[str], values: flags.FlagValues) -> None:
    if not values.output:
        raise ValueError(f"`--output` must be given. Usage: edgeax tune {_COMMANDS['tune'].usage}")
    with _native_stderr_silenced():
        speeds = edgeax.tune(values.output)
    rows = [
        {
            "layer": entry.shape.name,
            "weights": entry.form.name,
            "times as fast as int8": entry.speed,
            "noise": entry.noise,
        }
        for entry in speeds.entries
    ]
    print(f"{speeds.title}\n\n{text_table(rows)}")


def _define_mcu(values: flags.FlagValues) -> None:
    from edgeax.runtime.mcu.targets import TARGETS

    flags.DEFINE_enum("target", "cortex-m4", [*TARGETS], "The processor.", flag_values=values)
    flags.DEFINE_string("output", None, "The folder to write.", flag_values=values)
    flags.DEFINE_integer(
        "ram_bytes", None, "The most static RAM it may take.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_enum(
        "rounding",
        "double",
        ["double", "single"],
        "double: integers of TensorFlow Lite Micro; single: of LiteRT.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "name", None, "Namespace and stem of the files; else after the file.", flag_values=values
    )
    flags.DEFINE_boolean(
        "estimate", False, "Only tell what it takes; write no files.", flag_values=values
    )
    flags.DEFINE_boolean(
        "train", False, "Write C++ that goes on training layers.", flag_values=values
    )
    flags.DEFINE_string(
        "trainable",
        "1",
        "With --train: how many last layers learn, biases, or places or names, by commas.",
        flag_values=values,
    )
    _define_json(values)


def _mcu(positional: list[str], values: flags.FlagValues) -> None:
    if values.estimate:
        _mcu_estimate(positional, values)
        return
    if not values.output:
        raise ValueError(
            f"`--output` must be given, or `--estimate`. Usage: edgeax mcu {_COMMANDS['mcu'].usage}"
        )
    options = {"target": values.target, "ram_bytes": values.ram_bytes, "name": values.name}
    if values.train and values.rounding != "double":
        raise ValueError(
            f"`--train` must have double rounding. Received: {values.rounding}. Leave it out."
        )
    with _native_stderr_silenced():
        if values.train:
            report = edgeax.mcu.generate_training(
                positional[0], values.output, trainable=_trainable(values.trainable), **options
            )
        else:
            report = edgeax.mcu.generate(
                positional[0], values.output, rounding=values.rounding, **options
            )
    _write_json(values.json, report.as_dict())
    print(report)


def _trainable(text: str) -> int | str | list[int | str]:
    """Returns how many last layers, "biases", or places and names of layers."""
    if text.isdecimal():
        return int(text)
    if text == "biases":
        return text
    return [int(word) if word.isdecimal() else word for word in text.split(",") if word]


def _mcu_estimate(positional: list[str], values: flags.FlagValues) -> None:
    found = edgeax.mcu.estimate(
        positional[0], target=values.target, ram_bytes=values.ram_bytes, rounding=values.rounding
    )
    _write_json(values.json, found.as_dict())
    print(found)


def _methods(positional: list[str], values: flags.FlagValues) -> None:
    missing = _import_rooms()
    if missing:
        print(
            f"edgeax: without {', '.join(missing)} only a part of the methods can be listed. "
            'Run `pip install "edgeax[train]"` for the others.',
            file=sys.stderr,
        )
    rows = [dataclasses.asdict(method) for method in methods()]
    _write_json(values.json, rows)
    print(text_table(rows))


def _delegate_path(positional: list[str], values: flags.FlagValues) -> None:
    print(edgeax.delegate_path())


_COMMANDS = {
    "inspect": _Command(
        _inspect,
        "FILE [--json FILE]",
        "Shows operators, tensors, bits and bytes of a .tflite file, and if it needs the plugin.",
        _define_json,
        1,
    ),
    "compress": _Command(
        _compress,
        "MODEL.keras --recipe R --samples x.npy --output FILE [--calibration C] "
        "[--corrections C,...] [--runtime stock] [--optimize size|latency] [--target T] "
        "[--io int8] [--strict] [--json FILE]",
        "Rounds a saved Keras model without training it, and writes the .tflite file.",
        _define_compress,
        1,
    ),
    "run": _Command(
        _run,
        "FILE --input x.npy --output y.npy [--num_threads N] [--raw]",
        "Runs a .tflite file on real values.",
        _define_run,
        1,
    ),
    "tune": _Command(
        _tune,
        "--output FILE",
        "Measures our operators on this machine, for compress --optimize latency --target FILE.",
        _define_tune,
        0,
    ),
    "mcu": _Command(
        _mcu,
        "FILE --output DIR | --estimate [--target T] [--ram_bytes N] [--rounding single] "
        "[--train] [--trainable LAYERS] [--name NAME] [--json FILE]",
        "Writes C++ for a microcontroller that computes what a .tflite file does.",
        _define_mcu,
        1,
    ),
    "methods": _Command(
        _methods,
        "[--json FILE]",
        "Lists the techniques from the literature that edgeax implements.",
        _define_json,
        0,
    ),
    "delegate-path": _Command(
        _delegate_path,
        "",
        "Prints where the plugin library for stock interpreters lies.",
        _define_nothing,
        0,
    ),
}


def _import_rooms() -> list[str]:
    """Imports every module of the package, so that all methods are registered.

    Returns:
        The packages that are missing for some of the modules, sorted.
    """
    missing: set[str] = set()

    def import_module(name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package == "edgeax":  # a fault of ours, not of the installation
                raise
            missing.add(package)
            return None

    for room in pkgutil.iter_modules(edgeax.__path__, "edgeax."):
        package = import_module(room.name) if room.ispkg else None
        for module in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{room.name}."):
            import_module(module.name)
    return sorted(missing)


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Drops what C++ libraries log; their errors come back as exceptions too.

    Without it a bad input would be said in more than our one line.
    """
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)
        os.close(nowhere)


def _write_json(path: str | None, value: Any) -> None:
    if path is not None:
        write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def _load_arrays(path: str, flag: str = "--input") -> Any:
    """An array from a .npy file, or a dict of arrays from an .npz file."""
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`{flag}` must be a .npy or .npz file of numbers. Received: {path}, which is none. "
            "Write it with numpy.save."
        ) from error


def _save_array(path: str, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    write_atomically(path, content.getvalue())


def _save_arrays(path: str, arrays: dict[str, np.ndarray]) -> None:
    if Path(path).suffix != ".npz":
        raise ValueError(
            f"`--output` must end in .npz for a file with several outputs, {list(arrays)}. "
            f"Received: {path}."
        )
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())
