import itertools

import numpy as np
import pytest

from edgeax.formats import Codebook, Integer


@pytest.mark.parametrize(
    "entries, bits", [(2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (256, 8)]
)
def test_bits_are_those_of_the_largest_index(entries, bits):
    assert Codebook(entries).bits == bits


def test_a_value_is_the_scale_of_its_channel_times_its_entry():
    params = {"codebook": np.int8([-3, 0, 7, 0]), "scale": np.float32([0.5, -2.0])}
    values = Codebook(4).decode(np.uint8([[0, 2], [3, 1]]), params)
    assert values.tolist() == [[-1.5, -14.0], [0.0, 0.0]]


def test_few_values_are_stored_exactly():
    x = np.float32([[-1.0, 2.0], [0.5, -0.25], [0.0, 2.0]])
    book = Codebook(8, None)
    params = book.fit(x)
    assert params["codebook"].tolist() == [-1.0, -0.25, 0.0, 0.5, 2.0, 0.0, 0.0, 0.0]
    assert params["codebook"].dtype == np.float32
    assert np.array_equal(book.decode(book.encode(x, params), params), x)


def test_entries_of_an_integer_format_are_its_codes():
    x = np.float32([[127.0], [-64.0], [1.0], [-64.0]])
    params = Codebook(4).fit(x)
    assert params["codebook"].tolist() == [-64, 1, 127, 0]
    assert params["codebook"].dtype == np.int8
    assert params["scale"].tolist() == [1.0]
    assert Codebook(4).encode(x, params).tolist() == [[2], [0], [1], [0]]


def test_a_full_codebook_of_all_codes_equals_the_integer_format():
    x = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    book, grid = Codebook(256), Integer(8, axis=-1)
    params = book.fit(x)
    expected = grid.decode(grid.encode(x, params), params)
    assert np.array_equal(book.decode(book.encode(x, params), params), expected)


def test_as_many_values_as_entries_are_stored_exactly_however_they_lie():
    x = np.float32([[100.0, 1.0, 3.0, 2.0]])
    assert Codebook(4, None).fit(x)["codebook"].tolist() == [1.0, 2.0, 3.0, 100.0]


def test_entries_stay_within_the_range_of_values_with_a_gap():
    # Linear initialization puts the entries in the middle where no value is near.
    x = np.concatenate([np.linspace(100, 101, 20), np.linspace(200, 201, 20)]).astype(np.float32)
    table = Codebook(8, None).fit(x)["codebook"]
    used = table[table != 0]
    assert used.size >= 2
    assert 100 <= used.min() <= used.max() <= 201
    assert np.array_equal(table, np.sort(used).tolist() + [0.0] * (8 - used.size))


def best_two_means(x):
    """The smallest squared error of any split of sorted numbers in two."""
    splits = (np.split(np.sort(x), [at]) for at in range(1, x.size))
    return min(sum(((part - part.mean()) ** 2).sum() for part in parts) for parts in splits)


def test_k_means_finds_the_best_split_of_two_groups():
    source = np.random.default_rng(2)
    x = np.concatenate([source.normal(-1, 0.2, 40), source.normal(2, 0.3, 60)]).astype(np.float32)
    book = Codebook(2, None)
    params = book.fit(x)
    error = ((book.decode(book.encode(x, params), params) - x.astype(np.float64)) ** 2).sum()
    assert error == pytest.approx(best_two_means(x.astype(np.float64)), rel=1e-5)


def test_each_entry_is_the_mean_of_its_members():
    x = np.random.default_rng(3).normal(size=2000).astype(np.float32)
    book = Codebook(16, None)
    params = book.fit(x)
    codes = book.encode(x, params)
    means = [x[codes == code].mean(dtype=np.float64) for code in range(16)]
    assert params["codebook"] == pytest.approx(means, rel=1e-5)


def test_pruned_zeros_stay_zero_among_many_other_values():
    x = np.random.default_rng(4).normal(size=(300, 8)).astype(np.float32)
    x[::2] = 0
    for book in (Codebook(16), Codebook(2), Codebook(16, None)):
        params = book.fit(x)
        assert 0 in params["codebook"]
        assert not book.decode(book.encode(x, params), params)[::2].any()


def test_the_codebook_is_fitted_to_the_weights_of_all_channels_at_their_own_scale():
    x = np.random.default_rng(5).normal(size=(500, 1)).astype(np.float32)
    both = np.concatenate([x, 1024 * x], axis=1)
    params = Codebook(16).fit(both)
    assert np.array_equal(params["codebook"], Codebook(16).fit(x)["codebook"])
    codes = Codebook(16).encode(both, params)
    assert np.array_equal(codes[:, 0], codes[:, 1])


@pytest.mark.parametrize("value", [None, Integer(8)])
def test_encode_finds_the_nearest_entry_by_brute_force(value):
    dtype = np.float32 if value is None else np.int8
    source = np.random.default_rng(6)
    for _ in range(50):
        table = source.integers(-128, 128, 7).astype(dtype)  # unsorted, with repetitions
        params = {"codebook": table} | ({} if value is None else {"scale": np.float32(0.25)})
        book = Codebook(7, value)
        x = source.integers(-1100, 1100, 200).astype(np.float32) / 32
        got = book.decode(book.encode(x, params), params)
        entries = np.unique(book.decode(np.arange(7), params))
        nearest = [min(entries, key=lambda e: (abs(float(e) - float(v)), e)) for v in x]
        assert got.tolist() == nearest  # in a tie the smaller entry


def test_every_index_of_every_size_decodes_to_its_entry():
    for entries in range(2, 257):
        table = np.roll(np.arange(-128, 128), entries)[:entries].astype(np.int8)
        params = {"codebook": table, "scale": np.float32(2)}
        book = Codebook(entries, Integer(8))
        codes = np.arange(entries, dtype=np.uint8)
        assert book.decode(codes, params).tolist() == [2.0 * entry for entry in table.tolist()]
        assert np.array_equal(book.encode(book.decode(codes, params), params), codes)


@pytest.mark.parametrize("entries", [1, 0, 257])
def test_a_table_that_one_byte_cannot_index_is_rejected(entries):
    with pytest.raises(ValueError, match=rf"`entries` must be in 2..256. Received: {entries}"):
        Codebook(entries)


def test_affine_entries_are_rejected():
    with pytest.raises(ValueError, match="`value` must be symmetric"):
        Codebook(16, Integer(8, symmetric=False))


def test_an_index_outside_the_table_is_rejected():
    params = Codebook(3).fit(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"\[0, 2\].*max=3"):
        Codebook(3).decode(np.uint8([[3, 0]]), params)


@pytest.mark.parametrize(
    "table", [np.zeros(15, np.int8), np.zeros(16, np.float32), np.zeros((4, 4), np.int8)]
)
def test_a_table_of_another_shape_or_type_is_rejected(table):
    params = {"codebook": table, "scale": np.float32([1, 1])}
    for use in (Codebook().encode, Codebook().decode):
        with pytest.raises(ValueError, match=r"int8 of shape \(16,\)"):
            use(np.zeros((2, 2), np.uint8), params)


def test_fitting_is_deterministic_and_does_not_depend_on_the_order():
    x = np.random.default_rng(7).normal(size=1000).astype(np.float32)
    first, second = (Codebook(16, None).fit(values) for values in (x, x[::-1]))
    assert np.array_equal(first["codebook"], second["codebook"])


def test_a_tensor_with_one_value_more_than_entries_is_still_fitted():
    for count, value in itertools.product((2, 3, 16), (None, Integer(8))):
        x = np.arange(count + 1, dtype=np.float32)
        params = Codebook(count, value).fit(x)
        assert np.unique(Codebook(count, value).encode(x, params)).size == count
