"""What firmware takes and runs, against numbers that were counted by hand."""

import zlib

import pytest

from benchmarks.firmware import Bench, Section, main_text, sections_of
from edgeax.runtime.mcu.generate import generate
from tests.emulation import require
from tests.runtime.mcu import cmsis_nn_programs, networks

HEADER = """
namespace net {
constexpr size_t x_size = 3;
int8_t* x();
constexpr size_t y_size = 3;
const int8_t* y();
void invoke();
}
"""
PROGRAM = """
#include <stddef.h>
#include <stdint.h>
#include "net.h"
namespace {
int8_t arena[24];
const int32_t kConstants[5] = {3, 1, 4, 1, 5};
}
namespace net {
int8_t* x() { return arena; }
const int8_t* y() { return arena; }
__attribute__((noinline)) void Deep() {
  volatile uint32_t room[64];
  for (int i = 0; i < 64; ++i) room[i] = i;
}
void invoke() {
  Deep();
  for (int i = 0; i < 3; ++i) {
    arena[i] = static_cast<int8_t>(arena[i] + const_cast<const volatile int32_t*>(kConstants)[i]);
  }
}
}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    require.board_tools()
    require.counter()
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def program(tmp_path):
    (tmp_path / "net.h").write_text("#include <stddef.h>\n#include <stdint.h>\n" + HEADER)
    (tmp_path / "net.cc").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_a_program_is_measured(core, bench, program):
    firmware = bench.build(core, program, "net")
    outcome = bench.run(firmware)
    drawn = [0x3C, 0x00, 0x00]
    x = 1
    for place in range(3):
        x = (x * 1664525 + 1013904223) % 2**32
        drawn[place] = x >> 24
    given = bytes((code + more) % 256 for code, more in zip(drawn, (3, 1, 4), strict=True))
    assert outcome.input_crc == zlib.crc32(bytes(drawn))
    assert outcome.output_crc == zlib.crc32(given)
    assert firmware.ram_bytes == 24
    assert 256 <= outcome.stack_bytes < 300
    assert 64 * 2 < outcome.instructions < 64 * 8
    (constants,) = [s.size for s in firmware.sections if "kConstants" in s.name]
    assert constants == 20
    code = sum(s.size for s in firmware.sections if s.name.startswith(".text"))
    assert firmware.flash_bytes == 20 + code and 40 < code < 200


def test_objects_are_compiled_again_when_a_header_changed(bench, program):
    first = bench.compiled("cortex-m4", program / "net.cc", program)
    assert bench.compiled("cortex-m4", program / "net.cc", program) == first
    header = program / "net.h"
    header.write_text(header.read_text().replace("x_size = 3", "x_size = 2"))
    assert bench.compiled("cortex-m4", program / "net.cc", program) != first


def test_firmware_that_fails_is_named_with_what_it_said(bench, program):
    main = program / "main.cc"
    main.write_text("int main() { return 3; }")
    firmware = bench.link("cortex-m4", main, [program / "net.cc"], program)
    with pytest.raises(RuntimeError, match="must end with 0 on cortex-m4.*exit code 3"):
        bench.count(firmware)


def test_sections_are_those_behind_the_discarded_ones():
    text = """
Discarded input sections
 .text._Z4Gonev 0x0000000000000000       0x30 /a/net.o
Linker script and memory map
 .text._Z4Keptv
                0x0000000000000010       0x24 /a/net.o
                0x0000000000000010                Kept()
 *fill*         0x0000000000000034        0x4
 .bss.arena     0x0000000020000000      0x100 /a/net.o
"""
    assert list(sections_of(text)) == [
        Section(".text._Z4Keptv", 0x24, "/a/net.o"),
        Section(".bss.arena", 0x100, "/a/net.o"),
    ]


def test_state_is_reset_and_all_ports_are_filled():
    header = HEADER.replace("int8_t* x();", "int8_t* x();\nint16_t* z();\nvoid reset();")
    text = main_text(header, "net")
    assert text.index("net::reset();") < text.index("Fill(net::x(), net::x_size * sizeof(int8_t)")
    assert "Fill(net::z(), net::z_size * sizeof(int16_t), &x)" in text
    assert "Fill(net::y()" not in text


def test_a_program_by_cmsis_nn_is_measured(bench, tmp_path):
    report = generate(networks.dense_chain(), tmp_path / "net", "cortex-m4", name="net")
    ours = bench.build("cortex-m4", tmp_path / "net", "net")
    expected = bench.run(ours)
    library = cmsis_nn_programs.stand_in("cortex-m4")
    firmware = bench.build("cortex-m4", tmp_path / "net", "net", library)
    assert bench.run(firmware).output_crc == expected.output_crc
    assert firmware.ram_bytes == report.cmsis_nn.ram_bytes
    owners = {section.owner for section in firmware.sections if section.size}
    assert any("net_cmsis_nn-" in owner for owner in owners)
    assert str(library.file) in owners
