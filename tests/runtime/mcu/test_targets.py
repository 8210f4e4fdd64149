import pytest

from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import process, require

ARM = [name for name in TARGETS if name.startswith("cortex")]


def test_every_target_is_found_by_its_name():
    assert {"cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m55", "rv32", "host"} == {*TARGETS}
    assert all(target.name == name for name, target in TARGETS.items())


@pytest.mark.parametrize("name", ARM)
def test_the_compiler_has_the_instructions_that_a_target_names(name, tmp_path):
    require.board_tools()
    target = TARGETS[name]
    source = tmp_path / "macros.cc"
    source.write_text(
        "#ifdef __ARM_FEATURE_DSP\nconstexpr bool kDsp = true;\n#else\n"
        "constexpr bool kDsp = false;\n#endif\n"
        "#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)\n"
        "constexpr bool kHelium = true;\n#else\nconstexpr bool kHelium = false;\n#endif\n"
        f"static_assert(kDsp == {str(target.has_dsp).lower()});\n"
        f"static_assert(kHelium == {str(target.has_helium).lower()});\n"
    )
    command = [target.compiler, *target.flags, "-std=c++17", "-c", source, "-o", tmp_path / "o"]
    process.compile_or_raise(command)
