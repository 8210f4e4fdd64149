from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from edgeax.runtime.mcu.operators.resize import Side, between, between_single, nearest
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check

BILINEAR = ("RESIZE_BILINEAR", "ResizeBilinearOptions")
NEAREST = ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
FLAGS = [(False, False), (True, False), (False, True)]


def resize(
    kind: tuple[str, str],
    values: np.ndarray,
    size: tuple[int, int],
    flags: tuple[bool, bool],
    rounding: str = "double",
) -> Case:
    dtype = values.dtype.type
    batch, _, _, channels = values.shape
    inputs = [drawn.tensor("x", values.shape, dtype), drawn.constant("size", size)]
    output = drawn.tensor("y", (batch, *size, channels), dtype)
    options = {"alignCorners": flags[0], "halfPixelCenters": flags[1]}
    version = 4 if kind == BILINEAR and dtype == np.int16 else 3
    return case(kind[0], inputs, [output], [values], rounding, version, table=kind[1], **options)


def draw(rng: Generator, kind: tuple[str, str], flags: tuple[bool, bool], *rest: str) -> Case:
    height, width, channels, *size = (int(number) for number in rng.integers(1, 14, 5))
    dtype = drawn.TYPES[int(rng.random() < 0.3)]
    values = drawn.codes(rng, (int(rng.integers(1, 3)), height, width, channels), dtype)
    return resize(kind, values, tuple(size), flags, *rest)


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_images_are_the_interpreters(rounding: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    cases = []
    for _ in range(12):
        cases += [draw(rng, BILINEAR, flags, rounding) for flags in FLAGS]
        cases += [draw(rng, NEAREST, flags, rounding) for flags in (*FLAGS, (True, True))]
    extreme = np.where(np.arange(36).reshape(1, 6, 6, 1) % 2, 127, -128).astype(np.int8)
    cases += [resize(BILINEAR, extreme, (17, 11), flags, rounding) for flags in FLAGS]
    check(tmp_path, cases)


def test_places_worked_out_by_hand() -> None:
    # From 2 pixels to 4, pixel centers half a pixel in: at -1/4, 1/4, 3/4, 5/4.
    half = Side(2, 4, align_corners=False, half_pixel_centers=True)
    assert nearest(half).tolist() == [0, 0, 1, 1]
    assert between(half)[1:3].tolist() == [[0, 1, 256], [0, 1, 768]]
    # XNNPACK holds what lies outside at the border.
    assert between_single(half).tolist() == [[0, 1, 0], [0, 1, 512], [0, 1, 1536], [1, 1, 0]]
    corners = Side(3, 5, align_corners=True, half_pixel_centers=False)
    assert nearest(corners).tolist() == [0, 1, 1, 2, 2]  # halves away from zero
    assert between(corners)[:, 0].tolist() == [0, 0, 1, 1, 2]


def test_sizes_and_flags_that_do_not_fit_are_refused() -> None:
    values = np.zeros((1, 2, 2, 1), np.int8)
    with pytest.raises(ValueError, match="must not have both align_corners and half_pixel"):
        resize(BILINEAR, values, (4, 4), (True, True)).lowered()
    with pytest.raises(ValueError, match=r"all sides in \[1, 32767\]. Received: \[4, 40000\]"):
        resize(BILINEAR, values, (4, 40000), (True, False)).lowered()
    x, y = drawn.tensor("x", (2, 2, 1)), drawn.tensor("y", (4, 4, 1))
    with pytest.raises(ValueError, match="input must have rank 4"):
        case("RESIZE_BILINEAR", [x, drawn.constant("size", [4, 4])], [y], []).lowered()
    size = drawn.constant("size", [4, 4])
    size.data = None
    with pytest.raises(ValueError, match="input 1 must be a constant"):
        case("RESIZE_BILINEAR", [x, size], [y], []).lowered()


def test_other_codes_are_refused_with_single_rounding() -> None:
    x, y = drawn.tensor("x", (1, 2, 2, 1)), drawn.tensor("y", (1, 4, 4, 1), scale=0.3)
    one = case("RESIZE_BILINEAR", [x, drawn.constant("size", [4, 4])], [y], [], "single")
    with pytest.raises(ValueError, match="one scale and zero point with single rounding"):
        one.lowered()
