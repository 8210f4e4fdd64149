import numpy as np
import pytest

from edgeax.formats import EncodedTensor, Float32
from edgeax.formats.lookup import lookup_dense, lookup_response, product_table, weight_tables
from edgeax.formats.vector_codebook import TABLES, VectorCodebook


def source(seed=0):
    return np.random.default_rng(seed)


def stored(format, weight):
    params = format.fit(weight)
    return EncodedTensor(format.encode(weight, params), format, params)


@pytest.mark.parametrize("tables", TABLES)
@pytest.mark.parametrize("shape", [(12, 7), (3, 2, 4, 5)])
def test_wlw15_the_lookups_add_up_to_the_product(tables, shape):
    # Whole numbers: each sum is exact in every order.
    weight = source().integers(-8, 9, shape).astype(np.float32)
    x = source(1).integers(-20, 21, (9, weight.size // shape[-1])).astype(np.float32)
    encoded = stored(VectorCodebook(4, 2, tables), weight)
    encoded.params["codebook"][:] = np.rint(encoded.params["codebook"])
    quantized = encoded.decode().reshape(x.shape[1], -1)
    assert np.array_equal(lookup_response(x, encoded), x @ quantized)
    assert not np.array_equal(quantized, weight.reshape(quantized.shape))


def test_wlw15_of_other_numbers_they_do_so_up_to_rounding():
    weight = source().normal(size=(24, 10)).astype(np.float32)
    x = source(1).normal(size=(30, 24)).astype(np.float32)
    encoded = stored(VectorCodebook(16, 4), weight).scaled(np.linspace(-1, 2, 10))
    expected = x.astype(np.float64) @ encoded.decode().astype(np.float64)
    assert lookup_response(x, encoded) == pytest.approx(expected, abs=2e-5)


def test_a_response_is_added_up_from_a_table_worked_out_by_hand():
    codebook = np.float32([[[1, 2], [-1, 0.5]]])
    format = VectorCodebook(2, 2)
    codes = format.codes(np.array([[0, 1, 1, 1]]), (4, 2))
    encoded = EncodedTensor(codes, format, {"codebook": codebook})
    # Places (10, 20) and (30, 40): tables [50, 0] and [110, -10].
    assert lookup_response([[10, 20, 30, 40]], encoded).tolist() == [[50 - 10, 0 - 10]]


def codebook_forward(x, weight):
    """The sum of float32 products, one input after the other."""
    total = np.zeros((len(x), weight.shape[1]), np.float32)
    for given, weights in zip(x.T, weight, strict=True):
        total += given[:, None] * weights
    return total


@pytest.mark.parametrize("per_neuron", [False, True])
def test_rikr17_lookups_give_every_bit_of_the_codebook_forward(per_neuron):
    points = np.sort(source().normal(size=13)).astype(np.float32)
    tables = source(1).normal(size=(9 if per_neuron else 1, 7)).astype(np.float32)
    x_codes = source(2).integers(0, 13, (40, 25))
    w_codes = source(3).integers(0, 7, (25, 9))
    weight = tables[np.arange(9) if per_neuron else 0, w_codes]
    expected = codebook_forward(points[x_codes], weight)
    found = lookup_dense(x_codes, w_codes, product_table(tables, points))
    assert np.array_equal(found.view(np.int32), expected.view(np.int32))


def test_rikr17_a_table_has_a_product_for_each_pair_of_values():
    table = product_table(np.float32([[2, -3, 0.5]]), np.float32([0, 1, 4]))
    assert table.tolist() == [[[0, 2, 8], [0, -3, -12], [0, 0.5, 2]]]


@pytest.mark.parametrize("clustered", ["whole", "per neuron", "one value"])
def test_weights_come_back_from_their_tables(clustered):
    values = source().normal(size=(8, 6)).astype(np.float32)
    codes = source(1).integers(0, 6, (3, 5, 8))
    weight = {
        "whole": values[0][codes],
        "per neuron": values[np.arange(8), codes],
        "one value": np.full((3, 5, 8), 0.25, np.float32),
    }[clustered]
    tables, codes = weight_tables(weight)
    assert len(tables) == (8 if clustered == "per neuron" else 1)
    assert tables.shape[1] <= 6 and codes.dtype == np.uint8
    which = np.arange(8) if len(tables) > 1 else 0
    assert np.array_equal(tables[which, codes], weight.reshape(15, 8))


def test_many_values_get_wider_codes():
    weight = np.arange(600, dtype=np.float32).reshape(300, 2)
    tables, codes = weight_tables(weight)
    assert tables.shape == (2, 300) and codes.dtype == np.uint16
    assert np.array_equal(tables[np.arange(2), codes], weight)


TABLE = product_table(np.ones((1, 3)), np.ones(4))


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: lookup_response(np.zeros((2, 3)), stored(VectorCodebook(2, 2), np.eye(4))),
            r"`x` must have shape \(rows, 4\).*\(2, 3\)",
        ),
        (
            lambda: lookup_response(np.eye(4), EncodedTensor(np.eye(4), Float32(), {})),
            "must be a weight in a VectorCodebook.*Float32",
        ),
        (
            lambda: lookup_dense(np.zeros((1, 2), int), np.zeros((3, 2), int), TABLE),
            r"must have shapes \(rows, inputs\).*\(1, 2\), \(3, 2\)",
        ),
        (
            lambda: lookup_dense(np.zeros((1, 2), int), np.full((2, 5), 3), TABLE),
            r"`w_codes` must lie in \[0, 2\].*max=3",
        ),
        (
            lambda: lookup_dense(np.full((1, 2), -1), np.zeros((2, 5), int), TABLE),
            r"`x_codes` must lie in \[0, 3\].*min=-1",
        ),
        (
            lambda: weight_tables(np.arange(65537, dtype=np.float32)[:, None]),
            "at most 65536 different ones.*65537",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
