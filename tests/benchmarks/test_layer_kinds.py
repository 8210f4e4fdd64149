from benchmarks import layer_kinds
from benchmarks.layer_kinds import KINDS


def test_inputs_of_binary_layers_are_signs():
    kinds = {kind.name: kind for kind in KINDS}
    assert kinds["binary"].inputs == (-50, 50)  # -1 and 1 in steps of 0.02
    assert kinds["ternary"].inputs == range(-128, 128)


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
