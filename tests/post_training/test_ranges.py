"""Ranges of a whole case."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.post_training.case import kernel_quantizer
from edgeax.post_training.named import CALIBRATIONS
from edgeax.post_training.ranges import calibrated
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def test_min_max_ranges_are_those_of_the_float_model():
    model, samples = small_models.convolutional(), small_models.images(70)
    case = cases.case_of(model, samples, "int8", "int8", batch_size=32)
    x, expected = samples, {}
    for layer in model.layers:
        x = layer(x)
        expected[layer.name] = (float(np.min(x)), float(np.max(x)))
    low, high = case.layers["conv"].quantizer("input").extremes
    assert (low, high) == pytest.approx((samples.min(), samples.max()), rel=1e-6)
    for name in ("relu", "depthwise"):
        low, high = case.layers[name].quantizer("output").extremes
        assert low == 0.0 and high == pytest.approx(expected[name][1], rel=1e-5)


def test_a_limit_of_a_weight_is_per_channel_or_one_for_all():
    for axis, shape in ((-1, (4,)), (None, ())):
        case = cases.case_of(weights=edgeax.Quantize("int4", axis=axis))
        quantizer = kernel_quantizer(case.layers["conv"])
        kernel = np.abs(case.plain.get_layer("conv").kernel.numpy())
        assert quantizer.limit.shape == shape
        axes = (0, 1, 2) if axis == -1 else None
        np.testing.assert_allclose(quantizer.limit.numpy(), kernel.max(axes), rtol=1e-6)


@pytest.mark.parametrize("name", ["mse", "hessian", "percentile", "entropy", "analytic", "sqnr"])
def test_every_calibration_sets_every_range_once(name):
    case = cases.case_of(weights="int3", activations="int4", calibration=name)
    for layer in case.layers.values():
        for chain in layer.chains:
            member = chain.transforms[-1]
            if member.role == "activation":
                assert member.extremes is not None
            else:
                assert np.all(member.limit.numpy() > 0)
    assert np.isfinite(case.model(case.samples[0]).numpy()).all()


@pytest.mark.parametrize("format", ["int4_g16", "int4_g16_int8", "hbfp4"])
def test_no_calibration_makes_a_weight_of_groups_with_steps_of_their_own_worse(format):
    model = keras.Sequential([keras.Input((54,)), layers.Dense(200, name="dense")])
    kernel = np.random.default_rng(0).standard_t(4, size=(54, 200)).astype(np.float32)
    model.layers[0].kernel.assign(kernel)
    samples = np.ones((2, 54), np.float32)

    def error(calibration):
        case = cases.case_of(model, samples, format, calibration=calibration)
        return np.linalg.norm(case.rounded("dense") - kernel)

    errors = {name: error({"weights": name}) for name in CALIBRATIONS}
    assert max(errors.values()) <= errors["min_max"], errors


def test_errors_that_matter_are_found_by_gradients():
    # the second input is multiplied by 0: its values do not matter, however large they are
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False, name="dense")])
    model.layers[0].kernel.assign([[1.0], [0.0]])
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=(500, 2)) * [1.0, 100.0]).astype(np.float32)
    widths = {}
    for name in ("mse", "hessian"):
        case = cases.case_of(model, samples, "int8", "int3", calibration=name)
        widths[name] = case.layers["dense"].quantizer("input").extremes[1]
    assert widths["mse"] > 50.0 and widths["hessian"] < 10.0


def test_a_format_that_finds_its_params_in_all_values_sees_them():
    case = cases.case_of(weights="int8", activations="balanced3")
    quantizer = case.layers["relu"].quantizer("output")
    params = quantizer.activation_params()
    assert params["boundary"].max() > 0
    np.testing.assert_allclose(params["level"].max(), quantizer.extremes[1], rtol=0.05)


def test_ranges_and_limits_survive_training_and_a_file(tmp_path):
    case = cases.case_of(weights="int3", activations="int4", calibration="mse")
    model = case.model
    before = model(case.samples[0]).numpy()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(case.samples[0]), before)
    ends = case.layers["relu"].quantizer("output").extremes
    limit = kernel_quantizer(case.layers["conv"]).limit.numpy().copy()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(10 * case.samples[0], small_models.labels(32), verbose=0)
    assert case.layers["relu"].quantizer("output").extremes == ends
    np.testing.assert_array_equal(kernel_quantizer(case.layers["conv"]).limit.numpy(), limit)


def test_activations_that_only_training_can_find_are_refused():
    with pytest.raises(ValueError, match="must round activations by Quantize.*LearnedStep"):
        calibrated(cases.recipe("int8", "lsq4"))


def test_fixed_ranges_and_other_transforms_are_kept():
    found = calibrated(
        edgeax.Recipe(
            [
                edgeax.Rule(
                    ".*",
                    kernel=[edgeax.Prune(0.5), "int4"],
                    output=edgeax.Quantize("int8", range=(-1.0, 1.0)),
                )
            ]
        )
    )
    slots = found.rules[0].slots
    assert slots["kernel"][1].range_kind == "calibrated"
    assert slots["output"][0].fixed_range == (-1.0, 1.0)


def test_no_range_depends_on_the_size_of_a_batch():
    samples = small_models.images(30) * np.linspace(0.1, 3.0, 30)[:, None, None, None]
    for name in ("hessian", "percentile"):
        ends = [
            cases.case_of(
                samples=samples.astype(np.float32),
                activations="int4",
                calibration=name,
                batch_size=size,
            )
            .layers["relu"]
            .quantizer("output")
            .extremes
            for size in (30, 7)
        ]
        assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_an_activation_that_is_not_finite_is_refused_by_name():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="large")])
    model.layers[0].kernel.assign([[1e30], [1e30]])
    samples = np.full((4, 2), 1e30, np.float32)
    with pytest.raises(ValueError, match="finite values in every layer. Received: inf.*'large'"):
        cases.case_of(model, samples, activations="int8")
