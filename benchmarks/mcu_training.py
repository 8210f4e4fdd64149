"""Programs that train, on emulated microcontrollers.

Each row is a model on a board: all static bytes of RAM, those of the stack, the bytes of flash, the
instructions of an `infer` and of a step of `train`, counted exactly, and the mean cross entropy
over 50 samples before and after 50 steps on them. The samples are of Fashion-MNIST. First weights
are those of a trained model where it is ic, of MLPerf Tiny in the folder EDGEAX_TEST_DATA/models,
where that is, trained on CIFAR-10; they are drawn in the dense network and the MobileNet, whose
sparse update is told in `mobile_net` of tests/runtime/mcu/trainable_networks.py. Of vww, which
tells persons from none, the last layer is trained on three drawn samples, so that its loss tells
nothing but that the program runs.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import edgeax
from benchmarks.firmware import PRELUDE, Bench
from benchmarks.harness import Benchmark, run
from edgeax.runtime.mcu.cpp_values import array_text
from tests.emulation import process
from tests.runtime.mcu import trainable_networks, training_files

CORES = ("cortex-m4", "cortex-m7")
IC, VWW = "ic_resnet8_int8.tflite", "vww_mobilenetv1_int8.tflite"
SPARSE_IC = {8: 0.25, 9: 0.25, 10: 0.0, 14: 1.0}  # convolutions of the last block, and its end
STEPS = 50
MOST_RAM = 262_144

_MAIN = """
#include "net.h"
{samples}
{prelude}
uint8_t saved[net::saved_bytes];
int8_t scores[net::classes];

int32_t Train(int i) {{
  const int sample = i % {count};
  int32_t loss = 0;
  net::train({port}[sample], {labels}[sample], &loss);
  return loss;
}}

int main() {{
  uint32_t before = 0, after = 0;
  net::reset();
  uint32_t* const stack = StackPointer();
  Paint(stack);
  Train(0);
  Print(UsedBytes(stack));
  net::reset();
  net::save(saved);
  for (int i = 0; i < {steps}; ++i) {{
    before += static_cast<uint32_t>(Train(i)) / {steps};
    net::load(saved);
  }}
  net::reset();
  for (int i = 0; i < {steps}; ++i) {{
    EDGEAX_REGION_BEGIN(0);
    Train(i);
    EDGEAX_REGION_END(0);
  }}
  EDGEAX_REGION_BEGIN(1);
  net::infer({port}[0], scores);
  EDGEAX_REGION_END(1);
  net::save(saved);
  for (int i = 0; i < {steps}; ++i) {{
    after += static_cast<uint32_t>(Train(i)) / {steps};
    net::load(saved);
  }}
  Print(before);
  Print(after);
  uint32_t checksum;
  __builtin_memcpy(&checksum, saved, 4);
  Print(checksum);
  return 0;
}}
"""


_HOST = """
#include <stdio.h>
#define EDGEAX_REGION_BEGIN(number)
#define EDGEAX_REGION_END(number)
uint32_t* StackPointer() { return nullptr; }
void Paint(uint32_t*) {}
uint32_t UsedBytes(uint32_t*) { return 0; }
void Print(uint32_t word) { printf("%08x ", static_cast<unsigned>(word)); }
"""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model that is trained.

    Attributes:
        name: For people.
        content: Of its file.
        samples: As `edgeax.mcu.generate_training` takes them; None: drawn ones.
        options: Others of its.
        board_steps: Steps that a board takes. Where they are fewer than 50, this machine takes so
            many too, which must give the same losses and weights, and then 50 for the losses.
    """

    name: str
    content: bytes
    samples: Any = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    board_steps: int = STEPS


def subjects(quick: bool) -> Iterator[Subject]:
    """Yields models."""
    dense, clothes = training_files.classifier(), training_files.clothes(STEPS)
    yield Subject("dense 49-48-10", dense, clothes)
    yield Subject("dense 49-48-10, all", dense, clothes, {"trainable": 2, "learning_rate_bits": 3})
    if quick:
        return
    folder = Path(os.environ.get("EDGEAX_TEST_DATA", "")) / "models"
    if (folder / IC).is_file():
        known, samples = (folder / IC).read_bytes(), training_files.color_clothes(STEPS, 32)
        yield Subject("ic", known, samples, {"test_steps": 2}, board_steps=2)
        options = {"trainable": SPARSE_IC, "learning_rate_bits": 3, "test_steps": 2}
        yield Subject("ic, sparse update", known, samples, options, board_steps=2)
    if (folder / VWW).is_file():
        yield Subject("vww", (folder / VWW).read_bytes(), board_steps=2)
    content, shares = trainable_networks.mobile_net()
    options = {"trainable": shares, "learning_rate_bits": 3, "test_steps": 2}
    samples = training_files.color_clothes(STEPS, 64)
    yield Subject("MobileNetV2 0.35", content, samples, options, board_steps=2)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each model and board."""
    for subject in subjects(quick):
        for core in CORES[:1] if quick else CORES:
            with tempfile.TemporaryDirectory() as folder:
                row = measured(Path(folder), subject, core)
            place = benchmark.row(model=subject.name, board=core, **row)
            ram = row["ram_bytes"] + row["stack_bytes"]
            before, after = row["loss_before"], row["loss_after"]
            what = f"{core}, {subject.name}"
            benchmark.wanted(
                f"{what}: RAM bytes with the stack",
                ram,
                f"<= {MOST_RAM}",
                ram <= MOST_RAM,
                row=place,
            )
            if subject.samples is not None:
                benchmark.wanted(
                    f"{what}: loss after {STEPS} steps, of that before",
                    after / before,
                    "< 1",
                    after < before,
                    row=place,
                )


def measured(folder: Path, subject: Subject, core: str) -> dict[str, Any]:
    """Returns the columns of a model on a board.

    Args:
        folder: An empty folder.
        subject: The model.
        core: Name of the board.
    """
    program = folder / "net"
    samples, options = subject.samples, subject.options
    edgeax.mcu.generate_training(
        subject.content, program, target=core, name="net", samples=samples, **options
    )
    main = folder / "main.cc"
    main.write_text(_main_text(program, subject, PRELUDE, subject.board_steps))
    sources = [path for path in sorted(program.rglob("*.cc")) if path.name != "net_test.cc"]
    bench = Bench(folder)
    firmware = bench.link(core, main, sources, program)
    regions, words = bench.count(firmware)
    stack, *learnt = (int(word, 16) for word in words.split())
    if subject.board_steps < STEPS:
        if _on_host(folder, subject, sources, subject.board_steps) != learnt:
            raise RuntimeError(f"{core} must learn what this machine does. Received: another.")
        learnt = _on_host(folder, subject, sources, STEPS)
    before, after, _ = learnt
    return {
        "ram_bytes": firmware.ram_bytes,
        "stack_bytes": stack,
        "flash_bytes": firmware.flash_bytes,
        "infer_instructions": regions[1].instructions,
        "step_instructions": regions[0].instructions // subject.board_steps,
        "loss_before": before / 2**16,
        "loss_after": after / 2**16,
    }


def _on_host(folder: Path, subject: Subject, sources: list[Path], steps: int) -> list[int]:
    """Returns the losses before and after some steps on this machine, and the checksum of saved."""
    main, program = folder / "host.cc", folder / "host"
    main.write_text(_main_text(folder / "net", subject, _HOST, steps))
    flags = ["-std=c++17", "-O2", f"-I{folder / 'net'}"]
    process.compile_or_raise(["g++", *flags, *map(str, (main, *sources)), "-o", str(program)])
    _, *learnt = process.run([program], timeout_s=300).output.split()
    return [int(word, 16) for word in learnt]


def _main_text(program: Path, subject: Subject, prelude: str, steps: int) -> str:
    """Returns a main that trains on the samples, or on those of the program's test."""
    words = {"prelude": prelude, "steps": steps}
    if subject.samples is None:
        found = re.search(r" (\w+_in)\[", (program / "test_vectors.h").read_text())
        if found is None:
            raise RuntimeError("test_vectors.h must hold inputs. Received: none.")
        port, labels = f"net_test::{found[1]}", "net_test::kLabels"
        where = {"port": port, "labels": labels, "count": "net_test::kSamples"}
        return _MAIN.format(samples='#include "test_vectors.h"', **words, **where)
    codes, labels = subject.samples
    rows = ",\n".join(f"{{{array_text(one)}}}" for one in codes)
    texts = [
        f"alignas(8) constexpr int8_t kInputs[{len(codes)}][{codes[0].size}] = {{{rows}}};",
        f"constexpr int32_t kLabels[] = {{{array_text(labels.astype(np.int32))}}};",
    ]
    where = {"port": "kInputs", "labels": "kLabels", "count": str(len(codes))}
    return _MAIN.format(samples="\n".join(texts), **words, **where)


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("mcu_training", measure)


if __name__ == "__main__":
    sys.exit(main())
