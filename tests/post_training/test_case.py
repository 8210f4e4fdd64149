"""Cases and corrections."""

import keras
import numpy as np

from edgeax.model import passes
from edgeax.post_training.case import Case, Correction, inputs_of_layer, kernel_quantizer
from edgeax.post_training.ranges import calibrated
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def test_inputs_of_a_layer_are_what_the_layers_before_it_give():
    case = cases.case_of(weights="int2", activations="int4")
    batch = case.samples[0][:4]
    (found,) = inputs_of_layer(case.model, case.layers["depthwise"], batch)
    x = batch
    for layer in case.model.layers[:3]:
        x = layer(x)
    np.testing.assert_array_equal(found, x)
    with passes.unrounded():
        (plain,) = inputs_of_layer(case.model, case.layers["depthwise"], batch)
    x = batch
    for layer in case.plain.layers[:3]:
        x = layer(x)
    np.testing.assert_allclose(plain, x, rtol=1e-5, atol=1e-6)


def test_moments_compare_the_float_model_with_the_rounded_one_as_it_is_now():
    case = cases.case_of(weights="int2", batch_size=10)
    before = case.moments("head")
    assert np.abs(before.teacher_mean - before.student_mean).max() > 0
    case.layers["conv"].layer.kernel.assign(2.0 * case.layers["conv"].layer.kernel)
    after = case.moments("head")
    np.testing.assert_allclose(after.teacher, before.teacher)
    assert not np.allclose(after.student, before.student)


def test_batches_hold_every_sample_once():
    case = cases.case_of(samples=small_models.images(33), batch_size=8)
    assert [len(batch) for batch in case.batches] == [8, 8, 8, 8, 1]


def test_layers_that_are_no_matrix_are_said_once():
    given = keras.Input((7, 3))
    model = keras.Model(given, layers.Dense(2, name="dense")(layers.LSTM(4, name="lstm")(given)))
    samples = np.random.default_rng(0).normal(size=(4, 7, 3)).astype(np.float32)
    case = cases.case_of(model, samples)
    assert case.linear_layers("something") == case.linear_layers("something") == ["dense"]
    assert case.skipped == ["something of lstm: it is a LSTM"]


def test_progress_is_shown_when_asked(capsys):
    case = cases.case_of()
    assert [*case.progress("Nothing", [1, 2])] == [1, 2] and not capsys.readouterr().out
    case.verbose = True
    assert [*case.progress("Something", [1, 2])] == [1, 2]
    shown = capsys.readouterr().out
    assert "Something" in shown and "2/2" in shown


def test_a_correction_does_nothing_unless_it_says_so():
    case = cases.case_of()
    before = case.model.get_weights()
    Correction().prepare(case)
    assert not Correction().revise(case)
    Correction().correct(case)
    for one, other in zip(before, case.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_kernel_that_is_no_quantize_has_no_such_quantizer():
    case = cases.case_of(weights="dorefa2")
    assert kernel_quantizer(case.layers["conv"]) is None


def shared():
    """Returns a model that calls a layer twice, on inputs that lie far apart."""
    one, other = keras.Input((6,), name="one"), keras.Input((6,), name="other")
    dense = layers.Dense(4, name="dense")
    model = keras.Model([one, other], [dense(one), dense(other)])
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return model, [x + 3.0, x - 3.0]


def test_all_calls_of_a_layer_count():
    model, samples = shared()
    case = Case(model, calibrated(cases.recipe("int3")), samples, list)
    cases.built(case)
    found = case.moments("dense", with_grams=False)
    assert found.rows == 80 and found.teacher.size == 0
    np.testing.assert_allclose(found.teacher_mean[0], np.concatenate(samples).mean(0), atol=1e-5)


def test_a_subclassed_model_is_plain_where_nothing_is_rounded():
    model, samples = cases.subclassed()
    case = Case(model, calibrated(cases.recipe("int2")), [samples], lambda arrays: arrays[0])
    cases.built(case)
    with passes.unrounded():
        np.testing.assert_allclose(case.model(samples), model(samples), rtol=1e-5, atol=1e-6)
    assert np.abs(case.model(samples).numpy() - model(samples).numpy()).max() > 0.05
