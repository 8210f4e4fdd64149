"""Slim: what no interpreter reads leaves a file that is to be small."""

from edgeax.formats.flatbuffer import Model

_OF_THE_CONVERTER = "CONVERSION_METADATA"


def slim(model: Model) -> None:
    """Drops names of tensors within the graphs and what the converter says of itself, in place.

    Names of inputs, outputs and signatures stay, and so does all else that changes a result.
    """
    for graph in model.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in ends:
                tensor.name = ""
    model.description = ""
    model.metadata.pop(_OF_THE_CONVERTER, None)
    model.prune()
