import pytest

from edgeax.runtime.mcu import cmsis_nn
from edgeax.runtime.mcu.cmsis_nn import second_program
from tests.runtime.mcu import image_networks, networks


def test_a_second_program_has_steps_and_a_plan_of_its_own() -> None:
    second = second_program(image_networks.separable(), "cortex-m55", None, "double")
    assert second.plan is not None and second.why_not == ""
    theirs, ours = cmsis_nn.shares(second.plan)
    assert len(theirs) == 7 and not ours
    scratch = max(sum(stage.locals.values()) for stage in second.plan.stages)
    assert scratch >= 4 * 124 * 9  # of a depthwise convolution by Helium


@pytest.mark.parametrize(
    "network, target, rounding, why_not",
    [
        (networks.dense_chain, "host", "double", ""),
        (networks.dense_chain, "rv32", "double", ""),
        (networks.dense_chain, "cortex-m4", "single", "CMSIS-NN rounds twice, this program once"),
        (networks.reshaped, "cortex-m4", "double", "CMSIS-NN computes no layer of this program"),
    ],
)
def test_there_is_none_where_it_is_of_no_use(network, target, rounding, why_not) -> None:
    assert second_program(network(), target, None, rounding) == cmsis_nn.Second(None, why_not)


def test_little_memory_is_for_our_kernels() -> None:
    """Those of Helium want 4,464 bytes for a depthwise convolution of 3 x 3."""
    data = image_networks.separable()
    second = second_program(data, "cortex-m55", 3_600, "double")
    assert second.plan is not None and second.plan.ram_bytes <= 3_600
    theirs, ours = cmsis_nn.shares(second.plan)
    assert {label.split(" ")[1].strip(",") for label in ours} == {"DEPTHWISE_CONV_2D"} and theirs
    none = second_program(data, "cortex-m55", 10, "double")
    assert none == cmsis_nn.Second(None, "no plan for CMSIS-NN fits 10 bytes")


def test_who_computes_what_is_told_in_words() -> None:
    assert cmsis_nn.told(["0 ADD, y"], []) == "1 of 1 steps"
    assert cmsis_nn.told(["0 ADD, y"], ["1 SUB, z"]) == "1 of 2 steps, without 1 SUB, z"
    assert cmsis_nn.told([], ["0 SUB, z\n#error"]) == "0 of 1 steps, without 0 SUB, z?#error"
