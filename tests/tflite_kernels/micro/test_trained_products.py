"""Products of layers that learn are those of plain loops: here, under sanitizers, and by the DSP
instructions of boards."""

from pathlib import Path

import pytest

from tests.emulation import boards, places, process, require

_SOURCE = places.REPOSITORY / "tflite_kernels" / "micro" / "trained_products.cc"
_SANITIZED = "-std=c++17 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined".split()

_MAIN = """
#include "tflite_kernels/micro/trained_products.h"

using namespace edgeax::micro;

namespace {

constexpr int32_t kMost = 21;

uint32_t state = 1;

// Extremes more often than others.
int32_t Drawn(int32_t low, int32_t high) {
  state = state * 1664525u + 1013904223u;
  const uint32_t drawn = state >> 8;
  if (drawn % 8 == 0) return low;
  if (drawn % 8 == 1) return high;
  return low + static_cast<int32_t>((drawn >> 3) % static_cast<uint32_t>(high - low + 1));
}

template <typename T>
void Fill(T* values, int32_t count, int32_t low, int32_t high) {
  for (int32_t i = 0; i < count; ++i) values[i] = static_cast<T>(Drawn(low, high));
}

alignas(4) int8_t codes[kMost + 3], rows[4 * kMost + 3];
alignas(4) int16_t errors[kMost + 1];
int32_t sums[kMost + 1], wanted[kMost + 1];

void Start() {
  Fill(codes, kMost + 3, -128, 127);
  Fill(rows, 4 * kMost + 3, -128, 127);
  Fill(errors, kMost + 1, -32767, 32767);
  Fill(sums, kMost + 1, -1000000, 1000000);
  for (int32_t i = 0; i <= kMost; ++i) wanted[i] = sums[i];
}

bool AreAsWanted() {
  for (int32_t i = 0; i <= kMost; ++i) {
    if (sums[i] != wanted[i]) return false;
  }
  return true;
}

// `at`: bytes between a word's beginning and the first code.
bool InnerProducts(int32_t count, int32_t at, int32_t zero_point) {
  Start();
  for (int32_t r = 0; r < kRows; ++r) {
    for (int32_t i = 0; i < count; ++i) {
      wanted[r] += (codes[at + i] - zero_point) * rows[r * kMost + i];
    }
  }
  AddInnerProducts(codes + at, zero_point, rows, kMost, count, sums);
  return AreAsWanted();
}

bool ScaledRows(int32_t count, int32_t at, int32_t zero_point) {
  Start();
  const int32_t factors[] = {errors[0], errors[1]};
  for (int32_t i = 0; i < count; ++i) {
    wanted[i] += factors[0] * (codes[at + i] - zero_point) + factors[1] * (rows[i] - zero_point);
  }
  AddScaledRows(factors[0], codes + at, factors[1], rows, zero_point, count, sums);
  return AreAsWanted();
}

template <int32_t kCount, typename T>
bool Products(const T* factors, int32_t at, int32_t zero_point) {
  Start();
  for (int32_t i = 0; i < kCount; ++i) wanted[i] += factors[i] * (codes[at + i] - zero_point);
  AddProducts<kCount>(factors, codes + at, zero_point, sums);
  return AreAsWanted();
}

// Rows whose factor is 0 are left out, and one of an odd number is added alone.
bool Sums(int32_t terms, int32_t zero_point) {
  Start();
  RowSum sum(zero_point, 5, sums);
  for (int32_t r = 0; r < terms; ++r) {
    const int32_t factor = r % 3 == 1 ? 0 : errors[r];
    for (int32_t i = 0; i < 5; ++i) wanted[i] += factor * (rows[5 * r + i] - zero_point);
    sum.Add(factor, rows + 5 * r);
  }
  sum.Finish();
  return AreAsWanted();
}

bool Lanes4And1(int32_t begin, int32_t end, bool together) {
  int32_t next = begin;
  bool is_right = true;
  ForEachLanes(begin, end, together, [&](auto lanes, int32_t first) {
    constexpr int32_t kCount = decltype(lanes)::count;
    is_right = is_right && first == next && kCount == (together && next + 4 <= end ? 4 : 1);
    next += kCount;
  });
  return is_right && next == end;
}

}  // namespace

int main() {
  for (int32_t zero_point = -128; zero_point < 128; zero_point += 51) {
    for (int32_t at = 0; at < 3; ++at) {
      for (int32_t count = 0; count <= kMost; ++count) {
        if (!InnerProducts(count, at, zero_point)) return 1;
        if (!ScaledRows(count, at, zero_point)) return 2;
      }
      if (!Products<4>(errors, at, zero_point) || !Products<4>(rows + at, at, zero_point)) return 3;
      if (!Products<1>(errors + 1, at, zero_point) || !Products<1>(rows, at, zero_point)) return 4;
    }
    for (int32_t terms = 0; terms < 9; ++terms) {
      if (!Sums(terms, zero_point)) return 5;
    }
  }
  return Lanes4And1(3, 14, true) && Lanes4And1(3, 14, false) && Lanes4And1(2, 2, true) ? 0 : 6;
}
"""


def written(folder: Path) -> list[Path]:
    """Writes the program; returns its sources."""
    main = folder / "main.cc"
    main.write_text(_MAIN)
    return [main, _SOURCE]


def test_plain_loops_are_right_under_sanitizers(tmp_path):
    flags = [*_SANITIZED, "-fno-sanitize-recover=all", f"-I{places.REPOSITORY}"]
    process.compile_or_raise(["g++", *flags, *written(tmp_path), "-o", tmp_path / "main"])
    assert process.run([tmp_path / "main"], timeout_s=60) == process.Outcome("", 0)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "cortex-m0plus"])
def test_boards_give_the_sums_of_plain_loops(core, tmp_path):
    require.board_tools()
    flags = ["-Werror", f"-I{places.REPOSITORY}"]
    program = boards.build(core, written(tmp_path), tmp_path / "main", flags)
    assert boards.run(core, program) == process.Outcome("", 0)
