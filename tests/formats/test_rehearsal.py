"""RehearsalBuffer: bytes by hand, images as they were, and a file to go on from."""

import numpy as np
import pytest

from edgeax.formats.rehearsal import RehearsalBuffer

GRAY = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 1)).astype(np.uint8)
LABELS = np.random.default_rng(1).integers(0, 3, 30)


def test_bytes_worked_out_by_hand():
    """Of 1,000 bytes 3 classes count 27; 30 pixels and a label of 2 bytes take 32 each."""
    buffer = RehearsalBuffer(1000, (6, 5, 1), classes=3)
    assert buffer.slots == 30 and buffer.bytes == 27 + 30 * 32
    small = RehearsalBuffer(1000, (6, 5, 1), classes=3, bits=4)  # 15 and 2
    assert small.slots == 57 and small.bytes == 27 + 57 * 17
    buffer.add(GRAY / 255.0, LABELS)
    assert buffer.bytes == 27 + 30 * 32


def test_gray_levels_lose_nothing():
    images = (GRAY / 255.0).astype(np.float32)
    buffer = RehearsalBuffer(1000, (6, 5, 1), classes=3)
    assert buffer.add(images, LABELS[:, None]) == 30 and len(buffer) == 30
    x, y = buffer.samples()
    assert x.dtype == np.float32 and np.array_equal(x, images)
    assert y.dtype == np.int32 and np.array_equal(y, LABELS)
    whole = RehearsalBuffer(1000, (6, 5, 1), classes=3, span=(0, 255))
    whole.add(GRAY, LABELS)
    assert np.array_equal(whole.samples()[0], GRAY)


@pytest.mark.parametrize(
    "bits, span, whole",
    [
        (8, (0, 255), True),
        (4, (-15, 15), True),
        (1, (0, 7), True),
        (8, (0, 1), False),
        (4, (0.5, 15.5), False),
    ],
)
def test_levels_are_whole_where_ends_and_steps_are(bits, span, whole):
    assert RehearsalBuffer(100, (2,), 2, bits, span).has_whole_levels is whole


def test_few_bits_store_the_nearest_level():
    buffer = RehearsalBuffer(100, (4,), classes=1, bits=2, span=(-1.0, 2.0))  # -1, 0, 1, 2
    buffer.add([[-1.0, -0.6, 0.4, 1.6]], [0])
    assert buffer.samples()[0].tolist() == [[-1.0, -1.0, 0.0, 2.0]]


def test_a_sample_that_gives_way_is_overwritten():
    buffer = RehearsalBuffer(9 * 2 + 4 * 3, (1,), classes=2)
    assert buffer.slots == 4
    buffer.add(np.full((4, 1), 0.2), np.zeros(4, int))
    buffer.add(np.full((2, 1), 0.8), np.ones(2, int))
    x, y = buffer.samples()
    assert buffer.counts.tolist() == [2, 2]
    assert x[y == 1].ravel() == pytest.approx(0.8) and x[y == 0].ravel() == pytest.approx(0.2)


def test_a_file_goes_on_where_the_buffer_was(tmp_path):
    images = GRAY / 255.0
    buffer = RehearsalBuffer(400, (6, 5, 1), 3, bits=4, seed=7)
    buffer.add(images[:15], LABELS[:15])
    buffer.save(tmp_path / "memory.npz")
    loaded = RehearsalBuffer.load(tmp_path / "memory.npz")
    assert loaded.bytes == buffer.bytes and loaded.span == buffer.span and len(loaded) == 15
    for one in (buffer, loaded):
        one.add(images[15:], LABELS[15:])
    for mine, theirs in zip(buffer.samples(), loaded.samples(), strict=True):
        assert np.array_equal(mine, theirs)


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", codes=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ValueError, match="RehearsalBuffer.save wrote. Received: .*" + name):
            RehearsalBuffer.load(tmp_path / name)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"bits": 3}, r"`bits` must be one of \(1, 2, 4, 8\). Received: bits=3"),
        ({"span": (1.0, 1.0)}, r"`span` must be two finite numbers that rise. Received: \(1.0"),
        ({"shape": (0, 3)}, r"`shape` must hold at least one value. Received: \(0, 3\)"),
        ({"capacity_bytes": 50}, "at least one sample: 59 bytes. Received: 50"),
        ({"classes": 0}, "`classes` must be an integer, at least 1"),
        ({"classes": 4.0}, "`classes` must be an integer, at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RehearsalBuffer(**{"capacity_bytes": 1000, "shape": (6, 5, 1), "classes": 3, **settings})


@pytest.mark.parametrize(
    "x, y, words",
    [
        (np.zeros((2, 5, 6, 1)), [0, 1], r"\(count, 6, 5, 1\).* Received: \(2, 5, 6, 1\)"),
        (np.zeros((2, 6, 5, 1)), [0], r"Received: .* and \(1,\)"),
        (np.zeros((2, 6, 5, 1)), [0, 3], r"integers in \[0, 3\). Received: int64, \[0 3\]"),
        (np.zeros((2, 6, 5, 1)), [0.0, 1.0], "integers in .* Received: float64"),
        (np.full((1, 6, 5, 1), np.nan), [0], r"`x` must lie in span=\(0.0, 1.0\).*nan"),
        (GRAY, LABELS, r"Received: values in \[0, 255\]. Scale them"),
    ],
)
def test_samples_that_do_not_fit_change_nothing(x, y, words):
    buffer = RehearsalBuffer(1000, (6, 5, 1), classes=3)
    with pytest.raises(ValueError, match=words):
        buffer.add(x, y)
    assert len(buffer) == 0 and buffer.counts.tolist() == [0, 0, 0]
