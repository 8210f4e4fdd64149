import keras
import pytest

import edgeax
from tests.export.networks import normal
from tests.model.test_layer_calls import REASON, with_odd_layer

layers = keras.layers


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(32, 3, activation="relu", name="conv")(given)
    x = layers.Conv2D(2, 1, name="tiny")(x)
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(given, layers.Dense(40, name="head")(layers.Flatten()(x)))


def test_it_says_what_becomes_of_every_kernel_and_why():
    forecast = edgeax.can_export(network(), "static_wc4_ai8")
    assert forecast
    assert forecast.packed == ("conv", "head") and forecast.int8 == ("tiny",)
    reasons = {kernel.path: kernel.why for kernel in forecast.kernels}
    assert reasons["tiny"] == "it is so small that packing gains nothing"
    assert forecast.stays_float
    assert all("in norm" in entry for entry in forecast.stays_float)
    text = str(forecast)
    assert "packed" in text and "so small" in text and "stays float" in text


def test_pruned_kernels_are_foretold_too():
    kernel = [edgeax.Prune(edgeax.PolynomialDecay(0.0, 0.9, 0, 100)), edgeax.Quantize("int8")]
    forecast = edgeax.can_export(network(), edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)]))
    assert forecast.sparse == ("conv", "head") and forecast.int8 == ("tiny",)
    assert "sparse" in str(forecast)


def test_kernels_of_bits_are_foretold_too():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="bits")])
    recipe = edgeax.Recipe([edgeax.Rule("bits", input="ste_sign", kernel="ste_sign")])
    forecast = edgeax.can_export(model, recipe)
    assert forecast.binary == ("bits",) and forecast.packed == ()
    assert "bits" in str(forecast)


def test_it_is_what_the_export_then_does(tmp_path):
    model = network()
    recipe = edgeax.Recipe(
        [
            edgeax.Rule(
                ".*",
                kernel=[edgeax.Cluster(16, begin_step=2), edgeax.Quantize("int8", axis=-1)],
                output=edgeax.Quantize("int8"),
            )
        ]
    )
    forecast = edgeax.can_export(model, recipe)
    small = edgeax.compress(model, recipe)
    small.compile("sgd", "mse")
    small.fit(normal(12, 8, 8, 4), normal(12, 40), batch_size=4, verbose=0)
    result = edgeax.export(small, tmp_path / "m.tflite", normal(8, 8, 8, 4), measure=False)
    assert forecast.kernels == result.kernels
    assert {*forecast.stays_float} <= {*result.stays_float}  # a trained beta is an ADD more


def test_a_layer_that_cannot_be_wrapped_is_named_with_the_reason():
    forecast = edgeax.can_export(with_odd_layer(), "static_wi8_ai8")
    odd = forecast.kernels[-1]
    assert (odd.path, odd.how, odd.why) == ("odd", "as converted", REASON)


def test_for_a_stock_runtime_nothing_is_packed():
    forecast = edgeax.can_export(network(), "static_wc4_ai8", runtime="stock")
    assert forecast.packed == () and set(forecast.int8) == {"conv", "tiny", "head"}


def test_for_tflm_it_says_which_kernels_will_be_decoded_and_where_the_file_runs():
    kernel = [edgeax.Cluster(16), edgeax.Quantize("int8")]
    recipe = edgeax.Recipe([edgeax.Rule("conv|head", kernel=kernel)])
    forecast = edgeax.can_export(network(), recipe, runtime="tflm")
    assert forecast.decode == ("conv", "head") and forecast.packed == ()
    assert "runs in TensorFlow Lite Micro" in str(forecast) and "not in LiteRT" in str(forecast)
    stock = edgeax.can_export(network(), recipe, runtime="stock")
    assert stock.decode == () and "TensorFlow Lite Micro" not in str(stock)


def test_where_there_will_be_no_file_it_says_why():
    given = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(given, layers.LSTM(2, stateful=True)(given))
    forecast = edgeax.can_export(model, "static_wi8_ai8")
    assert not forecast
    assert "must have batch 1" in forecast.problem and "There will be no file" in str(forecast)


def test_the_model_and_its_weights_are_not_touched():
    model = network()
    before = [weight.copy() for weight in model.get_weights()]
    edgeax.can_export(model, "static_wi8_ai8")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_open_sizes_and_indices_need_no_samples():
    tokens = keras.Input((None,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(9, 4, name="embed")(tokens))
    model = keras.Model(tokens, layers.Dense(3, name="head")(x))
    assert edgeax.can_export(model, "static_wi8_ai8")


def test_bad_arguments_are_errors_and_no_forecasts():
    with pytest.raises(ValueError, match="Did you mean"):
        edgeax.can_export(network(), "static_wi8_a8")
    with pytest.raises(ValueError, match=r"`runtime` must be one of .*'tflm'.*Received.*'micro'"):
        edgeax.can_export(network(), "static_wi8_ai8", runtime="micro")
    with pytest.raises(ValueError, match="`samples`"):
        edgeax.can_export(network(), "static_wi8_ai8", samples=normal(4, 3))
