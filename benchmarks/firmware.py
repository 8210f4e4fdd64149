"""Generated programs as firmware of emulated boards: what they take, run and give, exactly.

A program is linked with a main that fills its inputs, calls it once and prints what it found. What
the program takes stands in the linker's map: the sections of its own objects and of the library
that it uses, without the main and the start-up code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.emulation import boards, counting, places
from tests.emulation.cmsis_nn import Library

_SECTION = re.compile(r"^ (\.\S+|COMMON)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S.*)$", re.MULTILINE)
_PORT = re.compile(r"^(const )?(\w+)\* (\w+)\(\);", re.MULTILINE)
_KERNELS = "tflite_kernels"  # folder of sources that do not see the program's headers
_PAINTED_BYTES = 32768


@dataclass(frozen=True)
class Section:
    """A section of an object that is part of firmware.

    Attributes:
        name: As the compiler names it.
        size: Its bytes.
        owner: The file of the object, or the library with it in parentheses.
    """

    name: str
    size: int
    owner: str

    @property
    def is_flash(self) -> bool:
        """Whether its content lies in flash."""
        return self.size > 0 and self.name.startswith((".text", ".rodata", ".data", ".init_array"))

    @property
    def is_ram(self) -> bool:
        """Whether it lies in RAM."""
        return self.name.startswith((".data", ".bss")) or self.name == "COMMON"


@dataclass(frozen=True)
class Firmware:
    """A program that is built.

    Attributes:
        core: Name of the board.
        file: The ELF file.
        sections: Of the program, in the order of the map.
    """

    core: str
    file: Path
    sections: tuple[Section, ...]

    @property
    def flash_bytes(self) -> int:
        """Bytes of code and constants."""
        return sum(section.size for section in self.sections if section.is_flash)

    @property
    def ram_bytes(self) -> int:
        """Static bytes of RAM."""
        return sum(section.size for section in self.sections if section.is_ram)


@dataclass(frozen=True)
class Outcome:
    """What a program did.

    Attributes:
        instructions: Of one call of `invoke`.
        stack_bytes: The most bytes of stack that `invoke` used.
        input_crc: crc32 of the inputs, one after the other.
        output_crc: The same of the outputs.
    """

    instructions: int
    stack_bytes: int
    input_crc: int
    output_crc: int


class Bench:
    """Builds and runs; objects that do not change are compiled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects: dict[str, Path] = {}
        self._plugin = counting.build_plugin(folder / "counter.so")

    def build(
        self, core: str, program: Path, name: str, cmsis_nn: Library | None = None
    ) -> Firmware:
        """Builds a generated program, with all kernels that it has beside it.

        Args:
            core: Name of a board.
            program: Folder that `generate` wrote.
            name: Name of the program.
            cmsis_nn: What computes what it can; None: our kernels compute all.
        """
        main = self._folder / "main.cc"
        main.write_text(main_text((program / f"{name}.h").read_text(), name))
        sources = [*program.glob(f"{name}.cc"), *program.glob(f"{name}_cmsis_nn.cc")]
        sources += sorted((program / _KERNELS).rglob("*.cc"))
        return self.link(core, main, sources, program, cmsis_nn=cmsis_nn)

    def link(
        self,
        core: str,
        main: Path,
        sources: Iterable[Path],
        include: Path,
        flags: Sequence[str] = (),
        cmsis_nn: Library | None = None,
    ) -> Firmware:
        """Links a main with sources that count as the program.

        Args:
            core: Name of a board.
            main: Source of the main.
            sources: The program's.
            include: Folder that all of them include from.
            flags: Of the linker.
            cmsis_nn: As of `build`.
        """
        compile_flags = cmsis_nn.flags if cmsis_nn else []
        objects = [self.compiled(core, source, include, compile_flags) for source in sources]
        objects += [cmsis_nn.file] if cmsis_nn else []
        file, map_file = self._folder / "firmware.elf", self._folder / "firmware.map"
        own = self.compiled(core, main, include, compile_flags)
        boards.build(core, [own, *objects], file, [f"-Wl,-Map={map_file}", *flags])
        others = {str(own), f"{file}.startup.o"}
        sections = sections_of(map_file.read_text())
        return Firmware(core, file, tuple(s for s in sections if s.owner not in others))

    def compiled(
        self, core: str, source: Path, include: Path, more_flags: Sequence[str] = ()
    ) -> Path:
        """Compiles a source, unless it was compiled for this core before, with the same headers."""
        words = [core, source.name, *more_flags, source.read_text()]
        key = sha256("\n".join(words).encode())
        headers = [] if _KERNELS in source.parts else sorted(include.glob("*.h"))
        for header in headers:
            key.update(header.read_bytes())
        name = key.hexdigest()[:20]
        if name not in self._objects:
            flags = [f"-I{include}", f"-I{places.COUNTER}", *more_flags]
            output = self._folder / f"{source.stem}-{name}.o"
            self._objects[name] = boards.compile_object(core, source, output, flags)
        return self._objects[name]

    def run(self, firmware: Firmware) -> Outcome:
        """Runs the firmware of a generated program once.

        Raises:
            RuntimeError: It failed.
        """
        regions, words = self.count(firmware)
        stack, inputs, outputs = (int(word, 16) for word in words.split())
        return Outcome(regions[0].instructions, stack, inputs, outputs)

    def count(self, firmware: Firmware) -> tuple[dict[int, counting.Region], str]:
        """Runs any firmware; returns the instructions of its regions and what it printed.

        Raises:
            RuntimeError: It failed.
        """
        counts = self._folder / "counts"
        outcome = boards.run(
            firmware.core, firmware.file, counting.plugin_option(self._plugin, counts)
        )
        if outcome.code != 0:
            raise RuntimeError(
                f"{firmware.file} must end with 0 on {firmware.core}. Received: exit code "
                f"{outcome.code}. It said:\n{outcome.output}"
            )
        return counting.read(counts), outcome.output


def sections_of(map_text: str) -> Iterator[Section]:
    """Yields the sections that the linker kept."""
    kept = map_text.partition("Linker script and memory map")[2]
    for name, size, owner in _SECTION.findall(kept):
        yield Section(name, int(size, 16), owner)


def main_text(header: str, name: str) -> str:
    """Returns a main that calls a generated program.

    It prints, in hexadecimal digits, the bytes of stack, the crc32 of all inputs and that of all
    outputs. Bytes of inputs are the upper ones of x = x * 1664525 + 1013904223, from x = 1 on.

    Args:
        header: Text of the program's header.
        name: Its name.
    """
    ports = [
        (bool(const), f"{name}::{port}()", f"{name}::{port}_size * sizeof({kind})")
        for const, kind, port in _PORT.findall(header)
    ]
    inputs = [port for port in ports if not port[0]]
    outputs = [port for port in ports if port[0]]
    reset = f"  {name}::reset();" if re.search(r"^void reset\(\);", header, re.MULTILINE) else ""
    return "\n".join(
        [
            f'#include "{name}.h"',
            PRELUDE,
            "int main() {",
            reset,
            "  uint32_t sum = ~0u, x = 1;",
            *(f"  Fill({memory}, {size}, &x);" for _, memory, size in inputs),
            *(f"  Add({memory}, {size}, &sum);" for _, memory, size in inputs),
            "  uint32_t* const stack = StackPointer();",
            "  Paint(stack);",
            "  EDGEAX_REGION_BEGIN(0);",
            f"  {name}::invoke();",
            "  EDGEAX_REGION_END(0);",
            "  Print(UsedBytes(stack));",
            "  Print(~sum);",
            "  sum = ~0u;",
            *(f"  Add({memory}, {size}, &sum);" for _, memory, size in outputs),
            "  Print(~sum);",
            "  return 0;",
            "}",
            "",
        ]
    )


PRELUDE = f"""
#include "markers.h"
#include "semihosting.h"

namespace {{

constexpr uint32_t kPaint = 0xC5C5C5C5;
constexpr int kPaintedWords = {_PAINTED_BYTES // 4};

[[maybe_unused]] void Fill(void* memory, size_t size, uint32_t* x) {{
  for (uint8_t* at = static_cast<uint8_t*>(memory); size > 0; --size) {{
    *x = *x * 1664525u + 1013904223u;
    *at++ = static_cast<uint8_t>(*x >> 24);
  }}
}}

[[maybe_unused]] void Add(const void* memory, size_t size, uint32_t* sum) {{
  for (const uint8_t* at = static_cast<const uint8_t*>(memory); size > 0; --size) {{
    *sum ^= *at++;
    for (int bit = 0; bit < 8; ++bit) *sum = (*sum >> 1) ^ (0xEDB88320u & (0u - (*sum & 1)));
  }}
}}

inline __attribute__((always_inline)) uint32_t* StackPointer() {{
  uint32_t* place;
  __asm__ volatile("mov %0, sp" : "=r"(place));
  return place;
}}

// Nothing lies below the stack pointer, so main itself may write there.
inline __attribute__((always_inline)) void Paint(uint32_t* stack) {{
  for (volatile uint32_t* at = stack - kPaintedWords; at < stack; ++at) *at = kPaint;
}}

inline __attribute__((always_inline)) uint32_t UsedBytes(uint32_t* stack) {{
  const volatile uint32_t* at = stack - kPaintedWords;
  while (at < stack && *at == kPaint) ++at;
  return static_cast<uint32_t>(stack - at) * 4;
}}

void Print(uint32_t word) {{
  char text[10] = {{}};
  for (int digit = 0; digit < 8; ++digit) {{
    text[digit] = "0123456789abcdef"[(word >> (28 - 4 * digit)) & 15];
  }}
  text[8] = ' ';
  semihosting::Print(text);
}}

}}  // namespace
"""
