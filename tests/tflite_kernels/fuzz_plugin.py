"""Damaged models in the plugin, in a process of their own.

    python -m tests.tflite_kernels.fuzz_plugin LIBRARY SEED COUNT [coded]

With "coded" all are of the operators for coded rows, else some are. Prints "fuzz: N models, R ran,
E refused, U by an operator of edgeax"; a crash ends it otherwise.
"""

import copy
import re
import sys
from collections import Counter

import numpy as np
from ai_edge_litert import interpreter as litert

from edgeax.formats import coded
from edgeax.formats.operators import GRADIENT_OPERATORS, TRAINING_OPERATORS, VARIABLE_OPERATORS
from tests.tflite_kernels import (
    coded_rows,
    float_cases,
    gradient_cases,
    int16_cases,
    models,
    random_cases,
    sign_cases,
    sign_sum_cases,
    test_coded,
    variable_cases,
)

WORDS = np.int64([-(2**31), -1, 0, 1, 2, 3, 7, 4096, 4097, 65536, 2**31 - 1])
SIZES = [-1, 0, 1, 2, 3, 5, 16, 64, 2**31 - 1]
SCALES = [None, 0.0, -0.5, float("nan"), float("inf"), 1e-45, 3e38, [0.5, 0.25]]
TYPES = [np.int8, np.uint8, np.int32, np.float32, np.int16]
CODINGS = [coded.RAW, coded.HUFFMAN, coded.RANGE]
CODED = [
    name
    for name in random_cases.OPERATORS
    if not re.search("Depthwise|Binary|Vector|Grouped|Lookup", name)
]
SIGN_SUMS = (sign_sum_cases.CONV2D, sign_sum_cases.FULLY_CONNECTED)
WHOLE = (float_cases.OPERATOR, *SIGN_SUMS, *TRAINING_OPERATORS)
MOST_CODES = 4000  # of rows that are coded


def damage(source: np.random.Generator, model: models.Model) -> None:
    """Changes one thing."""
    operator = model.operators[0]
    tensor = model.tensors[source.integers(len(model.tensors))]
    match source.integers(10):
        case 0:
            whole = len(operator.custom_options) // 4 * 4
            options = np.frombuffer(operator.custom_options[:whole], np.int32).copy()
            if options.size == 0:
                return
            word = (
                source.choice(WORDS) if source.random() < 0.7 else source.integers(-(2**31), 2**31)
            )
            options[source.integers(options.size)] = word
            operator.custom_options = options.tobytes()
        case 1:
            size = source.integers(len(operator.custom_options) + 9)
            operator.custom_options = (operator.custom_options + bytes(9))[:size]
        case 2:
            shape = list(tensor.shape) or [1]
            shape[source.integers(len(shape))] = int(source.choice(SIZES))
            tensor.shape = tuple(shape)
        case 3:
            change = [(), (1, *tensor.shape), tensor.shape[1:], tensor.shape[::-1]]
            tensor.shape = change[source.integers(len(change))]
        case 4:
            tensor.dtype = TYPES[source.integers(len(TYPES))]
        case 5:
            tensor.scale = SCALES[source.integers(len(SCALES))]
        case 6:
            tensor.zero_point = int(source.choice([-129, 128, 2**31 - 1, -(2**31), 2**40]))
        case 7:
            numbers = operator.inputs if source.random() < 0.7 else operator.outputs
            if numbers and source.random() < 0.5:
                numbers[source.integers(len(numbers))] = int(source.integers(-1, 6))
            elif numbers and source.random() < 0.5:
                numbers.pop()
            else:
                numbers.append(int(source.integers(6)))
        case 8:
            if tensor.data is not None:
                raw = tensor.data.tobytes()
                tensor.data = np.frombuffer(raw[: source.integers(len(raw) + 1)], np.uint8)
        case 9:
            if tensor.data is not None and tensor.data.size > 0:
                raw = np.frombuffer(tensor.data.tobytes(), np.uint8).copy()
                raw[source.integers(raw.size)] = source.integers(256)
                tensor.data = raw


def damage_coded(source: np.random.Generator, model: models.Model) -> None:
    """Changes bytes of coded rows, and their checksum so that decoding goes on."""
    tensor = next(tensor for tensor in model.tensors if tensor.name == "coded")
    if tensor.data is not None:
        data = coded_rows.seal(test_coded.damage(source, tensor.data.tobytes()[:-4]))
        tensor.data = np.frombuffer(data, np.uint8)
        tensor.shape = tensor.data.shape


def draw(source: np.random.Generator, operator: str, is_coded: bool) -> models.Model:
    """A damaged model."""
    if operator in WHOLE:
        seed = int(source.integers(1000))
        if operator in GRADIENT_OPERATORS:
            cases = sign_cases if operator in sign_cases.OPERATORS else gradient_cases
            model = gradient_cases.model_of(cases.draw(seed, operator))
        elif operator in VARIABLE_OPERATORS:
            model = gradient_cases.model_of(variable_cases.draw(seed, operator))
        elif operator in SIGN_SUMS:
            model = sign_sum_cases.draw(operator, seed).model()
        else:
            model = float_cases.model_of(float_cases.draw(seed))
        for _ in range(source.integers(1, 4)):
            damage(source, model)
        return model
    is_int16 = not is_coded and operator in int16_cases.OPERATORS and source.random() < 0.4
    case = (int16_cases if is_int16 else random_cases).draw(operator, int(source.integers(1000)))
    while is_coded and case.weights.size > MOST_CODES:
        case = random_cases.draw(operator, int(source.integers(1000)))
    if not is_coded:
        model = copy.deepcopy(models.model_of(case))
    else:
        rows, coding = models.coded_rows(case), CODINGS[source.integers(len(CODINGS))]
        model = models.coded_model_of(case, coded.encode(rows, coding))
    for _ in range(source.integers(1, 4)):
        change = damage_coded if is_coded and source.random() < 0.7 else damage
        change(source, model)
    return model


def run(library: str, content: bytes) -> None:
    delegate = litert.load_delegate(library)
    interpreter = litert.Interpreter(model_content=content, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], np.ones(details["shape"], details["dtype"]))
    interpreter.invoke()
    for details in interpreter.get_output_details():
        interpreter.get_tensor(details["index"])


def main(library: str, seed: int, count: int, kind: str = "any") -> None:
    outcomes: Counter[str] = Counter()
    source = np.random.default_rng(seed)
    drawn = [(operator, True) for operator in CODED]
    if kind != "coded":
        drawn += [(operator, False) for operator in random_cases.OPERATORS]
        drawn += [(operator, False) for operator in WHOLE]
    for number in range(count):
        model = draw(source, *drawn[number % len(drawn)])
        try:
            content = model.write()
        except Exception:  # what no file can hold
            continue
        try:
            run(library, content)
            outcomes["ran"] += 1
        except (RuntimeError, ValueError) as error:
            outcomes["refused"] += 1
            names = ("Edgeax", *GRADIENT_OPERATORS)
            outcomes["by us"] += any(name in str(error) for name in names)
    total = outcomes["ran"] + outcomes["refused"]
    print(
        f"fuzz: {total} models, {outcomes['ran']} ran, {outcomes['refused']} refused, "
        f"{outcomes['by us']} by an operator of edgeax"
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
