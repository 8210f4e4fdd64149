"""Batch norm re-estimation as a correction of a model that was rounded after training."""

from edgeax.model.batch_norm import normalizations_of, reestimate_layer
from edgeax.post_training.case import Case, Correction


class BatchNormReestimation(Correction):
    """Takes the statistics of all batch normalizations anew from the rounded model."""

    needs_samples = 16

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        found = normalizations_of(case.model)
        if not found:
            case.skip("batch norm re-estimation", "the model has no batch normalization left")
        for layer in case.progress("Batch norm re-estimation", found):
            reestimate_layer(case.model, layer, lambda: case.batches)
