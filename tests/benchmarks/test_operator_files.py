import numpy as np
import pytest

import edgeax
from benchmarks import layer_kinds, operator_files
from benchmarks.operator_files import conv, fully_connected

SHAPES = (conv(5, 8, 6, 3), conv(4, 16, 8, 1), fully_connected(64, 100))


def answer(file, codes):
    return edgeax.Interpreter(model_content=file, num_threads=1).run(codes, raw=True)


@pytest.mark.parametrize("kind", layer_kinds.KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_our_operator_and_the_built_in_one_compute_the_same(kind, shape):
    source = np.random.default_rng(1)
    layer = kind.draw(shape, source)
    scale = source.uniform(0.005, 0.01, shape.outputs).astype(np.float32)
    codes = source.integers(-128, 128, shape.input, dtype=np.int8)
    options = layer_kinds.as_options(layer, shape)
    ours = answer(operator_files.custom_file(shape, layer.weights, scale, **options), codes)
    theirs = answer(operator_files.built_in_file(shape, layer.weights, scale, "int8"), codes)
    assert ours.shape == shape.output
    assert np.abs(ours.astype(np.int32) - theirs).max() <= 1  # XNNPACK rounds in float32
    assert len(np.unique(ours)) > 20  # neither all zeros nor all at a limit


def test_int4_weights_take_half_the_bytes():
    shape = fully_connected(512, 512)
    weights = np.random.default_rng(0).integers(-8, 8, (512, 512), dtype=np.int8)
    scale = np.full(512, 0.01, np.float32)
    files = {d: operator_files.built_in_file(shape, weights, scale, d) for d in ("int8", "int4")}
    assert len(files["int8"]) - len(files["int4"]) == 512 * 512 // 2
    codes = np.random.default_rng(1).integers(-128, 128, (1, 512), dtype=np.int8)
    int8, int4 = (answer(file, codes) for file in files.values())
    assert np.abs(int8.astype(np.int32) - int4).max() <= 1


def test_a_shape_knows_its_products():
    shape = conv(56, 64, 128, 3)
    assert (shape.name, shape.depth, shape.output) == ("conv3x3 56,64,128", 576, (1, 56, 56, 128))
    assert shape.macs == 56 * 56 * 128 * 576
    assert fully_connected(300, 10).macs == 3000
