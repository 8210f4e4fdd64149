"""robustness_curve: one trained model at many widths and with wrong steps."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats import Integer
from edgeax.search.robustness import plot_curves, robustness_curve
from tests.model import small_models

layers = keras.layers

# Two inputs, two classes: class 1 where 0.9 * x0 > 0.2 * x1, computed by one kernel.
KERNEL = np.float32([[0.0, 0.9], [0.2, 0.0]])
GENERATOR = np.random.default_rng(0)
X = GENERATOR.uniform(0.0, 1.0, (2000, 2)).astype(np.float32)
Y = (X @ KERNEL).argmax(-1)


def model_of():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False)])
    model.layers[0].kernel.assign(KERNEL)
    return model


def share_right(kernel):
    return np.mean((X @ np.float32(kernel)).argmax(-1) == Y)


def test_scb20_each_point_is_the_accuracy_of_the_kernel_rounded_by_hand():
    model = model_of()
    curve = robustness_curve(model, (X, Y), bits=(8, 3, 2), step_errors=(0.5, 2.0), step_bits=3)
    assert curve.metric == "accuracy" and curve.float_value == 1.0
    expected = [
        (8, 1.0, [[0.0, 0.9], [28 * 0.9 / 127, 0.0]]),  # 0.2 / 0.9 * 127 = 28.2
        (3, 1.0, [[0.0, 0.9], [0.3, 0.0]]),  # steps of 0.3: 3 and 0.67
        (2, 1.0, [[0.0, 0.9], [0.0, 0.0]]),  # 0.2 / 0.9 is nearer to 0
        (3, 0.5, [[0.0, 0.45], [0.15, 0.0]]),  # steps of 0.15: 6 is cut to 3, 1.33
        (3, 2.0, [[0.0, 1.2], [0.0, 0.0]]),  # steps of 0.6: 1.5 to even, 0.33
    ]
    points = [*curve.by_bits, *curve.by_step_error]
    for point, (bits, error, kernel) in zip(points, expected, strict=True):
        assert (point.bits, point.step_error) == (bits, error)
        assert point.value == pytest.approx(share_right(kernel))
        assert point.lost == pytest.approx(1.0 - point.value)
    assert np.array_equal(model.layers[0].kernel, KERNEL)
    assert len({point.value for point in points}) == 3  # a ratio of 28 / 127, 1 / 3 or 0


def test_one_step_per_channel_and_a_format_of_the_users():
    kernel = np.float32([[0.9, 0.1], [0.1, 0.09]])
    model = model_of()
    model.layers[0].kernel.assign(kernel)
    labels = (X @ kernel).argmax(-1)
    per_channel = robustness_curve(model, (X, labels), (3,), (), axis=-1)
    rounded = np.float32([[0.9, 0.1], [0.0, 0.1]])  # steps 0.3 and 0.0333: 0.1 / 0.3 is 0
    expected = np.mean((X @ rounded).argmax(-1) == labels)
    assert per_channel.by_bits[0].value == pytest.approx(expected)
    own = robustness_curve(model, (X, labels), (3,), (), format=lambda bits: Integer(bits, axis=-1))
    assert own == per_channel
    assert robustness_curve(model, (X, labels), (3,), ()) != per_channel


def test_scb20_it_is_the_accuracy_of_the_compressed_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.Conv2DTranspose(3, 2),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)
    wanted = model.predict(x, verbose=0).argmax(-1)
    for axis in (None, -1):
        curve = robustness_curve(model, x, (4, 2), (), axis=axis)
        assert curve.metric == "agreement" and curve.float_value == 1.0
        for point in curve.by_bits:
            quantize = edgeax.Quantize(f"int{point.bits}", axis=axis)
            other = edgeax.compress(model, [quantize]).predict(x, verbose=0).argmax(-1)
            assert point.value == pytest.approx(np.mean(other == wanted))


def test_the_ends_may_keep_their_width():
    model = keras.Sequential(
        [keras.Input((2,)), *(layers.Dense(2, use_bias=False) for _ in range(3))]
    )
    for layer in model.layers:
        layer.kernel.assign(np.float32([[1.0, 0.3], [0.2, 1.0]]))
    labels = model(X).numpy().argmax(-1)
    curve = robustness_curve(model, (X, labels), (2,), (0.5,), step_bits=2, end_bits=8)
    kernel, ends = np.float32([[1.0, 0.3], [0.2, 1.0]]), Integer(8)
    params = ends.fit(kernel)
    end = ends.decode(ends.encode(kernel, params), params)
    for point, middle in zip(
        (*curve.by_bits, *curve.by_step_error),
        (np.eye(2), np.float32([[0.5, 0.5], [0, 0.5]])),
        strict=True,
    ):
        made = (X @ end @ middle.astype(np.float32) @ end).argmax(-1)
        assert point.value == pytest.approx(np.mean(made == labels))


def test_the_metric_that_the_model_was_compiled_with_is_measured():
    model = model_of()
    model.compile("sgd", "mse", metrics=[keras.metrics.MeanAbsoluteError(name="error")])
    targets = X @ KERNEL
    curve = robustness_curve(model, (X, targets), (2,), ())
    assert curve.metric == "error" and curve.float_value == pytest.approx(0.0, abs=1e-6)
    assert curve.by_bits[0].value == pytest.approx(np.mean(0.2 * X[:, 1]) / 2, rel=1e-4)


def test_datasets_with_and_without_labels_and_one_hot_labels_are_read():
    model = model_of()
    expected = robustness_curve(model, (X, Y), (3,), ())
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(2000).batch(300)
    assert robustness_curve(model, dataset, (3,), ()) == expected
    assert robustness_curve(model, (X, np.eye(2)[Y]), (3,), ()) == expected
    inputs = dataset.map(lambda x, y: x)
    unlabeled = robustness_curve(model, inputs, (3,), ())
    assert unlabeled.metric == "agreement" and unlabeled.by_bits == expected.by_bits


def test_a_model_with_two_inputs():
    given = [keras.Input((2,)), keras.Input((2,))]
    model = keras.Model(given, layers.Dense(2)(layers.Concatenate()(given)))
    curve = robustness_curve(model, [X, X], (8,), ())
    assert curve.by_bits[0].value > 0.9


def test_it_prints_as_a_table():
    lines = str(robustness_curve(model_of(), (X, Y), (8, 2), (2.0,), step_bits=3)).splitlines()
    assert lines[0].split() == ["bits", "step", "error", "accuracy", "lost"]
    assert lines[1].split() == ["1"]
    assert [line.split()[:2] for line in lines[2:]] == [["8", "1"], ["2", "1"], ["3", "2"]]


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    curve = robustness_curve(model_of(), (X, Y), (8, 2), (0.5, 2.0))
    curve.plot(tmp_path / "curve.png")
    plot_curves({"one": curve, "other": curve}, tmp_path / "curves.png")
    for name in ("curve.png", "curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="at least one curve"):
        plot_curves({}, tmp_path / "none.png")
    with pytest.raises(ValueError, match="folder that exists"):
        curve.plot(tmp_path / "missing" / "curve.png")


def test_without_matplotlib_the_way_to_it_is_said(monkeypatch, tmp_path):
    curve = robustness_curve(model_of(), (X, Y), (8,), ())
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "edgeax\[plot\]"'):
        curve.plot(tmp_path / "curve.png")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"axis": 0}, "`axis` must be -1"),
        ({"axis": -1, "format": Integer}, "`axis` must be None beside `format`"),
        ({"step_errors": (0.0,)}, "`step_errors` must be above 0"),
        ({"bits": (1,)}, "`bits` must be in 2..16"),
        ({"data": (X[:0], Y[:0])}, "`data` must be.*at least one"),
        ({"data": tf.data.Dataset.from_tensor_slices(X[:0]).batch(2)}, "an empty dataset"),
        ({"model": keras.Sequential([keras.Input((2,)), layers.ReLU()])}, "without any"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message):
    arguments = {"model": model_of(), "data": (X, Y), **arguments}
    with pytest.raises(ValueError, match=message):
        robustness_curve(**arguments)


def test_a_format_without_a_step_cannot_have_a_wrong_one():
    with pytest.raises(ValueError, match="`format` must have a scale"):
        robustness_curve(
            model_of(), (X, Y), (8,), (0.5,), format=lambda bits: edgeax.formats.Float32()
        )


def test_statistics_of_batch_normalizations_are_taken_anew_when_asked():
    model, x = small_models.convolutional(), small_models.images(64)
    edgeax.reestimate_batch_norm(model, x)
    plain = edgeax.robustness_curve(model, x, bits=(8, 2), step_errors=())
    anew = edgeax.robustness_curve(model, x, bits=(8, 2), step_errors=(), samples=x)
    rounded = edgeax.compress(
        model, edgeax.Recipe([edgeax.Rule(".*", kernel=edgeax.Quantize("int2"))])
    )
    edgeax.reestimate_batch_norm(rounded, x)
    same = rounded.predict(x, verbose=0).argmax(-1) == model.predict(x, verbose=0).argmax(-1)
    assert anew.by_bits[1].value == pytest.approx(np.mean(same))
    assert anew.float_value == plain.float_value == 1.0
