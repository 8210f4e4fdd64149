import ctypes

import numpy as np
import pytest

from edgeax.formats import binary_rows
from edgeax.formats.operators import OPERATORS
from tests.tflite_kernels import models, native
from tests.tflite_kernels.test_plugin import run, start

NAME = "EdgeaxBinaryMaxPool2D"


class Args(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("batch", "height", "width", "channels")),
        ("window", native.Window),
    ]


def pooled(numbers, window):
    """Max pooling of +1 and -1 in plain numpy."""
    height, width, stride_y, stride_x, padding = window
    spans = []
    for size, kernel, stride in zip(
        numbers.shape[1:3], (height, width), (stride_y, stride_x), strict=True
    ):
        count = -(-size // stride) if padding == 0 else (size - kernel) // stride + 1
        total = max((count - 1) * stride + kernel - size, 0) if padding == 0 else 0
        starts = [place * stride - total // 2 for place in range(count)]
        spans.append([slice(max(start, 0), start + kernel) for start in starts])
    rows, columns = spans
    return np.stack(
        [np.stack([numbers[:, y, x].max(axis=(1, 2)) for x in columns], 1) for y in rows], 1
    )


def call(bits, channels, window, isa="auto", output_shape=None, **changes):
    height, width, stride_y, stride_x, padding = window
    batch, rows, columns, _ = bits.shape
    args = Args(batch, rows, columns, channels)
    args.window = native.Window(height, width, stride_y, stride_x, 1, 1, padding)
    for name, value in changes.items():
        setattr(args.window if hasattr(args.window, name) else args, name, value)
    output = np.full(output_shape, 77, np.uint8)
    status = native.load().edgeax_binary_max_pool2d(
        isa.encode(),
        ctypes.byref(args),
        ctypes.c_void_p(bits.ctypes.data),
        ctypes.c_size_t(bits.size),
        ctypes.c_void_p(output.ctypes.data),
        ctypes.c_size_t(output.size),
    )
    return status, output


def test_a_window_is_negative_where_all_of_it_is():
    numbers = np.int8([[1, -1, -1], [-1, -1, 1], [-1, -1, -1]]).T.reshape(1, 1, 3, 3)
    # Pixels 1 -1 -1, -1 -1 -1 and -1 1 -1 are the bits 110, 111 and 101 from the lowest.
    bits = binary_rows.pack_signs(numbers)
    assert bits.ravel().tolist() == [0b110, 0b111, 0b101]
    status, output = call(bits, 3, (1, 2, 1, 1, 1), output_shape=(1, 1, 2, 1))
    assert (status, output.ravel().tolist()) == (native.OK, [0b110, 0b101])


@pytest.mark.parametrize("seed", range(40))
def test_bits_are_those_of_numpy(seed):
    source = np.random.default_rng(seed)
    batch, height, width = source.integers(1, [3, 10, 10])
    channels, padding = int(source.integers(1, 70)), int(source.integers(2))
    kernel = [int(source.integers(1, min(size, 4) + 1)) for size in (height, width)]
    window = (*kernel, *(int(n) for n in source.integers(1, 4, 2)), padding)
    numbers = source.choice(np.int8([-1, -1, -1, 1]), (batch, height, width, channels))
    bits = binary_rows.pack_signs(numbers)
    spare = np.uint8(0xFF << (channels % 8) & 0xFF) if channels % 8 else np.uint8(0)
    bits[..., -1] |= spare  # ignored
    expected = binary_rows.pack_signs(pooled(numbers, window))
    for isa in native.isas():
        status, output = call(bits, channels, window, isa, expected.shape)
        assert status == native.OK
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize(
    "changes, shape, status",
    [
        ({"dilation_height": 2}, (1, 2, 2, 2), native.BAD_ARGUMENT),
        ({"kernel_width": 0}, (1, 2, 2, 2), native.BAD_ARGUMENT),
        ({"kernel_height": 5}, (1, 2, 2, 2), native.BAD_SHAPE),
        ({"channels": 17}, (1, 2, 2, 2), native.BAD_SHAPE),
        ({"batch": 0}, (1, 2, 2, 2), native.BAD_SHAPE),
        ({}, (1, 2, 2, 3), native.BAD_SHAPE),
    ],
)
def test_what_does_not_fit_is_refused_and_the_output_untouched(changes, shape, status):
    bits = np.zeros((1, 4, 4, 2), np.uint8)
    changes = dict(changes)
    channels = changes.pop("channels", 16)
    found, output = call(bits, channels, (2, 2, 2, 2, 1), output_shape=shape, **changes)
    assert found == status and (output == 77).all()


def model_of(bits, dtype=np.uint8, **changes):
    options = {
        "kernel_height": 3,
        "kernel_width": 2,
        "stride_height": 2,
        "stride_width": 1,
        "padding": 0,
        "input_channels": 11,
    }
    model = models.Model()
    shape = (1, -(-bits.shape[1] // 2), bits.shape[2], bits.shape[3])
    scale = 0.5 if dtype == np.int8 else None
    source = model.add(models.Tensor("x", bits.shape, dtype, scale=scale))
    output = model.add(models.Tensor("y", shape, np.uint8))
    packed = OPERATORS[NAME].pack_options(**options | changes)
    model.operators.append(models.Operator([source], [output], NAME, packed))
    model.inputs, model.outputs = [source], [output]
    return model


def golden_model():
    """A name, a model, its input and its output."""
    numbers = np.random.default_rng(0).choice(np.int8([-1, 1]), (1, 7, 6, 11))
    bits = binary_rows.pack_signs(numbers)
    return NAME, model_of(bits), bits, binary_rows.pack_signs(pooled(numbers, (3, 2, 2, 1, 0)))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interpreter_runs_it(threads):
    _, model, bits, expected = golden_model()
    interpreter = start(native.load()._name, model.write(), num_threads=threads)
    np.testing.assert_array_equal(run(interpreter, bits), expected)


@pytest.mark.parametrize(
    "changes, dtype, message",
    [
        ({"input_channels": 17}, np.uint8, "last dimension of tensor input must be 3"),
        ({"kernel_height": 9, "padding": 1}, np.uint8, "must hold the window"),
        ({}, np.int8, "tensor input must be uint8"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(changes, dtype, message):
    bits = np.zeros((1, 7, 6, 2), np.uint8)
    content = model_of(bits, dtype, **changes).write()
    with pytest.raises((RuntimeError, ValueError), match=f"{NAME}: .*{message}"):
        start(native.load()._name, content)
