"""Programs that train their last layer, on emulated microcontrollers.

Each row is a model on a board: all static bytes of RAM, the bytes of flash, the instructions of an
`infer` and of a step of `train`, counted exactly, and the mean cross entropy over 50 samples before
and after 50 steps on them. The samples of the dense network are of Fashion-MNIST; those of the
models of MLPerf Tiny in the folder EDGEAX_TEST_DATA/models, where they are, are drawn ones of
which there are three, so that their loss tells nothing but that the program runs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edgeax
from benchmarks.firmware import PRELUDE, Bench
from benchmarks.harness import Benchmark, run
from tests.runtime.mcu import training_files

CORES = ("cortex-m4", "cortex-m7")
KNOWN = {"ic": "ic_resnet8_int8.tflite", "vww": "vww_mobilenetv1_int8.tflite"}
STEPS = 50
MOST_RAM = 262_144

_MAIN = """
#include "net.h"
#include "test_vectors.h"
{prelude}
uint8_t saved[net::saved_bytes];
int8_t scores[net::classes];

int32_t Train(int i) {{
  const int sample = i % net_test::kSamples;
  int32_t loss = 0;
  net::train(net_test::{port}[sample], net_test::kLabels[sample], &loss);
  return loss;
}}

int main() {{
  uint32_t before = 0, after = 0;
  for (int i = 0; i < {steps}; ++i) {{
    net::reset();
    before += static_cast<uint32_t>(Train(i)) / {steps};
  }}
  net::reset();
  for (int i = 0; i < {steps}; ++i) {{
    EDGEAX_REGION_BEGIN(0);
    Train(i);
    EDGEAX_REGION_END(0);
  }}
  EDGEAX_REGION_BEGIN(1);
  net::infer(net_test::{port}[0], scores);
  EDGEAX_REGION_END(1);
  net::save(saved);
  for (int i = 0; i < {steps}; ++i) {{
    net::load(saved);
    after += static_cast<uint32_t>(Train(i)) / {steps};
  }}
  Print(before);
  Print(after);
  return 0;
}}
"""


def subjects(quick: bool) -> Iterator[tuple[str, bytes, Any]]:
    """Yields names, files and samples of models."""
    yield "dense 49-48-10", training_files.classifier(), training_files.clothes(STEPS)
    folder = Path(os.environ.get("EDGEAX_TEST_DATA", "")) / "models"
    for name, file in KNOWN.items():
        if not quick and (folder / file).is_file():
            yield name, (folder / file).read_bytes(), None


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each model and board."""
    for name, content, samples in subjects(quick):
        for core in CORES[:1] if quick else CORES:
            with tempfile.TemporaryDirectory() as folder:
                row = measured(Path(folder), content, core, samples)
            place = benchmark.row(model=name, board=core, **row)
            ram, before, after = (row[key] for key in ("ram_bytes", "loss_before", "loss_after"))
            what = f"{core}, {name}"
            benchmark.wanted(
                f"{what}: RAM bytes", ram, f"<= {MOST_RAM}", ram <= MOST_RAM, row=place
            )
            if samples is not None:
                benchmark.wanted(
                    f"{what}: loss after {STEPS} steps, of that before",
                    after / before,
                    "< 1",
                    after < before,
                    row=place,
                )


def measured(folder: Path, content: bytes, core: str, samples: Any) -> dict[str, Any]:
    """Returns the columns of a model on a board.

    Args:
        folder: An empty folder.
        content: Of the model's file.
        core: Name of the board.
        samples: As `edgeax.mcu.generate_training` takes them.
    """
    program = folder / "net"
    edgeax.mcu.generate_training(content, program, target=core, name="net", samples=samples)
    found = re.search(r" (\w+_in)\[", (program / "test_vectors.h").read_text())
    if found is None:
        raise RuntimeError("test_vectors.h must hold inputs. Received: none.")
    main = folder / "main.cc"
    main.write_text(_MAIN.format(prelude=PRELUDE, port=found[1], steps=STEPS))
    sources = [path for path in sorted(program.rglob("*.cc")) if path.name != "net_test.cc"]
    bench = Bench(folder)
    firmware = bench.link(core, main, sources, program)
    regions, words = bench.count(firmware)
    before, after = (int(word, 16) / 2**16 for word in words.split())
    return {
        "ram_bytes": firmware.ram_bytes,
        "flash_bytes": firmware.flash_bytes,
        "infer_instructions": regions[1].instructions,
        "step_instructions": regions[0].instructions // STEPS,
        "loss_before": before,
        "loss_after": after,
    }


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("mcu_training", measure)


if __name__ == "__main__":
    sys.exit(main())
