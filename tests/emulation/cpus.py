"""The Arm CPUs that user-mode emulation plays, as Linux on them describes itself.

LiteRT picks its kernels by /proc/cpuinfo, so these files must say what the emulated CPU can do:
an A76's file on an emulated A72 ends in an illegal instruction.
"""

from dataclasses import dataclass

_FIRST_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32"


@dataclass(frozen=True)
class Cpu:
    """One core type: QEMU's name for it and the fields that Linux prints."""

    name: str
    part: int
    variant: int
    revision: int
    features: str

    def cpuinfo(self) -> str:
        """Text of /proc/cpuinfo for one core."""
        return (
            "processor\t: 0\nBogoMIPS\t: 108.00\n"
            f"Features\t: {self.features}\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\n"
            f"CPU variant\t: {self.variant:#x}\nCPU part\t: {self.part:#05x}\n"
            f"CPU revision\t: {self.revision}\n\n"
        )


CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu("cortex-a72", 0xD08, 0, 3, _FIRST_FEATURES),  # Raspberry Pi 4: no dot product
        Cpu(  # Raspberry Pi 5
            "cortex-a76",
            0xD0B,
            4,
            1,
            f"{_FIRST_FEATURES} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        ),
    )
}

SYSTEM_FILES = {  # below /sys/devices/system/cpu: one core of one cluster
    "possible": "0",
    "present": "0",
    "kernel_max": "0",
    "cpu0/topology/physical_package_id": "0",
    "cpu0/topology/cluster_cpus_list": "0",
    "cpu0/topology/core_id": "0",
    "cpu0/topology/core_siblings_list": "0",
    "cpu0/cpufreq/cpuinfo_max_freq": "1500000",
    "cpu0/cpufreq/cpuinfo_min_freq": "600000",
}
