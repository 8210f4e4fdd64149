import random

from tests.emulation import places, process

_MAIN = """
#include "tflite_kernels/micro/relocate.h"
#include "tflite_kernels/micro/stripes.h"

using namespace edgeax::micro;

namespace {

alignas(8) uint8_t room[160];

// Whether bytes that move keep what they are and nothing else changes.
bool Moves(int32_t from, int32_t to, int32_t bytes) {
  for (int32_t i = 0; i < 160; ++i) room[i] = static_cast<uint8_t>(i);
  Relocate({bytes}, room + from, room + to);
  for (int32_t i = 0; i < 160; ++i) {
    const bool is_target = i >= to && i < to + bytes;
    if (room[i] != (is_target ? i - to + from : i)) return false;
  }
  return true;
}

bool Drops() {
  for (int32_t i = 0; i < 15; ++i) room[i] = static_cast<uint8_t>(i);
  Band band = {room, 3, 2, 7};  // rows 2 to 6 of 3 bytes
  DropBefore(2, &band);         // nothing to do
  if (band.begin != 2 || room[0] != 0) return false;
  DropBefore(5, &band);
  if (band.begin != 5 || band.end != 7 || RowOf<uint8_t>(band, 6) != room + 3) return false;
  for (int32_t i = 0; i < 6; ++i) {
    if (room[i] != 9 + i) return false;
  }
  DropBefore(9, &band);  // more than there are
  return band.begin == 7 && band.end == 7;
}

}  // namespace

int main() {
%(checks)s
  return Drops() ? 0 : 2;
}
"""


def _run(tmp_path, checks, flags=()):
    main = tmp_path / "main.cc"
    main.write_text(_MAIN % {"checks": "\n".join(f"  if (!({c})) return 1;" for c in checks)})
    micro = places.REPOSITORY / "tflite_kernels" / "micro"
    command = ["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-unused-function", *flags]
    command += [f"-I{places.REPOSITORY}", main, micro / "stripes.cc", micro / "relocate.cc"]
    process.compile_or_raise([*command, "-o", tmp_path / "main"])
    return process.run([tmp_path / "main"], timeout_s=60).code


def test_bytes_move_as_if_through_a_buffer(tmp_path):
    rng = random.Random(1)
    places_ = [(f, t, n) for f in (0, 4, 7) for t in (0, 3, 4, 8, 24) for n in (0, 1, 15, 16, 130)]
    places_ += [(rng.randrange(60), rng.randrange(60), rng.randrange(100)) for _ in range(40)]
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    assert _run(tmp_path, [f"Moves({f}, {t}, {n})" for f, t, n in places_], flags) == 0


def test_rows_of_windows(tmp_path):
    # 9 rows, stride 2, 1 row of padding above, 3 taps: output row 0 reads rows 0 and 1.
    window = "StripeWindow{9, 2, 1, 3}"
    first = [f"FirstRead({window}, {row}) == {want}" for row, want in ((0, 0), (1, 1), (5, 9))]
    ends = {0: 0, 1: 2, 2: 4, 4: 8, 5: 9}
    last = [f"EndRead({window}, {end}) == {want}" for end, want in ends.items()]
    above = ["EndRead(StripeWindow{4, 1, 3, 2}, 1) == 0"]  # a window that lies above the image
    assert _run(tmp_path, [*first, *last, *above]) == 0
