import itertools
import json

import numpy as np
import pytest

from edgeax.formats import EncodedTensor
from edgeax.formats.integer_form import integer_form, snr_db
from edgeax.formats.names import deserialized, serialized
from edgeax.formats.vector_codebook import TABLES, VectorCodebook, nearest

# Four inputs and two output channels: sub-vectors (1, 2) and (5, 6) of the first, (3, 4) and (7, 8)
# of the second.
WEIGHT = np.float32([[1, 3], [2, 4], [5, 7], [6, 8]])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def stored(format, x):
    params = format.fit(x)
    return EncodedTensor(format.encode(x, params), format, params)


@pytest.mark.parametrize("tables", TABLES)
def test_a_code_is_the_place_in_all_tables_in_a_row(tables):
    encoded = stored(VectorCodebook(4, 2, tables), WEIGHT)
    flat = encoded.params["codebook"].reshape(-1)
    assert np.array_equal(flat[encoded.codes], WEIGHT)
    assert np.array_equal(encoded.codes % 2, [[0, 0], [1, 1], [0, 0], [1, 1]])
    first = [[0, 1], [2, 3]] if tables == "shared" else [[0, 1], [4, 5]]
    assert encoded.format.codewords(encoded.codes).tolist() == first


def test_sub_vectors_are_inputs_in_a_row_of_one_output_channel():
    vectors = VectorCodebook(4, 2).cut(WEIGHT)
    assert vectors.tolist() == [[[1, 2], [3, 4], [5, 6], [7, 8]]]
    vectors = VectorCodebook(4, 2, "per_position").cut(WEIGHT)
    assert vectors.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_wlw15_places_of_a_window_share_the_tables_of_their_input_channels():
    kernel = normal(3, 2, 4, 5)
    vectors = VectorCodebook(16, 2, "per_input").cut(kernel)
    assert vectors.shape == (2, 3 * 2 * 5, 2)
    for table, place, output in itertools.product(range(2), range(6), range(5)):
        y, x = divmod(place, 2)
        expected = kernel[y, x, 2 * table : 2 * table + 2, output]
        assert np.array_equal(vectors[table, 5 * place + output], expected)


@pytest.mark.parametrize("tables", TABLES)
@pytest.mark.parametrize("shape", [(8, 3), (3, 3, 4, 5), (2, 8, 1)])
def test_joining_undoes_cutting(tables, shape):
    weight = normal(*shape)
    for length in (1, 2, 4):
        format = VectorCodebook(8, length, tables)
        vectors = format.cut(weight)
        assert vectors.shape[::2] == (format.table_count(shape), length)
        assert np.array_equal(format.joined(vectors, shape), weight)


@pytest.mark.parametrize("tables", TABLES)
def test_few_sub_vectors_are_stored_exactly(tables):
    weight = np.tile(normal(1, 6), (8, 1)).astype(np.float32)
    assert np.array_equal(stored(VectorCodebook(8, 4, tables), weight).decode(), weight)


def test_size_is_one_index_for_each_sub_vector_and_the_tables():
    # 25 codewords need 5 bits: 40 * 10 / 4 indices of them, and 25 * 4 floats.
    encoded = stored(VectorCodebook(25, 4), normal(40, 10))
    assert encoded.bits == 5
    assert encoded.size_bits == 100 * 5 + 25 * 4 * 32
    per_position = stored(VectorCodebook(4, 4, "per_position"), normal(40, 10))
    assert per_position.size_bits == 100 * 2 + 10 * 4 * 4 * 32
    scaled = encoded.scaled(np.ones(10, np.float32))
    assert scaled.size_bits == encoded.size_bits + 10 * 32


def test_a_sub_vector_takes_the_nearest_codeword():
    weight = normal(12, 30)
    encoded = stored(VectorCodebook(7, 3), weight)
    table = encoded.params["codebook"][0].astype(np.float64)
    vectors = encoded.format.cut(weight)[0].astype(np.float64)
    distances = np.sum((vectors[:, None] - table) ** 2, axis=-1)
    chosen = encoded.format.cut(encoded.decode())[0]
    assert np.sum((vectors - chosen) ** 2, axis=-1) == pytest.approx(distances.min(axis=1))


def test_in_a_tie_the_first_codeword_is_taken():
    table = np.float32([[2, 0], [0, 2], [0, 0]])
    assert nearest(np.float32([[1, 1], [2, 2], [1, 0]]), table).tolist() == [0, 0, 0]


def test_many_vectors_are_compared_in_parts(monkeypatch):
    vectors, table = normal(50, 3), normal(9, 3, seed=1)
    whole = nearest(vectors, table)
    monkeypatch.setattr("edgeax.formats.vector_codebook._MOST_SCORES", 20)
    assert np.array_equal(nearest(vectors, table), whole)


def test_k_means_errs_less_than_rounding_each_weight_to_as_many_bits():
    # Two bits for each weight: 16 codewords of pairs that move together, or 4 values.
    source = normal(64, 32)
    weight = np.repeat(source, 2, axis=0) + np.float32(0.1) * normal(128, 32, seed=1)
    pairs, single = (stored(f, weight) for f in (VectorCodebook(16, 2), VectorCodebook(4, 1)))
    errors = [np.mean((encoded.decode() - weight) ** 2) for encoded in (pairs, single)]
    assert errors[0] < 0.5 * errors[1]


def test_a_codeword_is_the_mean_of_its_members():
    weight = normal(2, 400)
    encoded = stored(VectorCodebook(5, 2), weight)
    codewords = encoded.format.codewords(encoded.codes)[0]
    for codeword, mean in enumerate(encoded.params["codebook"][0]):
        assert mean == pytest.approx(weight[:, codewords == codeword].mean(axis=1), abs=1e-5)


def test_scales_multiply_and_parts_of_the_channels_decode():
    weight = normal(4, 3)
    encoded = stored(VectorCodebook(4, 2, "per_position"), weight)
    gain = np.float32([0.5, -2.0, 0.0])
    assert np.array_equal(encoded.scaled(gain).decode(), gain * encoded.decode())
    part = encoded.scaled(gain).channels(slice(1, 3))
    assert np.array_equal(part.decode(), encoded.scaled(gain).decode()[:, 1:])
    again = encoded.format.encode(2.0 * weight, {**encoded.params, "scale": np.float32(2.0)})
    assert np.array_equal(again, encoded.codes)


def test_as_integers_it_loses_little():
    form = integer_form(stored(VectorCodebook(16, 4), normal(16, 8)))
    assert form.snr_db > 35.0
    assert form.trained == VectorCodebook(16, 4)


@pytest.mark.parametrize("tables", TABLES)
def test_as_integers_of_one_step_its_tables_stay_of_so_many_codewords(tables):
    """Channels of other sizes, of which each would have steps of its own, would not share them."""
    weight = normal(32, 70) * np.linspace(0.1, 1.0, 70, dtype=np.float32)
    format = VectorCodebook(12, 8, tables)
    gain = np.linspace(-1.0, -2.0, 70)
    form = integer_form(stored(format, weight).scaled(gain))
    vectors, values = form.vectors, form.params["scale"] * form.vectors.steps * form.vectors.codes
    assert max(len(np.unique(cut, axis=0)) for cut in format.cut(vectors.codes)) <= 12
    step = form.params["scale"] * vectors.steps / np.float32(gain)
    np.testing.assert_allclose(step, step[0], rtol=1e-6)
    trained = stored(format, weight).scaled(gain).decode()
    assert np.max(np.abs(values / gain - trained / gain)) <= 0.501 * step[0]
    assert vectors.snr_db == pytest.approx(snr_db(trained, values), abs=1e-3)
    of_channels = [snr_db(trained[:, c], values[:, c]) for c in range(70)]
    assert vectors.least_db == pytest.approx(min(of_channels), abs=1e-3)
    part = form.channels(slice(3, 5))
    np.testing.assert_array_equal(part.vectors.codes, vectors.codes[:, 3:5])
    np.testing.assert_array_equal(part.vectors.steps, vectors.steps[3:5])


def test_as_integers_each_channel_keeps_a_step_of_its_own():
    """Of 254 steps over +-m the noise is m^2 / (12 * 127^2), 42 dB below m^2 / 9."""
    weight = normal(32, 64) * np.logspace(-2, 0, 64, dtype=np.float32)
    encoded = stored(VectorCodebook(256, 4), weight)
    form = integer_form(encoded)
    pairs = zip(encoded.decode().T, form.decode().T, strict=True)
    assert min(snr_db(*pair) for pair in pairs) > 35.0
    assert form.vectors.least_db < 20.0 < 35.0 < form.vectors.snr_db


@pytest.mark.parametrize("tables", TABLES)
def test_settings_survive_json(tables):
    format = VectorCodebook(32, 3, tables)
    assert deserialized(json.loads(json.dumps(serialized(format)))) == format


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_equal_weights_are_one_codeword(value):
    weight = np.full((4, 3), value, np.float32)
    encoded = stored(VectorCodebook(4, 2), weight)
    assert np.array_equal(encoded.decode(), weight)
    assert encoded.params["codebook"][0].tolist() == [[value, value], [0, 0], [0, 0], [0, 0]]


def codebook(*shape, dtype=np.float32):
    return {"codebook": np.zeros(shape, dtype)}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: VectorCodebook(1, 2), r"`entries` must be in 2\.\.65536.*entries=1"),
        (lambda: VectorCodebook(65537, 2), "`entries` must be in.*entries=65537"),
        (lambda: VectorCodebook(2.5, 2), "`entries` must be an integer.*2.5"),
        (lambda: VectorCodebook(4, 0), "`length` must be at least 1.*length=0"),
        (lambda: VectorCodebook(4, 2, "each"), "`tables` must be one of.*'each'"),
        (
            lambda: VectorCodebook(4, 4).fit(np.zeros((3, 3, 2, 5), np.float32)),
            r"`length` must divide the number of inputs.*length=4 .*\(3, 3, 2, 5\), where it is "
            r"18\. Use one of \[1, 2, 3, 6, 9, 18\]",
        ),
        (
            lambda: VectorCodebook(4, 3, "per_input").fit(np.zeros((3, 3, 2, 5), np.float32)),
            r"`length` must divide the last but one axis.*length=3 .*Use one of \[1, 2\]",
        ),
        (
            lambda: VectorCodebook(4, 2).fit(np.zeros(6, np.float32)),
            r"`length` must divide.*\(6,\), where it is 1",
        ),
        (
            lambda: VectorCodebook(4, 2).fit(np.float32([[np.nan], [1.0]])),
            "`x` must be finite",
        ),
        (
            lambda: VectorCodebook(4, 2).encode(WEIGHT, codebook(1, 3, 2)),
            r"`params\['codebook'\]` must be float32 of shape \(tables, 4, 2\).*\(1, 3, 2\)",
        ),
        (
            lambda: VectorCodebook(4, 2).encode(WEIGHT, codebook(1, 4, 2, dtype=np.float64)),
            "must be float32 of shape.*float64",
        ),
        (
            lambda: VectorCodebook(4, 2, "per_position").encode(WEIGHT, codebook(1, 4, 2)),
            r"must hold 2 tables for a weight of shape \(4, 2\). Received: 1",
        ),
        (
            lambda: VectorCodebook(4, 2).decode(np.int32([[8], [1]]), codebook(1, 4, 2)),
            r"`codes` must lie in \[0, 7\].*max=8",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
