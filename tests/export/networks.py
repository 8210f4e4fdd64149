"""Small networks as training leaves them, and samples for them."""

import keras
import numpy as np

layers = keras.layers


def normal(*shape, seed=1):
    """Returns float32 samples of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sequential(*parts, seed=0):
    """Returns a Sequential model that looks trained; the first part is its input."""
    keras.utils.set_random_seed(seed)
    return unsettle(keras.Sequential(list(parts)), seed)


def unsettle(model, seed=0):
    """Gives biases and batch normalizations values as after training, gamma of both signs."""
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                values = generator.normal(size=variable.shape) * 0.3
                if "gamma" in variable.name or "variance" in variable.name:
                    values = generator.uniform(0.3, 2.0, variable.shape)
                if "gamma" in variable.name:
                    values *= generator.choice([-1, 1], variable.shape)
                variable.assign(values)
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(generator.normal(size=layer.bias.shape) * 0.2)
    return model


def convolutional():
    """Returns a classifier with every way in which image networks branch, join and pool."""
    keras.utils.set_random_seed(0)
    given = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(given)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_norm")(x))
    left = layers.Conv2D(16, 3, padding="same", strides=2, name="left")(x)
    left = layers.ReLU(6, name="left_relu6")(layers.BatchNormalization(name="left_norm")(left))
    both = layers.Add(name="add")([left, layers.MaxPooling2D(name="max_pool")(x)])
    small = layers.AveragePooling2D(2, name="average_pool")(both)
    more = layers.Conv2D(16, 1, strides=2, activation="relu", name="more")(both)
    x = layers.Concatenate(name="channels")([small, more])
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Concatenate(name="features")([x, layers.Flatten(name="flatten")(small)])
    return unsettle(
        keras.Model(
            given, layers.Dense(10, activation="softmax", name="head")(x), name="classifier"
        )
    )


def depthwise():
    """Returns a mobile network: depthwise and pointwise convolutions."""
    return sequential(
        keras.Input((12, 12, 4)),
        layers.DepthwiseConv2D(3, depth_multiplier=6, padding="same", name="expand"),
        layers.BatchNormalization(),
        layers.ReLU(6),
        layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="depthwise"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(16, 1, name="pointwise"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(6, name="head"),
    )


def separable():
    return sequential(
        keras.Input((10, 10, 8)),
        layers.SeparableConv2D(24, 3, activation="relu", name="first"),
        layers.SeparableConv2D(24, 3, padding="same", use_bias=False, name="second"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="sigmoid", name="head"),
    )


def one_dimensional():
    return sequential(
        keras.Input((24, 8)),
        layers.Conv1D(24, 5, padding="causal", dilation_rate=2, activation="relu", name="causal"),
        layers.Conv1D(24, 3, strides=2, name="strided"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling1D(),
        layers.DepthwiseConv1D(3, name="depthwise"),
        layers.SeparableConv1D(24, 3, padding="same", name="separable"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(4, name="head"),
    )


def transposed():
    return sequential(
        keras.Input((5, 5, 8)),
        layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu", name="up"),
        layers.Conv2DTranspose(8, 2, strides=2, use_bias=False, name="up_again"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(1, 3, activation="tanh", name="head"),
    )


def einsum():
    return sequential(
        keras.Input((6, 16)),
        layers.EinsumDense("abc,cd->abd", (6, 24), bias_axes="d", activation="relu", name="rows"),
        layers.EinsumDense("abc,cde->abde", (6, 4, 8), bias_axes="de", name="heads"),
        layers.EinsumDense("abde,def->abf", (6, 12), bias_axes="f", name="joined"),
        layers.Flatten(),
        layers.Dense(4, name="head"),
    )


def embedding():
    return sequential(
        keras.Input((12,), dtype="int32"),
        layers.Embedding(50, 16, name="embedding"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(4, activation="softmax", name="head"),
    )


def resampling():
    """Returns a network of layers that move values, between convolutions."""
    return sequential(
        keras.Input((6, 6, 8)),
        layers.ZeroPadding2D(1),
        layers.Conv2D(16, 3, name="first"),
        layers.UpSampling2D(2),
        layers.Conv2D(16, 3, groups=2, activation="relu", name="grouped"),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Cropping2D(1),
        layers.Dropout(0.3),
        layers.Conv2D(4, 3, dilation_rate=2, name="dilated"),
        layers.Permute((3, 1, 2)),
        layers.Reshape((4, -1)),
        layers.Dense(3, name="head"),
    )


def normalizing():
    """Returns a network whose batch normalizations follow no linear layer directly."""
    return sequential(
        keras.Input((6, 6, 3)),
        layers.Rescaling([0.1, 0.2, 0.3], [-1.0, 0.0, 1.0], name="rescaling"),
        layers.BatchNormalization(name="first_norm"),
        layers.ReLU(),
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.BatchNormalization(name="image_norm"),
        layers.Flatten(),
        layers.BatchNormalization(name="vector_norm"),
        layers.Activation("relu"),
        layers.Dense(16, activation="relu", name="dense"),
        layers.BatchNormalization(name="last_norm"),
    )


def several_ends():
    """Returns a model whose input and output names sort otherwise than they are given."""
    keras.utils.set_random_seed(0)
    image, vector = keras.Input((8, 8, 3), name="z_image"), keras.Input((5,), name="a_vector")
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(image)
    y = layers.Dense(8, activation="relu", name="dense")(vector)
    both = layers.Concatenate(name="both")([layers.GlobalAveragePooling2D(name="pool")(x), y])
    heads = [layers.Dense(units, name=f"head_{units}")(both) for units in (3, 1, 2)]
    return unsettle(keras.Model([image, vector], heads))


def nested():
    """Returns a siamese network: a nested model called twice, with a layer called twice in it."""
    keras.utils.set_random_seed(0)
    twice = layers.Conv2D(8, 3, padding="same", activation="relu", name="twice")
    block = keras.Sequential(
        [
            keras.Input((8, 8, 8)),
            twice,
            layers.Conv2D(8, 3, name="once"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.ZeroPadding2D(1),
            twice,
        ],
        name="block",
    )
    one, other = keras.Input((8, 8, 8), name="one"), keras.Input((8, 8, 8), name="other")
    x = layers.Flatten(name="flatten")(layers.Subtract(name="subtract")([block(one), block(other)]))
    return unsettle(keras.Model([one, other], layers.Dense(3, name="head")(x)))


def images(count=8):
    """What `convolutional` takes."""
    return normal(count, 16, 16, 3)


def trained(model, x, steps=3):
    """Lets the ranges follow some batches, as training does."""
    for _ in range(steps):
        model(x, training=True)
    return model


def roundings(frozen):
    """The points of a frozen model by their paths; of several, the last."""
    return {point.path: point for point in frozen.points}
