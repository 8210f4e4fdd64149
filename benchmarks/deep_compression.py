"""Deep compression on MNIST: bytes of the `.tflite` file on disk, and the error of that file.

Caffe's LeNet-300-100 and LeNet-5 are trained, pruned, clustered and rounded to integers, and
exported by `edgeax.export(..., optimize="size")`. The setting "paper" is held to the figures of
[SH16], "beyond" prunes harder. Errors are those of files: in the stock interpreter with the plugin,
in per cent of all 10,000 test images. The float file has built-in operators only.

Nothing is chosen in a run. Sparsities and epochs are near those of `benchmarks.lenet_pruning`,
whose docstring says how they were found; those of clustering were taken without a search. LeNet-5
"beyond" was given fewer weights after a run on these seeds, whose file was 7 % too long and whose
error was 0.68 %.

Beside it stands TensorFlow's Model Optimization Toolkit in an environment of its own: the same
network pruned as much, clustered to as many values with its sparsity preserved, int8 after training
and compressed by gzip, because its files are as large as dense ones.

Images come from `mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets. `--quick` is
a smoke test on the bundled piece of Fashion-MNIST, without the toolkit.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

import edgeax
from benchmarks.formats import BATCH, Images, images, say
from benchmarks.harness import REPOSITORY, Benchmark, run
from benchmarks.lenet_pruning import NETWORKS, Phase, admm, copied, learn, magnitude
from benchmarks.peers import peer_python
from benchmarks.workers import in_processes

SEEDS = (1, 2)
SAMPLES = 512
CLUSTERS = 16
CLUSTERING = Phase(8, 1e-3)

Kernel = Callable[[int], edgeax.transforms.Transform]


@dataclasses.dataclass(frozen=True)
class Setting:
    """How far a network is compressed.

    Attributes:
        name: `"paper"` or `"beyond"`.
        kernels: Of each layer what makes the pruning of its kernel; gets the steps of an epoch.
        phases: The training until it is clustered.
        most_bytes: Target: bytes of the file.
        most_error: Target: its error in per cent.
    """

    name: str
    kernels: Mapping[str, Kernel]
    phases: Sequence[Phase]
    most_bytes: int
    most_error: float

    def recipe(self, steps: int) -> edgeax.Recipe:
        """Returns the recipe; `steps` are those of an epoch."""
        begin = sum(phase.epochs for phase in self.phases) * steps
        activation = edgeax.Quantize("int8", begin_step=begin)
        rules = [edgeax.Rule(".*", input=activation, output=activation)]
        for layer, make in self.kernels.items():
            kernel = [make(steps), edgeax.Cluster(CLUSTERS, "density", begin_step=begin)]
            rules.append(edgeax.Rule(f"^{layer}$", kernel=[*kernel, edgeax.Quantize("int8")]))
        return edgeax.Recipe(rules)


PAPER = {
    "LeNet-300-100": {"ip1": 0.95, "ip2": 0.9, "ip3": 0.5},
    "LeNet-5": {"conv1": 0.2, "conv2": 0.8, "ip1": 0.928, "ip2": 0.7},
}
"""Sparsities of the setting "paper", which the toolkit gets too."""

TOOLKIT_EPOCHS = {"LeNet-300-100": (20, 70, 8), "LeNet-5": (12, 36, 8)}
"""Of the toolkit's network: dense, while and behind pruning, clustered."""

SETTINGS = {
    "LeNet-300-100": (
        Setting(
            "paper",
            magnitude(30, **PAPER["LeNet-300-100"]),
            (Phase(30, 0.02, 0.1, 0.9, 1e-4), Phase(40, 2e-3)),
            most_bytes=27_000,
            most_error=1.6,
        ),
        Setting(
            "beyond",
            admm(10, ip1=0.974, ip2=0.95, ip3=0.6),
            (Phase(10, 1e-3, 1.0), Phase(30, 2e-3)),
            most_bytes=14_000,
            most_error=2.0,
        ),
    ),
    "LeNet-5": (
        Setting(
            "paper",
            magnitude(12, **PAPER["LeNet-5"]),
            (Phase(12, 0.02, 0.1, 0.9, 1e-4), Phase(24, 2e-3)),
            most_bytes=44_000,
            most_error=0.8,
        ),
        Setting(
            "beyond",
            admm(5, 3, conv1=(0.3, 0.5), conv2=(0.85, 0.945), ip1=(0.96, 0.9915), ip2=(0.75, 0.92)),
            (Phase(13, 1e-3, 1.0), Phase(28, 2e-3)),
            most_bytes=13_000,
            most_error=0.95,
        ),
    ),
}


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each network and setting, and the targets the issue names."""
    seeds = SEEDS[:1] if quick else SEEDS
    data = images("mnist", quick).name
    found = in_processes(measured, [(net, seed, quick) for net in SETTINGS for seed in seeds])
    if not quick:
        peer_python("tfmot")  # made once, before two ask for it
    toolkit = in_processes(by_toolkit, [] if quick else [(net,) for net in SETTINGS])
    for i, (net, settings) in enumerate(SETTINGS.items()):
        of_seeds = found[i * len(seeds) : (i + 1) * len(seeds)]
        for setting in settings:
            add_row(benchmark, net, setting, data, [files[setting.name] for files in of_seeds])
        if toolkit:
            benchmark.row(net=net, setting="TFMOT, like paper", data=data, **toolkit[i])


def measured(net: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """Returns bytes and errors of the files of each setting, with a seed."""
    data = images("mnist", quick)
    keras.utils.set_random_seed(seed)
    dense = NETWORKS[net].make()
    learn(dense, data, NETWORKS[net].dense, seed, quick)
    in_float = of_file(dense, data, "float_", activations="float32")
    found = {}
    for setting in SETTINGS[net]:
        found[setting.name] = {**compressed(dense, setting, data, seed, quick), **in_float}
        say(f"{net}, {setting.name}, seed {seed}: {found[setting.name]}")
    return found


def compressed(
    dense: keras.Model, setting: Setting, data: Images, seed: int, quick: bool
) -> dict[str, float]:
    """Returns bytes and error of a network that is compressed from a dense one."""
    keras.utils.set_random_seed(seed)
    steps = len(data.x) // BATCH
    model = edgeax.compress(copied(dense), setting.recipe(1 if quick else steps))
    for phase in (*setting.phases, CLUSTERING):
        learn(model, data, phase, seed, quick)
    return of_file(model, data, "", optimize="size")


def of_file(model: keras.Model, data: Images, prefix: str, **how: str) -> dict[str, float]:
    """Returns bytes and error of the file of a network, by names that begin with `prefix`.

    Args:
        model: The network.
        data: Its images.
        prefix: What names begin with.
        **how: Arguments of `edgeax.export`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.tflite")
        edgeax.export(model, path, data.x[:SAMPLES], measure=False, **how)
        answers = edgeax.Interpreter(path).run(data.x_test).argmax(-1)
        error = 100.0 * float(np.mean(answers != data.y_test))
        return {f"{prefix}file_bytes": path.stat().st_size, f"{prefix}error_percent": error}


def by_toolkit(net: str) -> dict[str, float]:
    """Returns bytes, bytes behind gzip and error of a network that the toolkit compresses."""
    data = images("mnist", False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.npz")
        np.savez(path, x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
        work = ["--net", net, "--images", str(path), "--clusters", str(CLUSTERS)]
        work += ["--sparsities", json.dumps(PAPER[net])]
        work += ["--epochs", json.dumps(TOOLKIT_EPOCHS[net])]
        command = [str(peer_python("tfmot")), "-m", "benchmarks.children.compress_tfmot", *work]
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def add_row(
    benchmark: Benchmark,
    net: str,
    setting: Setting,
    data: str,
    seeds: Sequence[Mapping[str, float]],
) -> None:
    """Adds the row of a setting, means over the seeds, and its two targets."""
    means = {name: statistics.mean(row[name] for row in seeds) for name in seeds[0]}
    errors = [row["error_percent"] for row in seeds]
    place = benchmark.row(
        net=net,
        setting=setting.name,
        data=data,
        file_bytes=max(row["file_bytes"] for row in seeds),
        error_percent=means["error_percent"],
        spread=max(errors) - min(errors),
        float_bytes=means["float_file_bytes"],
        float_error_percent=means["float_error_percent"],
        seeds=len(seeds),
    )
    for name, value, most in (
        ("file bytes", max(row["file_bytes"] for row in seeds), setting.most_bytes),
        ("error percent", means["error_percent"], setting.most_error),
    ):
        what = f"{net}, {setting.name}: {name}"
        benchmark.wanted(what, value, f"<= {most}", value <= most, row=place)


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("deep_compression", measure)


if __name__ == "__main__":
    sys.exit(main())
