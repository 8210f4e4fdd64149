"""A strongly convex problem, with what plain numpy makes of it."""

import keras
import numpy as np

SAMPLES, SIZE, BATCH = 64, 4, 8
L2 = 0.05


def problem(seed=0):
    """Returns x `(64, 4)` and y `(64, 1)`, with noise that no weights explain."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(SAMPLES, SIZE)).astype(np.float32)
    wanted = generator.uniform(-1, 1, size=(SIZE, 1))
    y = x @ wanted + 0.5 * generator.normal(size=(SAMPLES, 1))
    return x, np.float32(y)


def gradient(x, y, w):
    """Of `mean((x w - y)**2) + L2 * |w|**2`."""
    return 2 * x.T @ (x @ w - y) / len(x) + 2 * L2 * w


def optimum(x, y):
    """Where the gradient of all is 0."""
    x, y = np.float64(x), np.float64(y)
    return np.linalg.solve(x.T @ x / len(x) + L2 * np.eye(SIZE), x.T @ y / len(x))


def convexity(x):
    """The least and the largest eigenvalue of the second derivative."""
    values = np.linalg.eigvalsh(2 * np.float64(x).T @ x / len(x)) + 2 * L2
    return values[0], values[-1]


def model(optimizer, start=None, **settings):
    """Returns the linear model, which starts at `start` or 0."""
    made = keras.Sequential(
        [
            keras.Input((SIZE,)),
            keras.layers.Dense(
                1,
                use_bias=False,
                kernel_initializer="zeros",
                kernel_regularizer=keras.regularizers.L2(L2),
            ),
        ]
    )
    if start is not None:
        made.set_weights([np.float32(start)])
    made.compile(optimizer, "mse", **settings)
    return made


def fit(made, data, *callbacks, **settings):
    """Trains, the batches in their order, and returns the weights."""
    settings = {"batch_size": BATCH, "shuffle": False, "verbose": 0, **settings}
    made.fit(*data, callbacks=[*callbacks], **settings)
    return made.get_weights()[0]
