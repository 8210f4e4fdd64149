"""Trained in few bits: the accuracy of a CNN under each arithmetic against float32.

A convolutional network with batch normalization is trained on a part of Fashion-MNIST, its images
halved to 14x14, for equally many epochs from the same first weights, under each arithmetic of
`edgeax.training`. "FP8 in one sum" has neither chunks nor a loss scale nor stochastic updates; "FP8
alone" stores its weights in FP8 too and must be visibly worse, or the emulation would not do its
job. SWALP's weights are averaged over the last third of the steps by `edgeax.callbacks.SWA`, which
estimates its batch normalizations anew. What goes from width to width looks at the training ten
times in an epoch, for there are few: MuPPET and FracTrain's PFQ by their callbacks. In FracTrain's
DFQ a gate chooses the widths of each layer and sample; its weights are drawn beside the gate's.

The arithmetics are emulated bit by bit (bfloat16 and fp16 by casts): times say what the emulation
costs, not what hardware would gain. Points lost are against float, means over the seeds; the spread
is highest less lowest. The test images are read once per row.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets.
`--quick` is a smoke test on a few images with one seed.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.formats import Images, images, percent, say
from benchmarks.harness import Benchmark, run
from edgeax.formats import Minifloat
from edgeax.optimizers import RoundedSGD
from edgeax.training import Arithmetic

SEEDS = (0, 1)
COUNT = 9600
EPOCHS = 3
BATCH = 64
RATE = 0.1
MOMENTUM = 0.9
MOST_POINTS_LOST = 0.5
VISIBLY_WORSE = 2.0
LOOKS = 10  # in an epoch, of what decides at the end of epochs

layers = keras.layers

Optimizer = Callable[[Any], keras.optimizers.Optimizer]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the report.

    Attributes:
        name: What it is called.
        recipe: Returns the recipe, None for float.
        optimizer: Returns the optimizer for a learning rate.
        averages: Whether the weights of the last third of the steps are averaged.
        target: `"close"` to float, visibly `"worse"`, or None.
        policy: Makes the callback that decides on widths, if there is one.
        gated: Whether a gate chooses the widths of samples.
    """

    name: str
    recipe: Callable[[], edgeax.Recipe | None]
    optimizer: Optimizer
    averages: bool = False
    target: str | None = None
    policy: Callable[[], keras.callbacks.Callback] | None = None
    gated: bool = False


def sgd(rate: Any) -> keras.optimizers.Optimizer:
    """Returns SGD with momentum in float32."""
    return keras.optimizers.SGD(rate, MOMENTUM)


def rounded(format: str | Minifloat, rounding: str = "stochastic") -> Optimizer:
    """Returns what makes an SGD whose sums are rounded."""
    return lambda rate: RoundedSGD(rate, MOMENTUM, format=format, rounding=rounding)


def of(name: str) -> Callable[[], edgeax.Recipe]:
    """Returns what makes the recipe of an arithmetic by name."""
    return lambda: edgeax.Recipe(arithmetic=name)


def fp8_with_chunks() -> edgeax.Recipe:
    """Returns FP8 as the paper has it: the last layer in 16 bits."""
    return edgeax.Recipe([edgeax.Rule("@last", arithmetic="wide_fp8")], arithmetic="fp8")


def fp8_in_one_sum() -> edgeax.Recipe:
    """Returns FP8 with 16-bit weights, but neither chunks nor a loss scale."""
    narrow, half = Minifloat(5, 2), Minifloat(6, 9)
    return edgeax.Recipe(arithmetic=Arithmetic(narrow, narrow, half, half, half))


def fp8_alone() -> edgeax.Recipe:
    """Returns FP8 without anything that makes it work: weights are stored in it too."""
    narrow, half = Minifloat(5, 2), Minifloat(6, 9)
    return edgeax.Recipe(arithmetic=Arithmetic(narrow, narrow, narrow, narrow, half))


def progressive() -> keras.callbacks.Callback:
    """Returns FracTrain's policy with the thresholds of its code; the paper has lower ones."""
    return edgeax.callbacks.ProgressivePrecision(threshold=0.15, decay=0.4)


SETTINGS = (
    Setting("float", lambda: None, sgd),
    Setting("bfloat16", of("bfloat16"), sgd, target="close"),
    Setting("fp16 + scaling", of("fp16"), sgd, target="close"),
    Setting("16-bit fixed point", of("fixed16"), sgd),
    Setting("HBFP8", of("hbfp"), sgd, target="close"),
    Setting("DFP16", of("dfp16"), sgd),
    Setting("Flexpoint", of("flexpoint"), sgd, target="close"),
    Setting("dynamic fixed point", of("dynamic_fixed"), sgd),
    Setting("SWALP8", of("swalp"), rounded("swalp8"), averages=True, target="close"),
    Setting("MuPPET", of("muppet"), sgd, policy=edgeax.callbacks.MuPPET),
    Setting("PFQ", of("pfq"), sgd, policy=progressive),
    Setting("DFQ", lambda: None, sgd, gated=True),
    Setting("powers of two", of("powers_of_two"), sgd),
    Setting("S2FP8", of("s2fp8"), sgd, target="close"),
    Setting("FP8 enhanced", of("enhanced_fp8"), sgd),
    Setting("FP8 + chunks", fp8_with_chunks, rounded("fp16_e6m9"), target="close"),
    Setting("FP8 in one sum", fp8_in_one_sum, rounded("fp16_e6m9", "nearest")),
    Setting("FP8 alone", fp8_alone, rounded(Minifloat(5, 2), "nearest"), target="worse"),
)


def network(gate: edgeax.layers.PrecisionGate | None = None) -> keras.Model:
    """Returns the network, for images `(14, 14, 1)`; its outputs are logits.

    Args:
        gate: What chooses the widths of its convolutions, None if nothing does.
    """
    given = keras.Input((14, 14, 1))
    x = given
    for place, (filters, strides) in enumerate(((16, 1), (32, 2), (32, 2))):
        if gate is None:
            x = convolved(x, place, filters, strides)
        else:
            within = keras.Input(x.shape[1:])
            block = keras.Model(within, convolved(within, place, filters, strides))
            x = edgeax.layers.FractionalBlock(block, gate)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(10, name="logits")(x))


def convolved(x: Any, place: int, filters: int, strides: int) -> Any:
    """Returns a convolution of `x`, normalized and rectified."""
    conv = layers.Conv2D(
        filters, 3, strides=strides, padding="same", use_bias=False, name=f"conv{place}"
    )
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(conv(x)))


def halved(x: np.ndarray) -> np.ndarray:
    """Returns images `(count, 28, 28, 1)` as `(count, 14, 14, 1)`, means of four."""
    return x.reshape(len(x), 14, 2, 14, 2, 1).mean(axis=(2, 4))


def trained(setting: Setting, data: Images, seed: int, epochs: int) -> keras.Model:
    """Returns the network trained under an arithmetic."""
    keras.utils.set_random_seed(seed)
    plain = network(edgeax.layers.PrecisionGate() if setting.gated else None)
    recipe = setting.recipe()
    model = plain if recipe is None else edgeax.compress(plain, recipe)
    steps = epochs * (len(data.x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = setting.optimizer(rate)
    if recipe is not None:
        optimizer = edgeax.optimizers.loss_scaled(optimizer, recipe.loss_scale)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    averages = edgeax.callbacks.SWA(2 * epochs // 3, frequency=1, samples=data.x[:2048])
    callbacks = [averages] if setting.averages else []
    looks = 1
    if setting.policy is not None:
        callbacks.append(setting.policy())
        looks = math.gcd(LOOKS, len(data.x) // BATCH)
    keras.utils.set_random_seed(seed)
    count = len(data.x) // BATCH * BATCH
    model.fit(
        data.x[:count],
        data.y[:count],
        batch_size=BATCH,
        epochs=epochs * looks,
        steps_per_epoch=count // BATCH // looks,
        callbacks=callbacks,
        verbose=0,
    )
    return model


def measure(benchmark: Benchmark, quick: bool, settings: Sequence[Setting] = SETTINGS) -> None:
    """Fills the report with a row for each arithmetic, and the targets the issue names."""
    started = time.perf_counter()
    whole = images("fashion_mnist", quick)
    count = 256 if quick else COUNT
    data = dataclasses.replace(
        whole,
        x=halved(whole.x[:count]),
        y=whole.y[:count],
        x_test=halved(whole.x_test),
    )
    seeds, epochs = (SEEDS[:1], 1) if quick else (SEEDS, EPOCHS)
    found: dict[str, list[float]] = {}
    for setting in settings:
        begun = time.perf_counter()
        for seed in seeds:
            model = trained(setting, data, seed, epochs)
            right = percent(model, data.x_test, data.y_test)
            found.setdefault(setting.name, []).append(right)
            say(f"{setting.name}, seed {seed}: {right:.2f} %")
        seconds = (time.perf_counter() - begun) / len(seeds)
        add_row(benchmark, setting, data.name, found, seconds)
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def add_row(
    benchmark: Benchmark,
    setting: Setting,
    data: str,
    found: dict[str, list[float]],
    seconds: float,
) -> None:
    """Adds the row of an arithmetic and its target."""
    percents = found[setting.name]
    mean = statistics.mean(percents)
    lost = statistics.mean(found["float"]) - mean
    place = benchmark.row(
        arithmetic=setting.name,
        data=data,
        percent=mean,
        spread=max(percents) - min(percents),
        points_lost=lost,
        seconds=seconds,
        seeds=len(percents),
    )
    if setting.target == "close":
        text, holds = f"<= {MOST_POINTS_LOST}", lost <= MOST_POINTS_LOST
    elif setting.target == "worse":
        text, holds = f">= {VISIBLY_WORSE}", lost >= VISIBLY_WORSE
    else:
        return
    benchmark.wanted(f"{setting.name}: points lost", lost, text, holds, row=place)


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("low_precision_training", measure)


if __name__ == "__main__":
    sys.exit(main())
