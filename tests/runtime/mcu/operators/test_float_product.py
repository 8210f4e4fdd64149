"""Products of floats with packed weights give the plugin's bits, here and on boards."""

from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.generate import generate
from tests.emulation import boards, process, require
from tests.runtime.mcu import generated, native_steps
from tests.runtime.mcu.packed_cases import step_of
from tests.tflite_kernels import float_cases, models

NAME = float_cases.OPERATOR
GOLDEN = float_cases.golden_cases()


def made(case: float_cases.FloatCase) -> np.ndarray:
    step = step_of(float_cases.model_of(case).write(), "host", "double")
    return native_steps.run(step, [case.input], (case.output_shape, "float32"))


def chain(seeds: tuple[int, ...]) -> bytes:
    """A file of such products, one behind the other, and nothing else."""
    model = models.Model()
    model.inputs = [model.add(models.Tensor("x", (2, 30), np.float32))]
    last, random = model.inputs[0], np.random.default_rng(7)
    for seed in seeds:
        depth = model.tensors[last].shape[1]
        drawn = float_cases.draw(seed)
        drawn.options = {"keep_num_dims": 0, "group": 8, "activation": (seed + 1) % 4}
        drawn.input = np.zeros((2, depth), np.float32)
        drawn.codes = random.integers(0, drawn.codebook.size, (11, depth), dtype=np.uint8)
        drawn.codebook = np.float32(random.normal(size=drawn.codebook.size))
        drawn.bias = np.float32(random.normal(size=11))
        drawn.scale = np.float32(0.2 * random.normal(size=(11, -(-depth // 8))))
        last = float_cases.add_case(model, drawn, last)
    model.outputs = [last]
    return model.write()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_golden_bits_come_out(case):
    np.testing.assert_array_equal(made(case), case.expected)


@pytest.mark.parametrize("seed", range(24))
def test_bits_are_those_of_the_plugins_kernel(seed):
    case = float_cases.draw(seed)
    np.testing.assert_array_equal(made(case), float_cases.run("reference", case))


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_a_program_of_floats_gives_what_the_interpreter_gives(rounding, tmp_path):
    outcome = generated.run(chain((0, 1, 2, 3)), tmp_path / "net", rounding=rounding)
    assert generated.is_success(outcome)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_boards_give_the_same_bits(core: str, tmp_path: Path) -> None:
    require.board_tools()
    generate(chain((0, 1, 2, 3)), tmp_path / "net", target=core, name="net")
    flags = [f"-I{tmp_path / 'net'}", "-DEDGEAX_QUIET", "-Werror"]
    program = boards.build(core, generated.sources(tmp_path / "net"), tmp_path / "net.elf", flags)
    assert boards.run(core, program) == process.Outcome("", 0)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"codebook": np.zeros(5, np.float32)}, "its codebook must have one of"),
        ({"bias": np.zeros(99, np.float32)}, "its bias must have the shape"),
        ({"scale": np.zeros((1, 99), np.float32)}, "its scales must have the shape"),
    ],
)
def test_damaged_layers_are_refused_with_their_place(changes, words):
    model = float_cases.model_of(float_cases.draw(5))
    for tensor in model.tensors:
        if tensor.name in changes:
            tensor.data = changes[tensor.name]
            tensor.shape = tensor.data.shape
    with pytest.raises(ValueError, match=f"operator 0 {NAME}, y: {words}"):
        step_of(model.write(), "host", "double")
