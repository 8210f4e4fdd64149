"""The set-up does each step once, leaves nothing half made and says what went wrong.

Programs of the machine are played by small scripts, so nothing is downloaded or installed.
"""

from pathlib import Path

import pytest

from tests.emulation import packages, places, require, setup


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH; the rigs' folders lie in the temporary folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(require.REQUIRE_VARIABLE, raising=False)
    for name in ("ROOT", "SITE", "CPU_ROOTS"):
        monkeypatch.setattr(places, name, tmp_path / "build" / name)
    return folder


def write_program(folder: Path, name: str, commands: str = "exit 0") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{commands}\n")
    program.chmod(0o755)


def write_apt(folder: Path, commands: str) -> None:
    write_program(folder, "apt-get", commands)
    write_program(folder, "apt-config")
    write_program(folder, "dpkg-deb")


def test_the_arm64_root_is_built_once(programs: Path) -> None:
    write_apt(programs, "exit 0")
    assert setup.build_root().startswith("unpacked")
    write_apt(programs, "exit 1")
    assert setup.build_root() == "there already"


def test_a_failing_download_is_quoted_and_leaves_no_folder(programs: Path) -> None:
    write_apt(programs, "echo 'E: no such host'; exit 100")
    with pytest.raises(setup.SetupError, match=r"apt-get update[^\n]*code 100:\nE: no such host"):
        setup.build_root()
    assert list(places.ROOT.parent.iterdir()) == []


def test_the_own_apt_keeps_the_way_to_the_network_and_drops_the_hooks(programs: Path) -> None:
    write_apt(programs, 'while read line; do echo "$line"; done < "$APT_CONFIG"; exit 1')
    dump = 'Acquire::http::Proxy "p";\nAPT::Update::Post-Invoke:: "rm";\nAPT::Architecture "amd64";'
    write_program(programs, "apt-config", f"echo '{dump}'")
    with pytest.raises(setup.SetupError) as caught:
        setup.build_root()
    assert 'Acquire::http::Proxy "p";' in str(caught.value)
    assert 'APT::Architecture "arm64";' in str(caught.value)
    assert "Post-Invoke" not in str(caught.value)
    assert "amd64" not in str(caught.value)


@pytest.fixture
def ordinary_user(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Debian machine where one package is missing, and a user who may not install it."""
    write_program(programs, "apt-get", "exit 1")
    write_program(programs, "dpkg-query", '[ "$3" = qemu-user ] || printf installed')
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.usefixtures("ordinary_user")
def test_a_user_who_may_not_install_is_told_what_to_install() -> None:
    message = setup.install_packages()
    assert "only root can install" in message
    assert message.endswith("apt-get install --yes --no-install-recommends qemu-user")


@pytest.mark.usefixtures("ordinary_user")
def test_a_missing_package_is_an_error_where_arm_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(require.REQUIRE_VARIABLE, "1")
    assert setup.main() == 1
    assert "apt-get install" in capsys.readouterr().err


def test_a_machine_without_apt_is_told_the_packages(programs: Path) -> None:
    message = setup.install_packages()
    assert "no Debian system" in message
    assert all(package in message for package in packages.ALL)
