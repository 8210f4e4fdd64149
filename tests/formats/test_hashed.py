import numpy as np
import pytest

from edgeax.formats import EncodedTensor
from edgeax.formats.hashed import HashBuckets, xxhash32

PRIME = 0x9E3779B1

# What xxHash's own library returns for two 32-bit words, the lower byte first. The first two are
# entries 16 and 17 of the test vectors that are published with it: 8 bytes of its test buffer.
HASHES = [
    ((0x9B925200, 0x24A332B7), 0, 0xA3F6F44B),
    ((0x9B925200, 0x24A332B7), PRIME, 0xC2A8E239),
    ((0, 0), 0, 0xDEB39513),
    ((1, 2), 0, 0x690B83DB),
    ((2, 1), 0, 0x2E724433),
    ((783, 999), 7, 0x5417DDAE),
]


def test_the_published_words_are_those_of_the_published_buffer():
    state, buffer = PRIME, []
    for _ in range(8):
        buffer.append(state >> 56)
        state = state * 11400714785074694797 % 2**64
    assert np.frombuffer(bytes(buffer), "<u4").tolist() == list(HASHES[0][0])


@pytest.mark.parametrize("words, seed, expected", HASHES)
def test_cwt15_the_hash_is_xxhash32_as_published(words, seed, expected):
    first, second = (np.uint32([word]) for word in words)
    assert xxhash32(first, second, seed).tolist() == [expected]


def test_all_pairs_are_hashed_at_once_as_one_by_one():
    rows, columns = np.arange(5, dtype=np.uint32), np.arange(3, dtype=np.uint32)
    table = xxhash32(rows[:, None], columns, 2**32 - 1)
    assert table.shape == (5, 3) and table.dtype == np.uint32
    for i in range(5):
        for j in range(3):
            assert table[i, j] == xxhash32(rows[i : i + 1], columns[j : j + 1], 2**32 - 1)[0]


def test_codes_say_bucket_and_sign_of_each_place():
    # 0xDEB39513 of (0, 0), 0x690B83DB of (1, 2): modulo 10 these are 9 and 5.
    codes = HashBuckets(10).codes_of((3, 4))
    assert abs(codes[0, 0]) - 1 == 0xDEB39513 % 10 == 9
    assert abs(codes[1, 2]) - 1 == 0x690B83DB % 10
    assert abs(codes[2, 1]) - 1 == 0x2E724433 % 10
    assert codes.dtype == np.int32
    ones = xxhash32(np.uint32([1]), np.uint32([2]), 2**31) & 1
    assert (codes[1, 2] > 0) == bool(ones[0])


def test_the_place_of_a_kernel_counts_along_its_filter():
    codes = HashBuckets(50, seed=3).codes_of((3, 2, 4, 5))
    assert np.array_equal(codes.reshape(24, 5), HashBuckets(50, seed=3).codes_of((24, 5)))
    assert HashBuckets(7).codes_of(()).shape == ()


def test_cwt15_signs_and_buckets_are_balanced():
    codes = HashBuckets(64, seed=1).codes_of((400, 320))
    n = codes.size
    assert abs(np.sum(np.sign(codes))) < 4 * np.sqrt(n)
    members = np.bincount(np.abs(codes).ravel() - 1, minlength=64)
    spread = np.sum((members - n / 64) ** 2) / (n / 64)  # chi squared of 63 degrees
    assert spread < 63 + 4 * np.sqrt(2 * 63)
    # Neither along rows nor along columns is there a pattern, nor do bucket and sign go together.
    signs = np.sign(codes).astype(float)
    for other in (np.roll(signs, 1, 0), np.roll(signs, 1, 1), np.sign(np.abs(codes) - 32.5)):
        assert abs(np.mean(signs * other)) < 4 / np.sqrt(n)


def test_another_seed_gives_another_hash():
    first, second = (HashBuckets(100, seed).codes_of((50, 40)) for seed in (0, 1))
    assert np.mean(np.abs(first) == np.abs(second)) < 0.03
    assert abs(np.mean(np.sign(first) * np.sign(second))) < 0.1


def test_cwt15_a_bucket_is_the_least_squares_of_its_members():
    format = HashBuckets(7, seed=5)
    x = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    codes = format.codes_of(x.shape).ravel()
    design = np.zeros((x.size, 7))  # x = design @ buckets
    design[np.arange(x.size), np.abs(codes) - 1] = np.sign(codes)
    expected, *_ = np.linalg.lstsq(design, x.ravel().astype(np.float64), rcond=None)
    params = format.fit(x)
    assert params["bucket"] == pytest.approx(expected, abs=1e-6)
    values = format.decode(format.encode(x, params), params)
    assert values.ravel() == pytest.approx(design @ params["bucket"], abs=1e-6)


def test_what_is_shared_already_is_kept_to_the_last_bit():
    format = HashBuckets(12)
    params = {"bucket": np.random.default_rng(1).normal(size=12).astype(np.float32)}
    values = format.decode(format.codes_of((30, 20)), params)
    assert np.array_equal(format.fit(values)["bucket"], params["bucket"])


def test_a_bucket_without_members_is_zero():
    x = np.ones((2, 2), np.float32)
    params = HashBuckets(1000).fit(x)
    assert np.count_nonzero(params["bucket"]) <= 4
    assert HashBuckets(3).fit(np.zeros((0, 4)))["bucket"].tolist() == [0, 0, 0]


def test_cwt15_what_is_stored_are_the_bucket_values():
    format = HashBuckets(12250)  # 784 x 1000 / 64
    x = np.ones((784, 1000), np.float32)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    assert encoded.size_bits == 12250 * 32
    assert encoded.bits == 0
    assert encoded.scaled(np.ones(1000)).size_bits == (12250 + 1000) * 32


def test_a_gain_multiplies_a_channel_and_channels_can_be_taken():
    format = HashBuckets(9)
    x = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    gain = np.float32([1, -2, 0, 4, 0.5, 8])
    assert np.array_equal(encoded.scaled(gain).decode(), encoded.decode() * gain)
    assert np.array_equal(encoded.channels(slice(1, 3)).decode(), encoded.decode()[:, 1:3])


def test_settings_go_round():
    format = HashBuckets(9, 4)
    assert HashBuckets.from_config(format.get_config()) == format


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: HashBuckets(0), r"`buckets` must be in 1\.\..*Received: 0"),
        (lambda: HashBuckets(2.5), "`buckets` must be an integer"),
        (lambda: HashBuckets(4, -1), r"`seed` must be in 0\.\..*Received: -1"),
        (lambda: HashBuckets(4, 2**31), "`seed` must be in"),
        (lambda: HashBuckets(4).fit(np.float32([np.nan])), "`x` must be finite"),
        (lambda: HashBuckets(4).encode(np.float32([np.inf]), {}), "`x` must be finite"),
        (
            lambda: HashBuckets(2).decode(np.int32([3]), {"bucket": np.zeros(2)}),
            r"magnitudes in \[1, 2\].*Received: 3 to 3",
        ),
        (
            lambda: HashBuckets(2).decode(np.int32([0]), {"bucket": np.zeros(2)}),
            r"magnitudes in \[1, 2\].*Received: 0 to 0",
        ),
        (
            lambda: HashBuckets(2).decode(np.int32([1]), {"bucket": np.zeros(3)}),
            r"must have shape \(2,\)",
        ),
    ],
)
def test_what_is_impossible_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
