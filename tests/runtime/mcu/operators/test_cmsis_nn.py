from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import cmsis_nn
from edgeax.runtime.mcu.program import Step, Window
from tests.emulation.cmsis_nn import HERE
from tests.runtime.mcu import cmsis_nn_layers, cmsis_nn_programs, image_networks, product_cases
from tests.runtime.mcu.cmsis_nn_layers import LAYERS

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m55")
CHECKED = ("-fsanitize=address,undefined", "-fno-sanitize-recover")


def step_of(drawn: product_cases.Drawn, target: str = "cortex-m4") -> Step | None:
    return cmsis_nn.step_of(node_of(drawn, target))


def node_of(drawn: product_cases.Drawn, target: str = "cortex-m4") -> Node:
    return drawn.node(target, "double")


@pytest.mark.parametrize("core", CORES)
def test_cmsis_nn_computes_all_layers_but_those_whose_windows_it_gets_wrong(core: str) -> None:
    theirs, ours = cmsis_nn_programs.labels(cmsis_nn_layers.layers(), core)
    wrong = [number for number, layer in enumerate(LAYERS) if not layer.is_theirs]
    assert [int(label.split()[0]) for label in ours] == wrong
    assert len(theirs) == len(LAYERS) - len(wrong)
    assert cmsis_nn_programs.labels(cmsis_nn_layers.others(), core)[1] == []


@pytest.mark.parametrize(
    "name, core", [("layers", "cortex-m4"), ("layers", "cortex-m55"), ("others", "cortex-m4")]
)
def test_its_layers_give_what_the_interpreter_gives(name: str, core: str, tmp_path: Path) -> None:
    data = getattr(cmsis_nn_layers, name)()
    cmsis_nn_programs.write_program(data, tmp_path / "net", core)
    library = cmsis_nn_programs.stand_in(HERE)
    outcome = cmsis_nn_programs.run_here(tmp_path / "net", library, *CHECKED)
    assert outcome.code == 0, outcome.output


def test_two_columns_of_zeros_on_the_right_are_ours() -> None:
    """The function for windows of 3 x 3 reads one of them."""
    for right, expected in ((1, []), (2, ["1 DEPTHWISE_CONV_2D, "])):
        model = image_networks.image((1, 6, 7, 4))
        padded = image_networks.pad(model, 0, (1, 1), (0, right))
        model.outputs = [image_networks.depthwise(model, padded, 3, padding=image_networks.VALID)]
        ours = cmsis_nn_programs.labels(model.write(), "cortex-m4")[1]
        assert [label[: label.index(",") + 2] for label in ours] == expected


def test_weights_lie_as_in_the_file_and_factors_in_words() -> None:
    drawn = product_cases.conv2d(1, (1, 9, 8, 4), 6, (3, 5), (2, 1), (2, 1))
    step = step_of(drawn)
    assert step is not None and (step.kernel, step.header) == ("CmsisConv2D", "cmsis_nn.h")
    assert step.extent == Window(9, 5, kernel=3, stride=2, dilation=2, pad=2)
    fields, node = step.arguments.fields, node_of(drawn)
    assert np.array_equal(fields["weights"].data, node.constant(1).reshape(-1))
    assert [fields[name].data.dtype for name in ("multiplier", "shift", "bias")] == ["int32"] * 3
    assert fields["scratch_bytes"] == step.scratch_bytes == 2 * 60 * 2


def test_a_dense_layer_has_its_zero_point_in_the_bias() -> None:
    node = node_of(product_cases.fully_connected(3, (1, 12), 5))
    step = cmsis_nn.step_of(node)
    assert step is not None and step.kernel == "CmsisFullyConnected"
    weights, zero_point = node.constant(1).astype(np.int64), int(node.input(0).zero_point[0])
    expected = node.constant(2).reshape(-1) - zero_point * weights.sum(axis=1)
    assert np.array_equal(step.arguments.fields["bias"].data, expected)
    assert step.scratch_bytes == 0


def test_a_dense_layer_with_a_factor_per_channel_is_a_convolution() -> None:
    for shape, per_channel in (((2, 12), True), ((4, 12), False)):
        step = step_of(product_cases.fully_connected(3, shape, 5, per_channel=per_channel))
        assert step is not None and step.kernel == "CmsisConv2D"


@pytest.mark.parametrize("gain, is_theirs", [(1.0, True), (1e9, False)])
def test_sums_that_would_wrap_are_ours(gain: float, is_theirs: bool) -> None:
    step = step_of(product_cases.fully_connected(3, (1, 12), 5, gain=gain))
    assert (step is not None) == is_theirs


def test_sixteen_bits_are_ours() -> None:
    assert step_of(product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3), dtype="int16")) is None
