import numpy as np
import pytest

from edgeax.transforms import MultiStepSign, ShiftedSigns, TernaryActivation
from tests.transforms.bound import activation_chain, value_and_gradients

BATCH = np.float32([[-3.0, -1.0, 0.5, 1.5]])


def test_thw17_each_sign_is_of_what_the_former_left():
    # E|x| = 1.5; what is left is -1.5, 0.5, -1, 0, of mean magnitude 0.75.
    chain = activation_chain(MultiStepSign(2), BATCH)
    value, _ = value_and_gradients(chain, BATCH, np.ones_like(BATCH))
    assert value.tolist() == [[-2.25, -0.75, 0.75, 2.25]]
    assert chain.transforms[0].means.mean.numpy().tolist() == [1.5, 0.75]


def test_thw17_the_residual_energy_falls_with_every_sign():
    batch = np.random.default_rng(0).normal(size=(8, 50)).astype(np.float32)
    energy = np.mean(np.square(batch))
    for steps in (1, 2, 3, 4):
        chain = activation_chain(MultiStepSign(steps), batch)
        gain = chain.transforms[0].means.mean.numpy()[-1]
        # E(|r| - E|r|)**2 = E r**2 - (E|r|)**2
        left = np.mean(np.square(chain.call(batch) - batch))
        assert left == pytest.approx(energy - gain**2, rel=1e-4)
        assert gain > 0.0
        energy = left


def test_wsl18_activations_are_zero_within_a_part_of_the_mean():
    chain = activation_chain(TernaryActivation(0.4), BATCH)  # 0.4 * 1.5 = 0.6
    value, gradient = value_and_gradients(chain, BATCH, np.ones_like(BATCH))
    assert value.tolist() == [[-1.0, -1.0, 0.0, 1.0]]
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]
    # A batch ten times as large: the average moves a tenth of the way.
    chain.call(10 * BATCH, training=True)
    assert chain.transforms[0].means.mean.numpy() == pytest.approx(0.9 * 1.5 + 0.1 * 15)


def test_lzp17_shifts_and_gains_get_the_gradients_worked_out_by_hand():
    chain = activation_chain(ShiftedSigns(2))
    signs = chain.transforms[0]
    signs.shifts.assign([0.0, 0.25])
    signs.gains.assign([2.0, 3.0])
    batch = np.float32([[-0.125, 0.375, 0.625, 1.5]])
    upstream = np.float32([[1.0, 10.0, 100.0, 1000.0]])
    value, to_batch, to_shifts, to_gains = value_and_gradients(
        chain, batch, upstream, [signs.shifts, signs.gains]
    )
    # Thresholds 0.5 and 0.25: signs - - + +, and - + + +.
    assert value.tolist() == [[-5.0, 1.0, 5.0, 5.0]]
    # x + shift lies in [0, 1] for the two in the middle; with the second shift also for -0.125.
    assert to_batch.tolist() == [[3.0, 50.0, 500.0, 0.0]]
    assert to_shifts.tolist() == [2 * 110.0, 3 * 111.0]
    assert to_gains.tolist() == [1100.0 - 11.0, 1110.0 - 1.0]
