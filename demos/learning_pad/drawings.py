"""Drawings: strokes become gray images of 28 x 28, and shapes that nobody drew.

A stroke is an array of points `(n, 2)`, x to the right and y down. Its image is what page/pad.js
makes of the same stroke: the drawing's bounding box is scaled to the middle 20 pixels.
"""

import numpy as np

SIZE = 28
MARGIN = 4
THICKNESS = 1.1  # half of a line's width, in pixels


def image_of(strokes):
    """Returns strokes as float32 (28, 28, 1): 1 where the pen was, 0 elsewhere."""
    points = np.concatenate([np.asarray(stroke, float).reshape(-1, 2) for stroke in strokes])
    low, high = points.min(0), points.max(0)
    scale = (SIZE - 1 - 2 * MARGIN) / max(*(high - low), 1e-6)
    middle = (low + high) / 2
    ys, xs = np.mgrid[:SIZE, :SIZE]
    pixels = np.stack([xs, ys], -1).reshape(-1, 1, 2)
    nearest = np.full(SIZE * SIZE, np.inf)
    for stroke in strokes:
        placed = (np.asarray(stroke, float).reshape(-1, 2) - middle) * scale + (SIZE - 1) / 2
        starts, ends = (placed, placed) if len(placed) == 1 else (placed[:-1], placed[1:])
        nearest = np.minimum(nearest, distances(pixels, starts, ends).min(1))
    return np.clip(THICKNESS + 0.5 - nearest, 0, 1).astype(np.float32).reshape(SIZE, SIZE, 1)


def distances(pixels, starts, ends):
    """Returns how far pixels (p, 1, 2) are from lines between points (n, 2), (p, n)."""
    along = ends - starts
    length = np.maximum((along**2).sum(-1), 1e-12)
    place = np.clip(((pixels - starts) * along).sum(-1) / length, 0, 1)
    return np.sqrt((((starts + place[..., None] * along) - pixels) ** 2).sum(-1))


def polygon(corners, first=0.0):
    """Returns the corners of a regular polygon, the first again behind the last."""
    angles = first + np.linspace(0, 2 * np.pi, corners + 1)
    return np.stack([np.cos(angles), np.sin(angles)], -1)


SHAPES = {
    "circle": [polygon(24)],
    "square": [polygon(4, np.pi / 4)],
    "triangle": [polygon(3, -np.pi / 2)],
    "cross": [[(-1, -1), (1, 1)], [(1, -1), (-1, 1)]],
    "line": [[(0, -1), (0, 1)]],
}
"""The shapes that the network knows before anybody teaches it."""


def drawn(strokes, draw):
    """Returns a shape as a hand would draw it: turned, stretched, sheared, and never straight."""
    angle, shear = draw.normal(0, 0.12), draw.normal(0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[draw.uniform(0.75, 1.25), shear], [0, draw.uniform(0.75, 1.25)]])
    made = []
    for stroke in strokes:
        fine = refined(np.asarray(stroke, float))
        wobble = np.cumsum(draw.normal(0, 0.018, fine.shape), 0)
        made.append((fine + wobble - wobble.mean(0)) @ matrix.T + draw.normal(0, 0.03, 2))
    return made


def refined(points, step=0.12):
    """Returns the same lines by points that are at most `step` apart."""
    parts = [points[:1]]
    for start, end in zip(points[:-1], points[1:], strict=True):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / step)))
        parts.append(start + (end - start) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(parts)


def samples(count, seed=0):
    """Returns images (count, 28, 28, 1) and labels (count,) of all shapes, in turns."""
    draw = np.random.default_rng(seed)
    shapes = [*SHAPES.values()]
    labels = np.arange(count) % len(shapes)
    images = np.stack([image_of(drawn(shapes[label], draw)) for label in labels])
    return images, labels.astype(np.int32)


def varied(image, count, draw):
    """Returns images (count, 28, 28, 1) like one, moved by up to two pixels and sheared."""
    made = []
    for _ in range(count):
        down, right = draw.integers(-2, 3, 2)
        lean = draw.uniform(-0.15, 0.15)
        moved = np.roll(image, (down, right), (0, 1))
        rows = [np.roll(row, round(lean * (y - SIZE / 2)), 0) for y, row in enumerate(moved)]
        made.append(np.stack(rows))
    return np.stack(made)
