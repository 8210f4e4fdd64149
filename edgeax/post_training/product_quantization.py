"""product_quantize(): kernels whose sub-vectors share codewords, without training."""

from typing import Any

import keras

from edgeax.formats import implements
from edgeax.model.recipe import Recipe, Rule
from edgeax.post_training.api import quantize
from edgeax.post_training.codebook_correction import CodebookCorrection
from edgeax.transforms.vector_cluster import VectorCluster

_TEST = "tests/post_training/test_product_quantization.py::"


@implements("WLW15", test=_TEST + "test_wlw15_error_correction_beats_plain_product_quantization")
def product_quantize(
    model: keras.Model,
    length: int,
    number_of_clusters: int,
    samples: Any = None,
    layers: Any = ".*",
    tables: str = "shared",
    error_correction: bool = True,
    seed: int = 0,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """Returns a copy of `model` whose kernels are product-quantized, as Quantized-CNN does.

    The copy has a `VectorCluster` at each kernel, its codewords found: it can be trained further,
    saved and exported. For other settings from layer to layer, or activations that are rounded too,
    give `edgeax.quantize` a recipe and the correction `"codebook_correction"`.

    Source: [WLW15], rest as recalled.

    Args:
        model: A built, trained model, not compressed.
        length: Weights in a sub-vector; it must divide the inputs of an output channel of each
            layer, or its input channels with `tables="per_input"`.
        number_of_clusters: Codewords of a table; as many as there are sub-vectors where these are
            fewer.
        samples: Typical inputs, as for `edgeax.quantize`; needed only for the error correction, for
            which they are made where there are none.
        layers: Filter of the layers, as a `Rule` takes it.
        tables: Which sub-vectors share a table; see `VectorCluster`. `"per_input"` as in the paper
            errs less and takes more room: it pays in layers of many outputs or large windows.
        error_correction: Whether codewords and assignments are corrected, layer after layer, so
            that the layers' outputs keep; see `CodebookCorrection`. If not, they are those of
            k-means over the weights.
        seed: Of what is random.
        batch_size: Samples in a batch, at least 1.
        verbose: 1 shows how far it is.

    Raises:
        ValueError: The model or the samples are unusable, a setting is out of its range, or
            `length` does not divide the inputs of a layer.

    Example: `edgeax.product_quantize(model, 4, 64, images, layers="dense")`
    """
    cluster = VectorCluster(number_of_clusters, length, tables, seed=seed, at_most=True)
    corrections = [CodebookCorrection()] if error_correction else []
    return quantize(
        model,
        samples,
        Recipe([Rule(layers, kernel=cluster)], "product_quantization"),
        corrections=corrections,
        seed=seed,
        batch_size=batch_size,
        verbose=verbose,
    )
