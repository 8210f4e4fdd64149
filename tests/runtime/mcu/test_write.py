from edgeax.runtime.mcu import vectors, write
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.kernels import folder
from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks


def written(data, target="cortex-m4"):
    program = read_program(data, TARGETS[target], "double")
    drawn = vectors.drawn_vectors(data, program, "double")
    title = Title("net", "net.tflite", target, "double")
    return write.files_of(title, plan(program, stages_of(program)), TARGETS[target], drawn)


def test_a_folder_has_all_that_is_needed_and_no_more():
    files, constant_bytes, _ = written(networks.reshaped())
    assert set(files) == {
        "CMakeLists.txt",
        "Makefile",
        "net.cc",
        "net.h",
        "net_constants.h",
        "net_plan.png",
        "net_test.cc",
        "test_vectors.h",
        "tflite_kernels/core/rounding.h",
        "tflite_kernels/core/types.h",
        "tflite_kernels/micro/types.h",
    }
    assert constant_bytes == 0


def test_kernels_come_as_they_are():
    files, constant_bytes, _ = written(networks.dense_chain())
    kernels = [path for path in files if path.startswith("tflite_kernels")]
    assert "tflite_kernels/micro/fully_connected.cc" in kernels or len(kernels) > 3
    assert all(files[path] == (folder() / path).read_bytes() for path in kernels)
    assert constant_bytes >= 12 * 8 + 8 * 4 + 4 * (8 + 4)  # weights and biases
    assert all(f"  {path}" in files["Makefile"].decode() for path in kernels if path[-3:] == ".cc")
