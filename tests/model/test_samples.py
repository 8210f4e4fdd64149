import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.samples import MOST_SAMPLES, random_samples, take_samples
from tests.export.networks import normal

layers = keras.layers

IMAGES = normal(7, 4, 4, 2)
VECTORS = normal(7, 3, seed=2)


@pytest.fixture(scope="module")
def one_input():
    return keras.Sequential([keras.Input((4, 4, 2), name="image"), layers.Flatten()])


@pytest.fixture(scope="module")
def two_inputs():
    image, vector = keras.Input((4, 4, 2), name="image"), keras.Input((3,), name="a_vector")
    return keras.Model([image, vector], layers.Concatenate()([layers.Flatten()(image), vector]))


@pytest.fixture(scope="module")
def dict_inputs():
    inputs = {"image": keras.Input((4, 4, 2), name="image"), "a": keras.Input((3,), name="a")}
    joined = layers.Concatenate()([layers.Flatten()(inputs["image"]), inputs["a"]])
    return keras.Model(inputs, joined)


def labels(count=7):
    return np.arange(count)


def equal(arrays, *expected):
    assert len(arrays) == len(expected)
    for array, values in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(array, values)
        assert array.dtype == np.float32


@pytest.mark.parametrize(
    "samples",
    [IMAGES, [IMAGES], (IMAGES,), {"image": IMAGES}, IMAGES.astype(np.float64)],
    ids=["array", "list", "tuple", "dict", "float64"],
)
def test_samples_of_one_input_come_as_one_float32_array(one_input, samples):
    equal(take_samples(samples, one_input), IMAGES)


@pytest.mark.parametrize(
    "samples",
    [[IMAGES, VECTORS], {"a_vector": VECTORS, "image": IMAGES, "unused": VECTORS}],
    ids=["list", "dict"],
)
def test_several_inputs_come_in_the_order_of_the_model(two_inputs, samples):
    equal(take_samples(samples, two_inputs), IMAGES, VECTORS)


def test_inputs_given_as_a_dict_come_in_the_order_in_which_keras_flattens_them(dict_inputs):
    equal(take_samples({"image": IMAGES, "a": VECTORS}, dict_inputs), VECTORS, IMAGES)


def datasets():
    slices = tf.data.Dataset.from_tensor_slices
    yield "images", slices(IMAGES).batch(3)
    yield "images and labels", slices((IMAGES, labels())).batch(3)
    yield "with sample weights", slices((IMAGES, labels(), labels())).batch(7)
    yield "dicts and labels", slices(({"image": IMAGES}, labels())).batch(2)


@pytest.mark.parametrize("dataset", [pytest.param(d, id=name) for name, d in datasets()])
def test_a_dataset_gives_its_inputs_without_labels(one_input, dataset):
    equal(take_samples(dataset, one_input), IMAGES)


def test_a_dataset_of_several_inputs_gives_all_of_them(two_inputs):
    dataset = tf.data.Dataset.from_tensor_slices(((IMAGES, VECTORS), labels())).batch(3)
    equal(take_samples(dataset, two_inputs), IMAGES, VECTORS)


def test_no_more_is_taken_of_an_endless_dataset_than_is_needed(one_input):
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(7).repeat()
    (array,) = take_samples(dataset, one_input)
    np.testing.assert_array_equal(array, np.resize(IMAGES, (MOST_SAMPLES, 4, 4, 2)))


def test_integers_are_turned_into_what_the_model_takes(one_input):
    codes = np.arange(7 * 32, dtype=np.uint8).reshape(7, 4, 4, 2)
    equal(take_samples(codes, one_input), codes.astype(np.float32))


def refused(samples, model, message):
    with pytest.raises(ValueError, match=message):
        take_samples(samples, model)


def test_samples_of_another_shape_are_refused_with_both_shapes(one_input):
    refused(
        IMAGES[..., :1], one_input, r"'image' must have shape \(None, 4, 4, 2\).*\(7, 4, 4, 1\)"
    )
    refused(IMAGES[0], one_input, r"'image' must have shape .* Received: \(4, 4, 2\)")


def test_a_dataset_of_single_samples_is_refused_with_the_way_out(one_input):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels()))
    refused(dataset, one_input, r"shapes \[\(4, 4, 2\)\]. Batch it: dataset.batch\(32\)")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300], ids=str)
def test_samples_that_are_not_finite_in_float32_are_refused(one_input, bad):
    values = IMAGES.astype(np.float64)
    values[3, 1, 2, 0] = bad
    refused(values, one_input, "must be finite. Received: NaN or infinity for input 'image'")


def test_no_sample_is_refused(one_input):
    refused(IMAGES[:0], one_input, r"at least one sample.*Received: \[0\]")
    empty = tf.data.Dataset.from_tensor_slices(IMAGES).batch(3).take(0)
    refused(empty, one_input, "Received: an empty dataset")


def test_inputs_of_different_lengths_are_refused(two_inputs):
    refused([IMAGES, VECTORS[:5]], two_inputs, r"as many for each input. Received: \[7, 5\]")


def test_a_missing_input_is_named(two_inputs):
    refused({"image": IMAGES}, two_inputs, r"Missing: \['a_vector'\]. Received: \['image'\]")
    refused([IMAGES], two_inputs, "each of the model's 2 inputs. Received: 1")


def test_a_list_of_single_samples_is_refused(one_input):
    refused([*IMAGES], one_input, "model's 1 inputs. Received: 7 arrays. Put the samples of one")


def test_samples_that_are_no_numbers_are_refused(one_input):
    refused(np.full(IMAGES.shape, "a"), one_input, "'image' must be numbers. Received: <U1")
    refused(IMAGES.astype(object), one_input, "must be numbers. Received: object")


def test_no_samples_at_all_are_told_what_they_are_for(one_input):
    with pytest.raises(ValueError, match="`samples` must be typical inputs.*Received: None"):
        take_samples(None, one_input)


def embedded():
    given = keras.Input((3,), dtype="int32", name="words")
    x = keras.layers.Flatten()(keras.layers.Embedding(10, 4, name="table")(given))
    return keras.Model(given, keras.layers.Dense(2)(x))


@pytest.mark.parametrize(
    "samples, message",
    [
        ([[0.5, 1, 2]], "whole numbers that int32 holds.*float64 from 0.5 to 2.0"),
        ([[1e12, 1, 2]], "whole numbers that int32 holds"),
        ([[0, 10, 2]], r"'table' must be indices in \[0, 9\].*0 to 10"),
        ([[-1, 3, 2]], r"'table' must be indices in \[0, 9\].*-1 to 3"),
    ],
)
def test_indices_must_be_rows_of_the_embedding(samples, message):
    with pytest.raises(ValueError, match=message):
        take_samples(np.array(samples), embedded())
    assert take_samples(np.array([[0.0, 9.0, 2.0]]), embedded())[0].dtype == np.int32


def test_random_samples_have_the_types_and_shapes_of_the_inputs_and_a_seed():
    given = [keras.Input((None, 3)), keras.Input((2,), dtype="int32")]
    model = keras.Model(given, [keras.layers.Dense(1)(given[0]), given[1] + 1])
    floats, integers = random_samples(model, count=500, seed=3)
    assert (floats.shape, floats.dtype) == ((500, 1, 3), np.float32)
    assert (integers.shape, integers.dtype, integers.any()) == ((500, 2), np.int32, False)
    assert abs(floats.mean()) < 0.1 and abs(floats.std() - 1.0) < 0.1
    np.testing.assert_array_equal(floats, random_samples(model, count=500, seed=3)[0])
