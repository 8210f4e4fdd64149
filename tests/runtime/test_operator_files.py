import numpy as np
import pytest

import edgeax
from edgeax.formats.layer_shape import (
    DEPTHWISE,
    FULLY_CONNECTED,
    LayerShape,
    conv,
    depthwise,
    fully_connected,
)
from edgeax.runtime import drawn_layers, operator_files
from edgeax.runtime.drawn_layers import (
    ONE,
    POINTS,
    blocks,
    codebook,
    groups,
    lookups,
    middles_of,
    sign_sums,
    sums_of,
)
from edgeax.runtime.placed_inputs import on_points, on_steps

SHAPES = (
    conv(5, 8, 6, 3),
    conv(4, 3, 8, 5, stride=2),
    conv(4, 16, 8, 1),
    depthwise(6, 16, 3),
    depthwise(3, 8, 3, stride=2),
    fully_connected(64, 100),
    LayerShape(FULLY_CONNECTED, (3, 1), (1, 1), (1, 1), 20, 30),
)
DRAWS = {
    "4 bits": codebook(4),
    "1 bit": codebook(1),
    "sparse": blocks(4, 4, 16),
    "groups": groups(4, 16),
    "lookup": lookups(4),
    "two signs": sign_sums(2, 1),
    "three signs": sign_sums(3, 2),
}
# What puts inputs where those of the kind are put.
PLACES = {
    "lookup": lambda file: on_points(file, POINTS * ONE),
    "two signs": lambda file: on_steps(file, [-25, 25], sums_of(2)),
    "three signs": lambda file: on_steps(file, middles_of(sums_of(3)), sums_of(3)),
}
ONLY_CODES = ("4 bits", "1 bit")


def answer(file, codes):
    return edgeax.Interpreter(model_content=file, num_threads=1).run(codes, raw=True)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_our_operator_and_the_built_in_one_compute_the_same(kind, shape):
    if kind not in ONLY_CODES and shape.layer == DEPTHWISE:
        pytest.skip("there is no such operator")
    source = np.random.default_rng(1)
    layer = DRAWS[kind](shape, source)
    scale = source.uniform(0.005, 0.01, shape.outputs).astype(np.float32)
    codes = source.integers(-128, 128, shape.input, dtype=np.int8)
    options = drawn_layers.as_options(layer, shape)
    ours = answer(operator_files.custom_file(shape, layer.weights, scale, **options), codes)
    rival = operator_files.built_in_file(shape, layer.weights, scale, "int8")
    theirs = answer(PLACES.get(kind, bytes)(rival), codes)
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
