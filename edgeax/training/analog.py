"""Phase-change memory (PCM): what a network computes with once its weights are conductances.

A weight is held by a pair of devices, `w = (G+ - G-) * w_max / g_max`, of which the one of the
other sign is programmed to 0. Each device is programmed with an error, drifts from then on, and is
read with noise. Nothing here needs a graph: it is done to arrays.
"""

import math
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.rewrite import strip

G_MAX = 25.0
"""Largest conductance, in microsiemens."""

T_PROGRAMMED = 20.0
"""Seconds after programming at which conductances are what programming made them."""

DAY = 86400.0

_READ = 250e-9  # seconds that a read lasts
_SMALLEST = 1e-7  # relative conductance; keeps logarithms and powers finite

_TEST = "tests/training/test_analog.py::"


def programming_sigma(g: Any) -> np.ndarray:
    """Returns the standard deviation of a programmed conductance, in microsiemens.

    `0.26348 + 1.965 g - 1.1731 g**2`, at least 0.

    Args:
        g: Wanted conductance over `G_MAX`, 0 to 1.
    """
    g = np.asarray(g, np.float64)
    return np.maximum(0.26348 + 1.965 * g - 1.1731 * g**2, 0.0)


def drift_exponent(g: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of the drift exponent nu, over devices.

    `clip(-0.0155 ln g + 0.0244, 0.049, 0.1)` and `clip(-0.0125 ln g - 0.0059, 0.008, 0.045)`.

    Args:
        g: Wanted conductance over `G_MAX`, 0 to 1.
    """
    logs = np.log(np.maximum(np.asarray(g, np.float64), _SMALLEST))
    mean = np.clip(-0.0155 * logs + 0.0244, 0.049, 0.1)
    return mean, np.clip(-0.0125 * logs - 0.0059, 0.008, 0.045)


def read_sigma(g: Any, seconds: float) -> np.ndarray:
    """Returns the standard deviation of the read noise as a fraction of the conductance.

    `min(0.0088 / g**0.65, 0.2) * sqrt(ln((t + 250 ns) / 500 ns))`

    Args:
        g: Wanted conductance over `G_MAX`, 0 to 1.
        seconds: Time t since programming, above 250 ns.
    """
    g = np.maximum(np.asarray(g, np.float64), _SMALLEST)
    return np.minimum(0.0088 / g**0.65, 0.2) * math.sqrt(math.log((seconds + _READ) / (2 * _READ)))


@implements("JLGH20", test=_TEST + "test_jlgh20_device_formulas_are_those_worked_out_by_hand")
def pcm_weight(
    weight: np.ndarray,
    seconds: float = DAY,
    seed: Any = 0,
    drift_compensation: bool = True,
) -> np.ndarray:
    """Returns a weight as it is read from phase-change memory some time after programming.

    Of each device, with g its wanted conductance over 25 uS:

    - programmed: `G = 25 g + programming_sigma(g) * normal`, at least 0;
    - after t seconds: `G * (t / 20)**-nu` with `nu` drawn by `drift_exponent(g)`, at least 0;
    - read: `G * (1 + read_sigma(g, t) * normal)`, at least 0.

    Global drift compensation multiplies by one number, the sum of all conductances that were
    programmed over the sum of those that are read.

    Source: [JLGH20], its figures as in IBM's aihwkit.

    Args:
        weight: Real values of any shape. The largest magnitude gets the largest conductance.
        seconds: Time since programming, at least 20.
        seed: Of all draws: what `numpy.random.default_rng` takes. The same seed gives the same
            devices at every time, up to the read noise.
        drift_compensation: Whether drift is compensated for globally.

    Returns:
        float32, shape of `weight`.

    Raises:
        ValueError: `seconds` is below 20 or infinite, or a weight is not finite.
    """
    weight = np.asarray(weight, np.float64)
    if not T_PROGRAMMED <= seconds < math.inf:
        raise ValueError(
            f"`seconds` must be at least {T_PROGRAMMED:g}, when programming has settled, and "
            f"finite. Received: seconds={seconds}."
        )
    if not np.isfinite(weight).all():
        raise ValueError(
            "`weight` must be finite. Received: NaN or infinity. Train again with a smaller "
            "learning rate."
        )
    largest = float(np.max(np.abs(weight), initial=0.0))
    if largest == 0.0:
        return np.zeros(weight.shape, np.float32)
    draws = np.random.default_rng(seed)
    wanted = np.stack([np.maximum(weight, 0.0), np.maximum(-weight, 0.0)]) / largest
    noise = draws.standard_normal((3, *wanted.shape))
    programmed = np.maximum(G_MAX * wanted + programming_sigma(wanted) * noise[0], 0.0)
    mean, spread = drift_exponent(wanted)
    drift = np.maximum(mean + spread * noise[1], 0.0)
    drifted = programmed * (seconds / T_PROGRAMMED) ** -drift
    read = np.maximum(drifted * (1.0 + read_sigma(wanted, seconds) * noise[2]), 0.0)
    gain = float(programmed.sum() / read.sum()) if drift_compensation and read.any() else 1.0
    return (gain * (read[0] - read[1]) * largest / G_MAX).astype(np.float32)


@implements("JLGH20", test=_TEST + "test_jlgh20_a_network_trained_with_noise_loses_less")
def noisy_weight(weight: np.ndarray, eta: float = 0.038, seed: Any = 0) -> np.ndarray:
    """Returns a weight plus normal noise of `eta` times its largest magnitude.

    The device in one number, for comparisons. Source: [JLGH20].

    Args:
        weight: Real values of any shape.
        eta: Standard deviation as a fraction of the largest magnitude, at least 0.
        seed: What `numpy.random.default_rng` takes.

    Returns:
        float32, shape of `weight`.

    Raises:
        ValueError: `eta` is below 0 or not finite.
    """
    if not 0.0 <= eta < math.inf:
        raise ValueError(f"`eta` must be at least 0 and finite. Received: eta={eta}.")
    weight = np.asarray(weight, np.float32)
    width = eta * float(np.max(np.abs(weight), initial=0.0))
    noise = np.random.default_rng(seed).standard_normal(weight.shape)
    return (weight + width * noise).astype(np.float32)


def deployed(
    model: keras.Model,
    seconds: float = DAY,
    seed: int = 0,
    drift_compensation: bool = True,
    eta: float | None = None,
) -> keras.Model:
    """Returns a plain copy of a model whose kernels are as they are read from analog memory.

    Biases, batch normalization and embeddings stay as they are, as digital circuits hold them.
    Each seed is another chip. Batch normalization can be estimated anew afterwards.

    Args:
        model: Plain or compressed; of a compressed one, the transformed weights are deployed.
        seconds: Time since programming, at least 20.
        seed: Of all draws, at least 0.
        drift_compensation: Whether drift is compensated for globally, in each kernel.
        eta: None for phase-change memory as in `pcm_weight`; a number for normal noise of this
            fraction of the largest weight, as in `noisy_weight`, at any time.

    Raises:
        ValueError: An argument is out of its range, or the model has no weights.

    Example: `edgeax.analog.deployed(model, seconds=3600, seed=7).evaluate(x, y)`
    """
    copy = strip(model)
    for place, kernel in enumerate(_kernels(copy)):
        value, own = np.asarray(kernel, np.float32), [seed, place]
        if eta is not None:
            kernel.assign(noisy_weight(value, eta, own))
        else:
            kernel.assign(pcm_weight(value, seconds, own, drift_compensation))
    return copy


def _kernels(model: keras.Model) -> list[keras.Variable]:
    return [variable for variable in model.variables if variable.name.endswith("kernel")]
