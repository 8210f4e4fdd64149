"""Writes the folder that run_plugin_check.py reads: `python -m tests.tflite_kernels.golden_folder
FOLDER`."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.tflite_kernels import float_cases, gradient_cases, models, native, sign_cases


def write(folder: Path) -> int:
    """Writes every golden vector of single rounding, and files that must be refused.

    Returns:
        The number of models.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [e for e in native.golden_entries() if e["rounding"] == "single"]
    for entry in entries:
        case = native.golden_case(entry)
        expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
        model = models.model_of(case)
        x, y = case.input, expected
        x, y = x.view(model.tensors[0].dtype), y.view(model.tensors[-1].dtype)
        _write(folder / case.name, model, x=x, y=y)
    floats = float_cases.golden_cases()
    for one in floats:
        _write(folder / one.name, float_cases.model_of(one), x=one.input, y=one.expected)
    gradients = [*gradient_cases.golden_cases(), *sign_cases.golden_cases(), *sign_cases.drawn()]
    for gradient in gradients:
        fed = {f"x_{name}": array for name, array in gradient.fed.items()}
        _write(
            folder / gradient.name, gradient_cases.model_of(gradient), y=gradient.expected, **fed
        )
    refused = native.golden_case(entries[0])
    cut = models.model_of(refused)
    cut.operators[0].custom_options = cut.operators[0].custom_options[:-4]
    _write(folder / "refused_options", cut, error="EdgeaxConv2D: the options must have 44 bytes")
    short = models.model_of(refused)
    short.tensors[2] = models.Tensor("bias", (1,), np.int32, data=np.zeros(1, np.int32))
    _write(folder / "refused_bias", short, error="EdgeaxConv2D: tensor bias must have the shape")
    return len(entries) + len(floats) + len(gradients) + 2


def inputs_of(golden: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs that a file of golden vectors holds, by their names in the model."""
    return {name.removeprefix("x_"): golden[name] for name in golden if name[0] == "x"}


def _write(path: Path, model: models.Model, **golden: object) -> None:
    path.with_suffix(".tflite").write_bytes(model.write())
    np.savez(path.with_suffix(".npz"), **golden)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])), "models")
