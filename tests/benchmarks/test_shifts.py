import numpy as np

from benchmarks.shifts import shifted


def test_each_image_is_moved_by_at_most_a_pixel_and_zeros_come_in():
    x = np.random.default_rng(0).uniform(0.1, 1.0, (40, 5, 6, 1)).astype(np.float32)
    after = shifted(x, np.random.default_rng(1))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    found = []
    for image, result in zip(padded, after, strict=True):
        places = [
            (down, right)
            for down in range(3)
            for right in range(3)
            if np.array_equal(image[down : down + 5, right : right + 6], result)
        ]
        found += places
    assert len(found) == 40 and len(set(found[:9])) == 9
