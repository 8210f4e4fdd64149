import numpy as np

from benchmarks import layer_kinds
from benchmarks.layer_kinds import KINDS
from edgeax.formats import grouped_rows
from edgeax.formats.layer_shape import conv


def test_inputs_of_binary_layers_are_signs():
    kinds = {kind.name: kind for kind in KINDS}
    assert kinds["binary"].inputs == (-50, 50)  # -1 and 1 in steps of 0.02
    assert kinds["ternary"].inputs == range(-128, 128)


def test_inputs_of_sums_of_signs_are_such_sums():
    kinds = {kind.name: kind for kind in KINDS}
    sums = kinds["sums of 2 signs"]
    assert sums.inputs == (-50, 0, 50)
    layer = sums.draw(conv(2, 64, 16, 1), np.random.default_rng(1))
    assert layer.operator == "EdgeaxSignSum" and layer.options["planes"] == 2
    assert layer.options["bases"] == 1


def test_groups_of_32_are_whole_steps_of_4_bits():
    kinds = {kind.name: kind for kind in KINDS}
    layer = kinds["int4_g32_int8"].draw(conv(2, 64, 16, 1), np.random.default_rng(1))
    assert grouped_rows.grouped_rows(layer.weights, 32).bits == 4
    assert layer.options["group_bits"] == 5


def test_sparse_kinds_have_the_block_of_their_name():
    kinds = {kind.name: kind for kind in KINDS}
    shape = conv(2, 64, 16, 1)
    for name, channels in (("1x4", 1), ("4x4", 4), ("16x4", 16)):
        layer = kinds[f"sparse 75 % {name}"].draw(shape, np.random.default_rng(1))
        left = layer.weights.reshape(16 // channels, channels, 16, 4) != 0
        assert left.mean() == 0.25
        assert np.array_equal(left.any(axis=(1, 3)), left.all(axis=(1, 3)))
        assert len(np.unique(left[:, 0], axis=0)) == len(left)


def test_the_shapes_are_those_of_the_issue_and_every_target_is_measured():
    assert [shape.name for shape in layer_kinds.CONVOLUTIONS] == [
        "conv3x3 56,64,64",
        "conv3x3 28,128,128",
        "conv3x3 14,256,256",
        "conv3x3 7,512,512",
        "conv1x1 56,64,256",
        "conv1x1 14,512,512",
    ]
    for kind in KINDS:
        for wanted in kind.wanted:
            assert set(wanted.shapes) <= set(kind.shapes)
            assert not wanted.cold or set(wanted.shapes) <= set(layer_kinds.COLD)
