"""`pip install` builds the plugin library, says what it misses, and needs no TensorFlow."""

import ctypes
import pkgutil
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from tests import environments, source_tree
from tests.runtime.mcu import generated, networks

LIBRARY = Path("edgeax/runtime/lib/libedgeax.so")
SHOW_LIBRARY = (
    "import ctypes, edgeax.runtime.plugin as plugin; path = plugin.delegate_path(); "
    "ctypes.CDLL(path).tflite_plugin_create_delegate; print(path)"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return source_tree.copy(tmp_path_factory.mktemp("source") / "edgeax")


@pytest.fixture(scope="module")
def installed(tree, tmp_path_factory):
    """The interpreter of an environment with edgeax and its core dependencies only."""
    distributions = (*environments.CORE, "setuptools")
    python = environments.make(tmp_path_factory.mktemp("core"), distributions)
    done = environments.pip_install(python, tree)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


@pytest.fixture
def build_environment(tmp_path):
    return environments.make(tmp_path / "venv", ["setuptools"])


def last_line(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_install_gives_a_library_that_loads(installed):
    library = Path(last_line(environments.run([installed, "-c", SHOW_LIBRARY])))
    assert library.is_relative_to(installed.parents[1])
    assert library.parts[-len(LIBRARY.parts) :] == LIBRARY.parts


def test_install_gives_the_tables_of_speeds(installed):
    code = "from edgeax.formats.speeds import known_targets; print(*known_targets())"
    assert "x86-64-avx512" in last_line(environments.run([installed, "-c", code])).split()


def test_an_installed_package_generates_programs_from_sources_of_its_own(installed, tmp_path):
    model = tmp_path / "net.tflite"
    model.write_bytes(networks.dense_chain())
    command = [installed.parent / "edgeax", "mcu", model, "--output", tmp_path / "net"]
    done = environments.run([*command, "--target", "host"])
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout  # no matplotlib there
    assert generated.is_success(generated.run_test(tmp_path / "net", "net"))
    program = "from edgeax.runtime.mcu import kernels; print(kernels.folder())"
    assert Path(last_line(environments.run([installed, "-c", program]))).is_relative_to(
        installed.parents[1]
    )


def test_editable_install_builds_the_library_in_the_tree(tmp_path):
    tree = source_tree.copy(tmp_path / "edgeax")
    distributions = (*environments.CORE, "setuptools")
    python = environments.make(tmp_path / "venv", distributions)
    done = environments.pip_install(python, "--editable", tree)
    assert done.returncode == 0, done.stdout + done.stderr
    library = Path(last_line(environments.run([python, "-c", SHOW_LIBRARY])))
    assert library == tree / LIBRARY


def test_a_file_that_an_earlier_build_left_is_not_installed(tmp_path, build_environment):
    tree = source_tree.copy(tmp_path / "edgeax")
    (tree / "edgeax" / "gone.py").write_text('"""Deleted after the first build."""\n')
    for target in ("first", "second"):
        arguments = ["--no-deps", "--target", tmp_path / target, tree]
        assert environments.pip_install(build_environment, *arguments).returncode == 0
        (tree / "edgeax" / "gone.py").unlink(missing_ok=True)
    assert (tmp_path / "first/edgeax/gone.py").is_file()
    assert not (tmp_path / "second/edgeax/gone.py").exists()
    assert (tmp_path / "second" / LIBRARY).is_file()


def test_the_source_distribution_holds_all_that_the_build_needs(tmp_path, build_environment):
    tree = source_tree.copy(tmp_path / "edgeax")
    files = [path for path in (tree / "tflite_kernels").rglob("*") if path.is_file()]
    kernels = {str(path.relative_to(tree)) for path in files}
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path]
    done = environments.run([*command, tree])
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = tmp_path.glob("edgeax-*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
        files.extractall(tmp_path, filter="data")
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    source_tree.copy_objects(unpacked)  # one whose source or header is missing is compiled anew
    assert kernels <= names
    assert not [name for name in names if name.endswith((".so", ".o"))]
    target = tmp_path / "target"
    done = environments.pip_install(build_environment, "--no-deps", "--target", target, unpacked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ctypes.CDLL(str(target / LIBRARY)).tflite_plugin_create_delegate


@pytest.mark.parametrize("mode", [[], ["--editable"]], ids=["install", "editable"])
def test_a_missing_compiler_says_what_to_install(tree, build_environment, mode):
    folder = str(build_environment.parent)
    done = environments.pip_install(
        build_environment, "--no-deps", *mode, tree, PATH=folder, CXX=""
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "needs a C++17 compiler" in said
    assert "apt-get install g++" in said
    assert "Traceback" not in said


def test_an_error_in_a_kernel_shows_what_the_compiler_said(tmp_path, build_environment):
    tree = source_tree.copy(tmp_path / "edgeax")
    with (tree / "tflite_kernels/core/conv2d.cc").open("a") as file:
        file.write("int broken() { return not_declared_anywhere; }\n")
    done = environments.pip_install(build_environment, "--no-deps", tree)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Compiling tflite_kernels/core/conv2d.cc failed" in said
    assert "conv2d.cc:" in said and "not_declared_anywhere" in said
    assert "Traceback" not in said


def test_formats_and_runtime_need_no_tensorflow(installed):
    rooms = source_tree.REPOSITORY / "edgeax"
    modules = [
        f"edgeax.{room}.{module.name}"
        for room in ("formats", "runtime")
        for module in pkgutil.iter_modules([str(rooms / room)])
    ]
    assert "edgeax.runtime.interpreter" in modules
    program = f"import edgeax, importlib; [importlib.import_module(m) for m in {modules}]"
    names = "edgeax.Interpreter, edgeax.load_delegate, edgeax.delegate_path"
    done = environments.run([installed, "-c", f"{program}; {names}"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["compress", "Quantize", "export", "callbacks"])
def test_a_name_that_needs_tensorflow_says_which_extra_to_install(installed, name):
    done = environments.run([installed, "-c", f"import edgeax; edgeax.{name}"])
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: `edgeax.{name}` needs Keras")
    assert done.stderr.splitlines()[-1].endswith('Install them: pip install "edgeax[train]"')


def test_the_console_script_runs_without_tensorflow(installed):
    done = environments.run([installed.parent / "edgeax", "delegate-path"])
    assert Path(last_line(done)).name == LIBRARY.name


def test_the_version_has_one_home(installed):
    program = "import edgeax, importlib.metadata as metadata; "
    program += "print(metadata.version('edgeax'), edgeax.__version__)"
    metadata_version, version = last_line(environments.run([installed, "-c", program])).split()
    assert metadata_version == version


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_user_install_gets_the_pinned_versions_and_works(tree, tmp_path):
    """As in the README: from a package registry, with a build environment of pip's own."""
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    extras = f"{tree}[train,plot]"
    command = [python, "-m", "pip", "install", "-c", tree / "constraints.txt", extras]
    done = environments.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    frozen = environments.run([python, "-m", "pip", "freeze", "--exclude", "edgeax"])
    pinned = (tree / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in frozen.stdout.splitlines() if line not in pinned] == []
    program = "import edgeax; edgeax.compress; edgeax.load_delegate()"
    assert environments.run([python, "-c", program]).returncode == 0
