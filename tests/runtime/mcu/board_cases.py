"""Cases of built-in operators as one program for a board."""

from collections.abc import Sequence

import numpy as np

from tests.runtime.mcu.built_in_cases import Case, constant, step_of, text

_SAME = """
alignas(8) static unsigned char room[{room}];
static bool IsSame(const unsigned char* wanted, const unsigned char* made, int size) {{
  for (int place = 0; place < size; ++place) {{
    if (wanted[place] != made[place]) return false;
  }}
  return true;
}}
#ifdef TRAPS_UNALIGNED_WORDS
static void TrapUnaligned() {{ *reinterpret_cast<volatile uint32_t*>(0xE000ED14) |= 1u << 3; }}
#else
static void TrapUnaligned() {{}}
#endif
"""


def program(cases: Sequence[Case], skipped_bytes: int = 0) -> str:
    """Returns a program whose exit code is the number of the first case that fails, or 0.

    Args:
        cases: Of operators that have a step.
        skipped_bytes: Where outputs begin in memory that is aligned to 8 bytes.
    """
    lines, body = [], ["  TrapUnaligned();"]
    largest = 0
    for number, one in enumerate(cases):
        assert step_of(one) is not None
        arrays = [_bytes(f"input{number}_{i}", data) for i, data in enumerate(one.inputs)]
        expected = one.expected()
        arrays += [_bytes(f"wanted{number}_{i}", data) for i, data in enumerate(expected)]
        lines += arrays
        reads = ", ".join(f"input{number}_{i}" for i in range(len(one.inputs)))
        places = np.cumsum([skipped_bytes, *(-(-data.nbytes // 8) * 8 for data in expected)])
        writes = ", ".join(f"room + {place}" for place in places[:-1])
        largest = max(largest, int(places[-1]))
        body += ["  {", f"    const void* const reads[] = {{{reads}}};"]
        body += [f"    void* const writes[] = {{{writes}}};", f"    case_{number}(reads, writes);"]
        for place, (skip, data) in enumerate(zip(places, expected, strict=False)):
            same = f"IsSame(wanted{number}_{place}, room + {skip}, {data.nbytes})"
            body.append(f"    if (!{same}) return {number + 1};")
        body.append("  }")
    head = _SAME.format(room=largest + 8)
    return "\n".join([text(cases), head, *lines, "int main() {", *body, "  return 0;", "}", ""])


def _bytes(name: str, data: np.ndarray) -> str:
    content = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    return constant(name, content, 8)
