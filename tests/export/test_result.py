import dataclasses
import json

import pytest

from edgeax.export.parity import LayerParity, Parity
from edgeax.export.result import LEAST_MARGIN, Result
from edgeax.export.stored import Stored
from tests.runtime.mcu import networks

PARITY = Parity(
    (LayerParity("stem", 0.01, 1.0), LayerParity("head", 0.25, 2.0)), 0.96875, 0.0123, 32
)

RESULT = Result(
    path="model.tflite",
    size_bytes=12_345,
    float_size_bytes=100_000,
    operators={"QUANTIZE": 1, "EdgeaxConv2D": 2},
    kernels=(
        Stored("stem", "packed", 4, ""),
        Stored("head", "int8", 8, "it has more than 16 different codes"),
        Stored("memory", "as converted", None, "no operator computes in integers from its kernels"),
    ),
    stays_float=("WHILE in memory",),
    peak_activation_bytes=4_096,
    parity=PARITY,
    latency_ms={"float32": 1.5, "file": 0.25},
    needs_plugin=True,
)


def test_a_result_prints_as_a_receipt():
    assert str(RESULT) == "\n".join(
        [
            "model.tflite: 12,345 bytes",
            "  float32: 100,000 bytes, 8.10 times as large",
            "  median of one run on this machine: float32 1.500 ms, file 0.250 ms",
            "  activations alive at once: 4,096 bytes",
            "  operators: 1 QUANTIZE, 2 EdgeaxConv2D",
            "  stem: packed, 4 bits",
            "  head: int8, 8 bits (it has more than 16 different codes)",
            "  memory: as converted (no operator computes in integers from its kernels)",
            "  stays float: WHILE in memory",
            "  same answer as Keras on 96.9% of 32 samples",
            "  largest difference of an output from Keras: 0.0123",
            "  worst layer: head, 0.250 steps on average, 2 at most",
            "  runs with the plugin: edgeax.Interpreter, edgeax.load_delegate()",
        ]
    )


def test_what_was_not_measured_is_not_printed():
    bare = Result(
        path="float.tflite",
        size_bytes=1_000,
        float_size_bytes=None,
        operators={"ADD": 1},
        kernels=(),
        stays_float=(),
        peak_activation_bytes=None,
        parity=Parity((), None, 1e-7, 3),
        latency_ms={},
        needs_plugin=False,
    )
    assert str(bare) == "\n".join(
        [
            "float.tflite: 1,000 bytes",
            "  operators: 1 ADD",
            "  largest difference of an output from Keras: 1e-07",
        ]
    )


def test_a_result_is_json_and_comes_back_the_same():
    values = json.loads(json.dumps(RESULT.as_dict(), allow_nan=False))
    assert values["size_bytes"] == 12_345 and values["latency_ms"] == {"float32": 1.5, "file": 0.25}
    assert values["kernels"][0] == {
        "path": "stem",
        "how": "packed",
        "bits": 4,
        "why": "",
        "format": "",
        "snr_db": None,
        "details": {},
    }
    assert values["parity"]["layers"][1] == {
        "path": "head",
        "mean_steps": 0.25,
        "most_steps": 2.0,
        "snr_db": None,
    }
    assert set(values) == {field.name for field in dataclasses.fields(Result)}


# Against dense int8.


def measured(file_ms, int8_ms, margin=0.05, dense_bytes=20_000):
    times = {"float32": 1.5, "int8": int8_ms, "file": file_ms}
    return dataclasses.replace(
        RESULT, dense_size_bytes=dense_bytes, latency_ms=times, latency_margin=margin
    )


def lines_of(result):
    """The two lines behind the times."""
    lines = str(result).split("\n")
    place = next(i for i, line in enumerate(lines) if line.startswith("  median"))
    return lines[place + 1 : place + 3]


def test_a_smaller_and_slower_file_is_called_slower_and_its_cure_is_named():
    result = measured(0.52, 0.31)
    assert result.gains == ("smaller",)
    assert lines_of(result) == [
        "  dense int8: 20,000 bytes; this file is 0.62 of it",
        "  slower than dense int8 on this machine (0.520 against 0.310 ms): smaller, not faster; "
        'runtime="stock" writes the dense file',
    ]


def test_a_faster_file_is_called_faster_with_the_ratio():
    result = measured(0.2, 0.3)
    assert result.gains == ("smaller", "faster")
    assert lines_of(result)[1] == "  1.50 times as fast as dense int8 on this machine"


@pytest.mark.parametrize("margin", [0.05, 0.3])
def test_within_the_noise_of_the_measurement_nothing_is_gained(margin):
    for file_ms in (1.0, 1.001 / (1.0 + margin)):
        result = measured(file_ms, 1.0, margin)
        assert result.gains == ("smaller",)
        assert (
            lines_of(result)[1] == f"  as fast as dense int8 on this machine, within {margin:.0%}"
        )
    assert measured(0.999 / (1.0 + margin), 1.0, margin).gains == ("smaller", "faster")


@pytest.mark.parametrize("file_ms", [1.0001, 1.04, 3.0])
def test_a_slower_file_is_never_a_gain_in_speed_whatever_the_noise(file_ms):
    for margin in (LEAST_MARGIN, 0.5):
        result = measured(file_ms, 1.0, margin)
        assert "faster" not in result.gains and "slower than dense int8" in str(result)


def test_a_file_that_is_neither_smaller_nor_faster_is_no_gain():
    result = measured(0.4, 0.3, dense_bytes=12_000)
    assert result.gains == ()
    assert lines_of(result)[0].endswith("this file is 1.03 of it")
    assert "ms): no gain; runtime=" in lines_of(result)[1]


def test_without_a_dense_file_nothing_is_compared():
    assert RESULT.gains == () and "dense int8" not in str(RESULT)
    unmeasured = dataclasses.replace(RESULT, dense_size_bytes=20_000, latency_ms={})
    assert unmeasured.gains == ("smaller",) and "on this machine" not in str(unmeasured)


def test_decoded_kernels_are_told_with_the_arena_that_they_need_and_where_they_run():
    details = {"tables": 12, "decoded_bytes": 1536}
    kernels = (Stored("head", "decode", 4, "", details=details),)
    result = dataclasses.replace(
        RESULT, kernels=kernels, needs_plugin=False, needs_tflm=True, decode_arena_bytes=1_500
    )
    lines = str(result).split("\n")
    assert "  head: decode, 4 bits, tables 12, decoded_bytes 1536" in lines
    place = lines.index("  activations alive at once: 4,096 bytes")
    assert lines[place + 1] == "  of them for decoded kernels: 1,500 bytes"
    assert lines[-1] == (
        "  runs in TensorFlow Lite Micro, and decoded in edgeax.Interpreter; not in LiteRT"
    )


def test_a_sparse_kernel_is_told_with_its_details():
    details = {"block": 4, "places": "bitmask", "sparsity": 0.9}
    kernels = (Stored("head", "sparse", 8, "", details=details),)
    text = str(dataclasses.replace(RESULT, kernels=kernels))
    assert "  head: sparse, 8 bits, block 4, places bitmask, sparsity 0.9\n" in text


def test_the_file_of_a_result_becomes_cpp(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.dense_chain())
    result = dataclasses.replace(RESULT, path=str(path))
    receipt = result.to_cpp(tmp_path / "net", target="cortex-m7", rounding="single", name="net")
    assert (receipt.target, receipt.rounding) == ("cortex-m7", "single")
    assert (tmp_path / "net" / "net.cc").is_file()
    with pytest.raises(ValueError, match="`ram_bytes` must be at least"):
        result.to_cpp(tmp_path / "net", ram_bytes=3)
