import numpy as np
import pytest

from edgeax.runtime.mcu import self_test
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.plan import plan, stages_of
from tests.emulation import process
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step


def outcome(folder, rounding, wanted, got):
    """Runs the test of a program that always gives the same output."""
    size = len(wanted)
    program = steps.program({0: 1, 1: size}, [step([0], [1])], [0], [1])
    title, found = Title("net", "x", "host", rounding), plan(program, stages_of(program))
    vectors = [([np.int8([1])], [np.int8(wanted)])]
    given = ", ".join(map(str, got))
    texts = {
        "net.h": "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
        f"namespace net {{ inline void invoke(const int8_t*, int8_t* out) {{"
        f"const int8_t given[] = {{{given}}}; memcpy(out, given, {size}); }} }}\n",
        "test_vectors.h": self_test.vectors_text(title, found, vectors),
        "net_test.cc": self_test.main_text(title, found),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    process.compile_or_raise(["g++", *flags, folder / "net_test.cc", "-o", folder / "net_test"])
    return process.run([folder / "net_test"], timeout_s=20)


@pytest.mark.parametrize(
    "rounding, wanted, got, code",
    [
        ("double", [1, 2, 3], [1, 2, 3], 0),
        ("double", [1, 2, 3], [1, 2, 4], 1),
        ("single", [1, 2, 3], [1, 2, 3], 0),
        ("single", [1, 2, 3], [1, 2, 4], 0),  # next to a half, LiteRT rounds in float
        ("single", [1, 2, 3], [1, 2, 5], 1),
        ("single", [1, 2, 3], [1, 3, 4], 1),
        ("single", [0] * 300, [1, 1, 1, 1] + [0] * 296, 0),
        ("single", [0] * 300, [1, 1, 1, 1, 1] + [0] * 295, 1),
        ("single", [127, -128], [-128, -128], 1),
    ],
)
def test_what_differs_is_counted(tmp_path, rounding, wanted, got, code):
    assert outcome(tmp_path, rounding, wanted, got).code == code


def test_what_differs_is_said(tmp_path):
    said = outcome(tmp_path, "single", [1, 2, 3], [1, 2, 4]).output
    assert said == "vector 0: 1 of 3 values of v1 differ\n"


def test_states_are_reset_before_each_vector():
    program = steps.program({0: 1, 1: 1, 2: 4}, [step([0, 2], [1])], [0], [1], states={2})
    text = self_test.main_text(
        Title("net", "x", "host", "double"), plan(program, stages_of(program))
    )
    assert text.index("net::reset();") < text.index("net::invoke(net_test::v0_in[i], got_v1);")
