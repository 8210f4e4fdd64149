"""Models of one operator with what they give in TensorFlow Lite Micro, and as C++ headers."""

import copy
import dataclasses
from collections.abc import Iterable

import numpy as np

from edgeax.formats import coded
from tests.tflite_kernels import (
    float_cases,
    int16_cases,
    models,
    native,
    oracle,
    random_cases,
    sign_sum_cases,
    test_binary_max_pool,
)

TYPES = {
    np.dtype(np.float32): "kTfLiteFloat32",
    np.dtype(np.int32): "kTfLiteInt32",
    np.dtype(np.uint8): "kTfLiteUInt8",
    np.dtype(np.int8): "kTfLiteInt8",
    np.dtype(np.int16): "kTfLiteInt16",
}
SEEDS = range(4)
MOST_BYTES = 20_000  # of a model that a program holds
CODINGS = (coded.RAW, coded.HUFFMAN, coded.RANGE)


@dataclasses.dataclass(frozen=True)
class MicroCase:
    """A model, its input, and what comes of it.

    Attributes:
        name: Tells it from the others.
        model: Of one operator.
        input: Codes, bits or floats.
        output: The same; None where the model is refused.
        refusal: A part of the reason.
    """

    name: str
    model: models.Model
    input: np.ndarray
    output: np.ndarray | None
    refusal: str = ""


def accepted() -> list[MicroCase]:
    """Cases of every operator: golden vectors and random ones."""
    found = [
        *golden("double"),
        *_random(),
        *_int16(),
        *_coded(),
        *_sign_sums(),
        *_pools(),
        *_floats(),
    ]
    return [case for case in found if len(case.model.write()) <= MOST_BYTES]


def golden(rounding: str) -> Iterable[MicroCase]:
    """The golden vectors of `"double"` or of `"single"` rounding."""
    for entry in native.golden_entries():
        if entry["rounding"] == rounding:
            expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
            yield _of(native.golden_case(entry), expected)


def _of(case: native.Case, expected: np.ndarray, prefix: str = "") -> MicroCase:
    model = models.model_of(case)
    x, y = (case.input.view(model.tensors[0].dtype), expected.view(model.tensors[-1].dtype))
    return MicroCase(prefix + case.name, model, x, y)


def _random() -> Iterable[MicroCase]:
    for operator in random_cases.OPERATORS:
        for seed in SEEDS:
            case = random_cases.draw(operator, seed)
            case.kind = "double"
            yield _of(case, oracle.run(case), f"{seed}_")


def _int16() -> Iterable[MicroCase]:
    for operator in int16_cases.OPERATORS:
        for seed in SEEDS:
            case = int16_cases.draw(operator, seed)
            case.kind = int16_cases.kind_of_built_in(operator)
            yield _of(case, oracle.run(case), f"int16_{seed}_")


def _coded() -> Iterable[MicroCase]:
    conv, _, dense, sparse_conv, sparse_dense = random_cases.OPERATORS[:5]
    for operator in (conv, dense, sparse_conv, sparse_dense):
        for coding in CODINGS:
            case = random_cases.draw(operator, coding)
            case.kind = "double"
            data = coded.encode(models.coded_rows(case), coding)
            model = models.coded_model_of(case, data)
            yield MicroCase(f"coded_{coding}_{case.name}", model, case.input, oracle.run(case))


def _sign_sums() -> Iterable[MicroCase]:
    for operator in (sign_sum_cases.CONV2D, sign_sum_cases.FULLY_CONNECTED):
        for seed in SEEDS:
            case = sign_sum_cases.draw(operator, seed)
            case.kind = "double"
            yield MicroCase(f"{operator}_{seed}", case.model(), case.input, case.expected())


def _pools() -> Iterable[MicroCase]:
    yield MicroCase(*test_binary_max_pool.golden_model())


def _floats() -> Iterable[MicroCase]:
    for case in float_cases.golden_cases():
        yield MicroCase(case.name, float_cases.model_of(case), case.input, case.expected)


def refused() -> list[MicroCase]:
    """Damaged models of one operator, and what is said of each."""
    sound = next(
        case for case in golden("double") if case.model.operators[0].custom == "EdgeaxConv2D"
    )
    coded_one = next(iter(_coded()))

    def damaged(name: str, refusal: str, base: MicroCase = sound) -> MicroCase:
        return MicroCase(name, copy.deepcopy(base.model), base.input, None, refusal)

    cut = damaged("cut options", "the options must have")
    cut.model.operators[0].custom_options = cut.model.operators[0].custom_options[:-4]
    old = damaged("another version", "option version must be")
    options = old.model.operators[0].custom_options
    old.model.operators[0].custom_options = b"\x09" + options[1:]
    bias = damaged("few biases", "must have the shape")
    bias.model.tensors[2] = models.Tensor("bias", (1,), np.int32, data=np.zeros(1, np.int32))
    computed = damaged("computed weights", "must be a constant of the model")
    computed.model.tensors[1].data = None
    shape = damaged("another output", "of tensor output must be")
    last = shape.model.tensors[-1]
    last.shape = (*last.shape[:-1], last.shape[-1] + 1)
    scales = damaged("two scales", "must be quantized with one scale")
    scales.model.tensors[0].scale = [1.0, 2.0]
    torn = damaged("damaged rows", "It is damaged", coded_one)
    torn.model.tensors[1].data = torn.model.tensors[1].data ^ np.uint8(1)
    inputs = damaged("few inputs", "the operator must have")
    del inputs.model.operators[0].inputs[-1]
    return [cut, old, bias, computed, shape, scales, torn, inputs]


# C++ headers.


def operators_header(cases: Iterable[MicroCase]) -> str:
    """The cases as tensors, for a program without an interpreter."""
    parts, rows = [], []
    for number, case in enumerate(cases):
        operator = case.model.operators[0]
        tensors = []
        for place, index in enumerate([*operator.inputs, *operator.outputs]):
            text, entry = _tensor(f"{number}_{place}", case.model.tensors[index])
            parts.append(text)
            tensors.append(entry)
        parts.append(f"const MicroTensor kTensors{number}[] = {{{', '.join(tensors)}}};\n")
        parts.append(_bytes(f"kOptions{number}", operator.custom_options))
        rows.append(
            f'{{"{case.name}", "{operator.custom}", kOptions{number}, sizeof(kOptions{number}), '
            f"kTensors{number}, {len(operator.inputs)}, {_ends(parts, number, case)}}},\n"
        )
    return "".join([*parts, "const MicroCase kCases[] = {\n", *rows, "};\n"])


def models_header(cases: Iterable[MicroCase]) -> str:
    """The cases as files, for a program with TensorFlow Lite Micro's interpreter."""
    parts, rows = [], []
    for number, case in enumerate(cases):
        parts.append(_bytes(f"kModel{number}", case.model.write(), alignment=16))
        rows.append(f'{{"{case.name}", kModel{number}, {_ends(parts, number, case)}}},\n')
    return "".join([*parts, "const ModelCase kCases[] = {\n", *rows, "};\n"])


def _ends(parts: list[str], number: int, case: MicroCase) -> str:
    """Appends the bytes of input and output, and returns their names and sizes."""
    output = b"" if case.output is None else case.output.tobytes()
    parts.append(_bytes(f"kInput{number}", case.input.tobytes()))
    parts.append(_bytes(f"kOutput{number}", output))
    return f'kInput{number}, {case.input.nbytes}, kOutput{number}, {len(output)}, "{case.refusal}"'


def _bytes(name: str, data: bytes, alignment: int = 4) -> str:
    text = ",".join(map(str, data or b"\0"))
    return f"alignas({alignment}) const unsigned char {name}[] = {{{text}}};\n"


def _tensor(name: str, tensor: models.Tensor) -> tuple[str, str]:
    """Returns the definitions of a tensor, and its row."""
    dims = ", ".join(map(str, (len(tensor.shape), *tensor.shape)))
    text = f"const int kDims{name}[] = {{{dims}}};\n"
    size = int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize
    data = "nullptr"
    if tensor.data is not None and tensor.data.size:
        text += _bytes(f"kData{name}", tensor.data.tobytes())
        data = f"kData{name}"
    scales = [] if tensor.scale is None else np.atleast_1d(tensor.scale).tolist()
    first = float(np.float32(scales[0] if scales else 0)).hex()
    kind = TYPES[np.dtype(tensor.dtype)]
    row = f"{{{kind}, kDims{name}, {data}, {size}, {len(scales)}, {first}f, {tensor.zero_point}}}"
    return text, row
