import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.formats.balanced import Balanced
from edgeax.transforms import (
    WAGE,
    DoReFa,
    LearnedBasisQuantize,
    LearnedStep,
    Quantize,
    Sign,
    TernaryActivation,
    XNORWeight,
    transform_of,
)
from edgeax.transforms.named import quantizer_names
from tests.transforms.bound import value_and_gradients, weight_chain


@pytest.mark.parametrize(
    "name, slot, kind, settings",
    [
        ("ste_sign", "kernel", Sign, {"gradient": "ste_sign"}),
        ("swish_sign", "input", Sign, {"gradient": "swish_sign"}),
        ("dorefa", "input", DoReFa, {"bits": 2}),
        ("dorefa4", "kernel", DoReFa, {"bits": 4}),
        ("lsq4", "kernel", LearnedStep, {"bits": 4, "axis": -1}),
        ("lsq4", "output", LearnedStep, {"bits": 4, "axis": None}),
        ("wage", "kernel", WAGE, {"bits": 2}),
        ("wage", "output", WAGE, {"bits": 8}),
        ("tbn", "kernel", XNORWeight, {"center": False}),
        ("tbn", "input", TernaryActivation, {"factor": 0.4}),
        ("lq2", "kernel", LearnedBasisQuantize, {"bits": 2}),  # before the format of that name
        ("int4", "kernel", Quantize, {"format": "int4", "axis": -1}),
        ("int4", "output", Quantize, {"format": "int4", "axis": None}),
        ("fp8_e4m3", "kernel", Quantize, {"format": "fp8_e4m3"}),
        ("ternary", "kernel", Quantize, {"format": "ternary", "axis": -1}),
        (Integer(3), "kernel", Quantize, {}),
    ],
)
def test_a_word_stands_for_its_transform(name, slot, kind, settings):
    made = transform_of(name, slot)
    assert type(made) is kind
    assert settings.items() <= made.get_config().items()


@pytest.mark.parametrize("name", quantizer_names())
def test_every_suggested_name_can_be_had_for_some_slot(name):
    made = 0
    for slot in ("kernel", "input", "output"):
        try:
            transform_of(name, slot)
        except ValueError as error:
            assert "must not be given" in str(error)
        else:
            made += 1
    assert made


def test_a_transform_is_copied():
    given = LearnedStep(3)
    made = transform_of(given, "kernel")
    assert made is not given
    assert made.get_config() == given.get_config()


@pytest.mark.parametrize(
    "name, slot, message",
    [
        ("ste_sing", "kernel", r"Received: 'ste_sing'. Did you mean one of .*'ste_sign'"),
        ("trenary", "kernel", r"Did you mean one of .*'ternary'"),
        ("lsq9", "kernel", r"`bits` of LearnedStep .*bits=9"),
        ("pact4", "kernel", r"`kernel` must not be given 'pact4', which is for activations"),
        ("ttq", "input", r"`input` must not be given 'ttq', which is for weights"),
        ("int4", "gradient", r"`slot` must be one of.*'gradient'"),
    ],
)
def test_what_does_not_fit_is_refused(name, slot, message):
    with pytest.raises(ValueError, match=message):
        transform_of(name, slot)


def test_hcs17_linear_codes_are_multiples_of_a_step_with_the_mask_of_binary_networks():
    # 3 bits: step 1/4, from -1 to 3/4.
    weight = np.float32([[-2.0, -0.9, -0.13, 0.12, 0.4, 1.0]])
    chain = weight_chain(transform_of("qnn3", "kernel"), weight)
    value, gradient = value_and_gradients(chain, weight, np.ones_like(weight))
    assert value.tolist() == [[-1.0, -1.0, -0.25, 0.0, 0.5, 0.75]]
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]]


def test_hcs17_logarithmic_codes_are_the_nearest_powers_of_two():
    quantize = Quantize("log4", gradient="ste_sign")
    weight = np.float32([[1.0, 0.5, 0.36, 0.35, -0.26, 0.0]])
    value, _ = value_and_gradients(weight_chain(quantize, weight), weight, weight)
    # The middle of two powers by logarithm: 0.354 between 1/4 and 1/2.
    assert value.tolist() == [[1.0, 0.5, 0.5, 0.25, -0.25, 0.0]]


def test_zww17_balanced_weights_have_as_many_effective_bits_as_codes():
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)

    def effective_bits(name):
        value = weight_chain(transform_of(name, "kernel"), weight).call(tf.constant(weight))
        # `numpy.unique` counts; the entropy of the codes is what ZWW17 calls effective bits.
        _, counts = np.unique(np.round(value, 5), return_counts=True)
        odds = counts / counts.sum()
        return -np.sum(odds * np.log2(odds))

    assert effective_bits("balanced3") == pytest.approx(3.0, abs=1e-3)
    even = np.unique(
        np.round(np.clip(weight / np.abs(weight).max(), -1, 1) * 3), return_counts=True
    )
    odds = even[1] / even[1].sum()
    assert -np.sum(odds * np.log2(odds)) < 2.5
    assert isinstance(transform_of("balanced3", "kernel").number_format, Balanced)
