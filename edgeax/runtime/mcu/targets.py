"""The processors that programs are generated for."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        name: As `generate` takes it.
        flags: Compiler flags that choose it, for GCC.
        has_dsp: Whether it has the DSP instructions of Arm (SMLAD).
        has_helium: Whether it has Helium (MVE with integers).
        compiler: The usual C++ compiler for it.
    """

    name: str
    flags: tuple[str, ...]
    has_dsp: bool = False
    has_helium: bool = False
    compiler: str = "arm-none-eabi-g++"

    @property
    def is_cortex_m(self) -> bool:
        """Whether it is a Cortex-M."""
        return self.name.startswith("cortex-m")


_M4 = ("-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
_M7 = ("-mthumb", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16")
_M55 = ("-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard")
_RV32 = ("-march=rv32imc", "-mabi=ilp32")

TARGETS = {
    target.name: target
    for target in (
        Target("cortex-m0plus", ("-mthumb", "-mcpu=cortex-m0plus")),
        Target("cortex-m4", _M4, has_dsp=True),
        Target("cortex-m7", _M7, has_dsp=True),
        Target("cortex-m55", _M55, has_dsp=True, has_helium=True),
        Target("rv32", _RV32, compiler="riscv64-unknown-elf-g++"),
        Target("host", (), compiler="g++"),
    )
}
