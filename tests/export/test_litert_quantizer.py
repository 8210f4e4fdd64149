"""litert-quantizer's recipes on our files: where the package is installed."""

import numpy as np
import pytest

import edgeax
from tests.model import small_models

litert_quantizer = pytest.importorskip("litert_quantizer", reason="needs litert-quantizer")


@pytest.fixture(scope="module")
def float_file(tmp_path_factory):
    """Returns a float file, its samples and its outputs."""
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    samples = small_models.images(20)
    edgeax.export(small_models.convolutional(), path, samples, activations="float32", measure=False)
    return path, samples, edgeax.Interpreter(path).run(samples)


@pytest.mark.parametrize(
    "recipe", ["dynamic_wi8_afp32", "weight_only_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16"]
)
def test_its_recipes_quantize_a_file_of_ours(recipe, float_file, tmp_path):
    path, samples, expected = float_file
    quantizer = litert_quantizer.Quantizer(str(path))
    quantizer.load_quantization_recipe(getattr(litert_quantizer.recipe, recipe)())
    calibration = None
    if quantizer.need_calibration:
        interpreter = edgeax.Interpreter(path)
        (signature,) = interpreter.get_signature_list()
        (name,) = interpreter.get_signature_list()[signature]["inputs"]
        calibration = quantizer.calibrate(
            {signature: [{name: samples[at : at + 1]} for at in range(len(samples))]}
        )
    quantizer.quantize(calibration).export_model(str(tmp_path / "smaller.tflite"))
    found = edgeax.Interpreter(tmp_path / "smaller.tflite").run(samples)
    assert (tmp_path / "smaller.tflite").stat().st_size > 0
    error = np.abs(found - expected)
    assert error.max() < 0.15 and error.mean() < 0.02
