import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.unfold import unfold
from edgeax.model.graph import trace
from edgeax.runtime import Interpreter
from tests.export.networks import normal, unsettle

layers = keras.layers

SAMPLES = normal(12, 4, 3)


def functional(build, *shape):
    keras.utils.set_random_seed(0)
    given = keras.Input(shape or (4, 3), name="given")
    return unsettle(keras.Model(given, build(given)))


def operators(made):
    return [op.name for op in made.file.subgraphs[0].operators]


def difference(model, made, samples=SAMPLES):
    outputs = Interpreter(model_content=made.file.to_bytes()).run(samples)
    return np.abs(outputs - model.predict(samples, verbose=0)).max()


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [False, True])
def test_both_ways_of_a_bidirectional_layer_are_merged_as_keras_does(merge, sequences):
    model = functional(
        lambda x: layers.Bidirectional(
            layers.LSTM(4, return_sequences=sequences), merge_mode=merge
        )(x)
    )
    made = assemble(model, [SAMPLES], integer=False)
    assert operators(made).count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert difference(model, made) < 1e-6


def test_the_halves_of_a_concatenation_need_no_rounding_of_their_own():
    model = functional(lambda x: layers.Bidirectional(layers.LSTM(4))(x))
    made = assemble(edgeax.compress(model, "static_wi8_ai8"), [SAMPLES], integer=True)
    assert operators(made).count("QUANTIZE") == 1  # of the input


def test_ways_of_different_cells_have_ranges_of_their_own():
    back = layers.LSTM(3, activation="relu", go_backwards=True, bias_initializer="ones")
    model = functional(lambda x: layers.Bidirectional(layers.LSTM(3), backward_layer=back)(x))
    made = assemble(model, [3.0 * SAMPLES], integer=True)
    wanted = model.predict(3.0 * SAMPLES, verbose=0)
    assert np.ptp(wanted) > 4.0  # far beyond what a tanh gives
    assert difference(model, made, 3.0 * SAMPLES) < 0.05 * np.ptp(wanted)


def test_attention_may_be_called_with_several_lengths():
    keras.utils.set_random_seed(0)
    first, second = keras.Input((6, 4)), keras.Input((4, 4))
    attend = layers.MultiHeadAttention(2, 3)
    model = keras.Model([first, second], [attend(first, first), attend(second, second)])
    samples = [normal(8, 6, 4), normal(8, 4, 4, seed=2)]
    made = assemble(model, samples, integer=False)
    outputs = Interpreter(model_content=made.file.to_bytes()).run(*samples)
    for output, wanted in zip(outputs, model.predict(samples, verbose=0), strict=True):
        assert np.abs(output - wanted).max() < 1e-5


def test_both_results_come_out_where_nothing_merges_them():
    def build(x):
        there, back = layers.Bidirectional(layers.GRU(3), merge_mode=None)(x)
        return layers.Subtract()([there, back])

    model = functional(build)
    assert difference(model, assemble(model, [SAMPLES], integer=False)) < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"value_dim": 5},
        {"use_bias": False},
        {"output_shape": 6},
    ],
)
def test_attention_becomes_products_of_matrices(settings):
    model = functional(lambda x: layers.MultiHeadAttention(2, 3, **settings)(x, x))
    made = assemble(model, [SAMPLES], integer=False)
    assert operators(made).count("BATCH_MATMUL") == 2 and operators(made).count("SOFTMAX") == 1
    assert difference(model, made) < 1e-5


def test_attention_takes_query_value_and_key_by_place_and_by_name():
    keras.utils.set_random_seed(0)
    query, value, key = (keras.Input(shape) for shape in ((4, 3), (6, 2), (6, 5)))
    layer = layers.MultiHeadAttention(2, 3)
    joined = layers.Add()([layer(query, value, key), layer(query=query, value=value, key=key)])
    model = keras.Model([query, value, key], joined)
    samples = [normal(8, 4, 3), normal(8, 6, 2, seed=2), normal(8, 6, 5, seed=3)]
    made = assemble(model, samples, integer=False)
    outputs = Interpreter(model_content=made.file.to_bytes()).run(*samples)
    assert np.abs(outputs - model.predict(samples, verbose=0)).max() < 1e-5


def test_the_codes_of_attention_kernels_are_those_of_training():
    model = edgeax.compress(
        functional(lambda x: layers.MultiHeadAttention(2, 3, name="look")(x, x)), "static_wc4_ai8"
    )
    made = assemble(model, [SAMPLES], integer=True, pack=True)
    assert made.stays_float == ()
    held = {weight.path: weight.encoded for weight in made.frozen.weights}
    names = ("query", "key", "value", "attention_output")
    assert set(held) == {f"look/{name}" for name in names}
    trained = {v.path.split("/")[-2]: code for v, _, code in model.layers[1].freeze_weights()}
    for name in names:
        assert np.array_equal(held[f"look/{name}"].codes, trained[name].codes)


@pytest.mark.parametrize(
    "inner, shape",
    [
        (lambda: layers.Dense(4, activation="relu"), (4, 3)),
        (lambda: layers.Dense(4, activation="relu"), (4, 2, 3)),
        (lambda: layers.Conv1D(4, 2), (3, 5, 2)),
        (lambda: layers.Conv2D(4, 2, activation="relu"), (3, 4, 4, 2)),
        (lambda: layers.SeparableConv2D(4, 2), (3, 4, 4, 2)),
        (lambda: layers.DepthwiseConv2D(2), (3, 4, 4, 2)),
        (lambda: layers.GlobalAveragePooling2D(), (3, 4, 4, 2)),
        (lambda: layers.Flatten(), (3, 4, 2)),
    ],
)
def test_a_layer_over_time_is_the_layer_over_a_larger_batch(inner, shape):
    model = functional(lambda x: layers.TimeDistributed(inner())(x), *shape)
    samples = normal(8, *shape)
    made = assemble(model, [samples], integer=False)
    assert difference(model, made, samples) < 1e-5
    assert "WHILE" not in operators(made)


def test_a_graph_without_such_layers_is_left_alone():
    model = functional(lambda x: layers.Dense(2)(x))
    graph = trace(model)
    assert unfold(graph, [SAMPLES]).graph is graph


def look(x, **options):
    return layers.MultiHeadAttention(2, 3)(x, x, **options)


@pytest.mark.parametrize(
    "build, why",
    [
        (lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), "use_causal_mask"),
        (
            lambda x: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)[0],
            "scores",
        ),
        (lambda x: layers.LSTM(3, return_state=True)(x)[1], "returns its state"),
        (lambda x: layers.LSTM(3)(layers.Masking()(x)), "gets a mask"),
        (lambda x: layers.GRU(3)(x, initial_state=layers.GRU(3)(x)), "initial_state"),
        (lambda x: layers.TimeDistributed(layers.LayerNormalization())(x), "LayerNormalization"),
    ],
)
def test_what_cannot_be_unfolded_is_named_with_the_reason(build, why):
    graph = trace(functional(build))
    reasons = unfold(graph, [SAMPLES]).whole
    assert len(reasons) == 1
    assert why in next(iter(reasons.values()))
