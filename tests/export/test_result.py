import dataclasses
import json

from edgeax.export.lower import Stored
from edgeax.export.parity import LayerParity, Parity
from edgeax.export.result import Result

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
    }
    assert values["parity"]["layers"][1] == {
        "path": "head",
        "mean_steps": 0.25,
        "most_steps": 2.0,
        "snr_db": None,
    }
    assert set(values) == {field.name for field in dataclasses.fields(Result)}
