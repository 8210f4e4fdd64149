"""In which formats a layer is trained: those of transforms, arithmetic and the moment."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.cost import training_cost
from edgeax.formats.energy import FLOAT32, Width
from edgeax.model.training_formats import ChangingWidths
from edgeax.model.training_work import training_work
from edgeax.transforms import BitSchedule, BitStages, Quantize, QuantizeGradient

layers = keras.layers
HALF, EIGHT = Width(16, is_float=True), Width(8, is_float=True)


def two_dense(recipe):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, activation="relu"), layers.Dense(1, name="last")]
    )
    return edgeax.compress(model, recipe)


def last_of(model):
    return training_work(model, 8)[-1]


# Input, kernel, error, gradient of the kernel, sums, stored weights: as the papers have them.
FORMATS = {
    "bfloat16": (HALF, HALF, HALF, HALF, None, FLOAT32),
    "fp16": (HALF, HALF, HALF, HALF, None, FLOAT32),
    "fixed16": (*4 * [Width(16)], None, Width(16)),
    "fp8": (EIGHT, EIGHT, EIGHT, HALF, HALF, HALF),
    "enhanced_fp8": (EIGHT, EIGHT, EIGHT, EIGHT, None, HALF),
    "hbfp": (*3 * [Width(9)], FLOAT32, None, Width(16)),  # 8 bits and a sign
    "dynamic_fixed": (*4 * [Width(10)], None, Width(12)),
    "swalp": (*4 * [Width(8)], None, Width(8)),
    "wage": (Width(8), Width(2), Width(8), Width(8), None, FLOAT32),
    "dorefa": (Width(2), Width(1), Width(6), FLOAT32, None, FLOAT32),
    "powers_of_two": (FLOAT32, Width(7), Width(7), FLOAT32, None, FLOAT32),
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_arithmetic_is_seen_part_by_part(name):
    work = last_of(two_dense(edgeax.Recipe(arithmetic=name)))
    (forward,), (backward,), (weights,) = work.forward, work.input_gradient, work.weight_gradient
    value, kernel, error, gradient, sums, update = FORMATS[name]
    assert (forward.first.width, forward.second.width) == (value, kernel)
    assert (backward.first.width, backward.second.width) == (error, kernel)
    assert (weights.first.width, weights.second.width) == (value, error)
    assert weights.result.width == gradient and work.update == update
    assert {forward.sums, backward.sums, weights.sums} == {sums}


def test_low_precision_costs_less_in_the_order_of_its_widths():
    energies = [
        training_cost(two_dense(recipe), 8).total.energy_pj
        for recipe in (
            edgeax.Recipe(arithmetic="swalp"),
            edgeax.Recipe(arithmetic="fp8"),
            edgeax.Recipe(arithmetic="fp16"),
            edgeax.Recipe([edgeax.Rule("last", bias="bfloat16")]),
        )
    ]
    assert energies == sorted(energies) and energies[-1] > 2 * energies[0]


def test_gradients_of_slots_and_of_kernels_are_seen():
    rule = edgeax.Rule(
        ".*",
        kernel=["int4", QuantizeGradient("int6")],
        output=["int8", QuantizeGradient("int5")],
    )
    (weights,) = last_of(two_dense(edgeax.Recipe([rule]))).weight_gradient
    assert (weights.first.width, weights.second.width) == (Width(8), Width(5))
    assert weights.result.width == Width(6)


def test_fyz20_the_widths_of_the_stage_count():
    model = two_dense(edgeax.Recipe(arithmetic="pfq"))
    changing = ChangingWidths.of(model)
    assert sorted(changing.now()) == [8] * 6
    for _, bits in changing.found:
        bits.enter(1, np.zeros(20, np.float32))
    assert sorted(changing.now()) == [4, 4, 4, 4, 6, 6]
    work = last_of(model)
    assert (work.forward[0].bit_operations, work.input_gradient[0].bit_operations) == (
        8 * 2 * 4 * 4,
        8 * 2 * 6 * 4,
    )


def test_fgl21_the_width_of_the_step_counts():
    cyclic = BitSchedule([3, 4], [2])
    rule = edgeax.Rule(".*", kernel=Quantize("int4", axis=-1, bits=cyclic), output="int8")
    model = two_dense(edgeax.Recipe([rule]))
    model.compile("sgd", "mse")
    found = []
    for _ in range(3):
        found.append(last_of(model).forward[0].second.width.bits)
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    assert found == [3, 3, 4] and ChangingWidths.of(model).now() == (4, 4)


def test_plain_layers_have_no_widths_that_change():
    assert ChangingWidths.of(two_dense("static_wi8_ai8")).now() == ()
    stages = Quantize("int8", bits=BitStages([4, 8]))
    model = two_dense(edgeax.Recipe([edgeax.Rule("last", kernel=stages)]))
    assert ChangingWidths.of(model).now() == (8,)
