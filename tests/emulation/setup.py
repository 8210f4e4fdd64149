"""Sets the Arm rigs up: `python -m tests.emulation.setup` (`make test` runs it).

Each step is skipped when its result is there already, and leaves nothing behind when it fails.
Packages come from where the machine's own apt and pip get theirs.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.emulation import cpus, packages, places, require

ROOT_PACKAGES = (
    f"python{places.PYTHON_VERSION}-minimal",
    f"libpython{places.PYTHON_VERSION}-stdlib",
    "libstdc++6",
    "libgcc-s1",
)
SITE_PACKAGES = (  # LiteRT and what importing it needs
    "ai-edge-litert",
    "numpy",
    "flatbuffers",
    "typing_extensions",
    "backports.strenum",
    "protobuf",
    "tqdm",
)
WHEEL_PLATFORMS = ("manylinux_2_27_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
CONSTRAINTS = places.REPOSITORY / "constraints.txt"
STAMP = ".edgeax-stamp"


class SetupError(Exception):
    """A step could not be done; the message says which, why and what to do."""


def main() -> int:
    """Runs all steps; returns the exit code."""
    try:
        _step("Debian packages", install_packages)
        _step("arm64 Python", build_root)
        _step("aarch64 LiteRT", build_site)
        _step("CPU descriptions", build_cpu_roots)
    except SetupError as error:
        print(f"emulation setup: {error}", file=sys.stderr)
        return 1
    return 0


def install_packages() -> str:
    """Installs the packages that are missing, where this user may.

    Returns:
        What was done, one line.
    Raises:
        SetupError: apt failed, or packages are missing, may not be installed here and are required.
    """
    if shutil.which("dpkg-query") is None or shutil.which("apt-get") is None:
        return _without_packages("this is no Debian system", packages.ALL)
    missing = tuple(name for name in packages.ALL if not _is_installed(name))
    if not missing:
        return "all installed"
    if os.geteuid() != 0:
        return _without_packages("only root can install them", missing)
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "--quiet", *wait], environment)
    _run([*packages.install_command(missing), "--quiet", *wait], environment)
    return f"installed {', '.join(missing)}"


def build_root() -> str:
    """Unpacks a minimal arm64 Python into `build/aarch64-root`. Needs no root rights, no chroot."""
    digest = _digest(ROOT_PACKAGES)
    if _is_stamped(places.ROOT, digest):
        return "there already"
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            return _without_packages(f"{tool} is not on this system", ROOT_PACKAGES)
    with _build_folder(places.ROOT, digest) as scratch:
        environment = {**os.environ, "APT_CONFIG": str(_write_apt_config(scratch))}
        _run(["apt-get", "update", "--quiet"], environment)
        download = ["apt-get", "install", "--yes", "--quiet", "--download-only"]
        _run([*download, "--no-install-recommends", *ROOT_PACKAGES], environment)
        archives = sorted((scratch / "cache/archives").glob("*.deb"))
        for archive in archives:
            _run(["dpkg-deb", "--extract", str(archive), str(scratch / "result")])
    return f"unpacked {len(archives)} packages"


def build_site() -> str:
    """Unpacks the aarch64 wheels into `build/aarch64-site`, versions as in constraints.txt."""
    constraints = CONSTRAINTS.read_text() if CONSTRAINTS.is_file() else ""
    digest = _digest((*SITE_PACKAGES, places.PYTHON_VERSION, constraints))
    if _is_stamped(places.SITE, digest):
        return "there already"
    with _build_folder(places.SITE, digest) as scratch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--target", str(scratch / "result"), "--only-binary=:all:"]
        command += ["--implementation=cp", f"--python-version={places.PYTHON_VERSION}"]
        command += [f"--platform={platform}" for platform in WHEEL_PLATFORMS]
        if constraints:
            command += ["--constraint", str(CONSTRAINTS)]
        _run([*command, *SITE_PACKAGES])
    return f"unpacked {', '.join(SITE_PACKAGES)}"


def build_cpu_roots() -> str:
    """Gives each CPU a view of the arm64 root with /proc and /sys files of its own."""
    if not places.ROOT.is_dir():
        return "left out: there is no arm64 root"
    digest = _digest((str(sorted(cpus.CPUS.items())), str(cpus.SYSTEM_FILES)))
    if _is_stamped(places.CPU_ROOTS, digest):
        return "there already"
    with _build_folder(places.CPU_ROOTS, digest) as scratch:
        for cpu in cpus.CPUS.values():
            view = scratch / "result" / cpu.name
            _write(view / "proc/cpuinfo", cpu.cpuinfo())
            for name, text in cpus.SYSTEM_FILES.items():
                _write(view / "sys/devices/system/cpu" / name, f"{text}\n")
            for entry in places.ROOT.iterdir():
                if entry.name != STAMP:
                    (view / entry.name).symlink_to(Path("../..") / places.ROOT.name / entry.name)
    return f"written for {', '.join(cpus.CPUS)}"


def _step(name: str, action: Callable[[], str]) -> None:
    start_s = time.monotonic()
    result = action()
    print(f"emulation setup: {name}: {result} ({time.monotonic() - start_s:.1f} s)", flush=True)


def _without_packages(reason: str, missing: Sequence[str]) -> str:
    """What a step says when it may not be done here; an error where the rigs are required."""
    command = " ".join(packages.install_command(tuple(missing)))
    message = f"not done, {reason}. Tests that need it will skip. To get it: {command}"
    if require.arm_is_required():
        raise SetupError(f"{message} ({require.REQUIRE_VARIABLE}=1 makes this an error)")
    return message


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, check=False).stdout.startswith(b"installed")


def _write_apt_config(folder: Path) -> Path:
    """Writes a configuration for an arm64 system that has no package yet.

    The machine's sources, keys and ways to the network (its `Acquire` settings) are kept; its
    hooks, which tend the machine's own caches, are not.
    """
    for name in ("lists/partial", "cache/archives/partial", "result"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = _run(["apt-config", "dump"]).splitlines()
    lines = [
        line
        for line in settings
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    ]
    lines += [
        'APT::Architecture "arm64";',
        'APT::Architectures { "arm64"; };',
        'APT::Sandbox::User "root";',  # the user _apt may not write below the home of another
        'Acquire::Languages "none";',
        'Dir::Etc::main "/dev/null";',
        'Dir::Etc::parts "/dev/null";',
        f'Dir::State "{folder}";',
        f'Dir::State::status "{folder}/status";',
        f'Dir::State::lists "{folder}/lists";',
        f'Dir::Cache "{folder}/cache";',
    ]
    return _write(folder / "apt.conf", "\n".join(lines) + "\n")


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """Runs one command of a step and returns what it printed."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise SetupError(f"`{command[0]}` could not be started: {error}.") from error
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise SetupError(f"`{' '.join(command)}` failed with code {done.returncode}:\n{last}")
    return done.stdout


@contextlib.contextmanager
def _build_folder(target: Path, digest: str) -> Iterator[Path]:
    """A scratch folder whose subfolder `result` becomes `target`, stamped, when all went well."""
    scratch = target.with_name(f"{target.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        _write(scratch / "result" / STAMP, digest)
        shutil.rmtree(target, ignore_errors=True)
        (scratch / "result").rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _is_stamped(folder: Path, digest: str) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == digest


if __name__ == "__main__":
    sys.exit(main())
