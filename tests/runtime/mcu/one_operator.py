"""Files of one operator, what interpreters give for them, and the operator as handlers see it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Step
from edgeax.runtime.mcu.targets import TARGETS
from tests.tflite_kernels import models

_RESOLVERS = {
    "double": litert.OpResolverType.BUILTIN_REF,
    "single": litert.OpResolverType.AUTO,
}


@dataclasses.dataclass
class File:
    """A file of one operator.

    Attributes:
        name: Of the operator.
        options: Table of its options by the schema's name, and what differs from its defaults.
        inputs: Its inputs; those with data are constants.
        output: What it writes.
    """

    name: str
    options: tuple[str, dict[str, Any]]
    inputs: list[models.Tensor]
    output: models.Tensor
    version: int = 1

    def content(self) -> bytes:
        """Returns the bytes of the file."""
        model = models.Model()
        inputs = [model.add(tensor) for tensor in self.inputs]
        output = model.add(self.output)
        table, values = self.options
        options = getattr(schema, f"{table}T")()
        for name, value in values.items():
            setattr(options, name, value)
        code = getattr(schema.BuiltinOperator, self.name)
        kind = getattr(schema.BuiltinOptions, table)
        model.operators.append(
            models.Operator(inputs, [output], None, b"", code, options, kind, self.version)
        )
        model.inputs = [i for i, tensor in enumerate(self.inputs) if tensor.data is None]
        model.outputs = [output]
        return model.write()

    def node(self, rounding: str = "double", target: str = "host") -> Node:
        """Returns the operator as handlers see it."""
        graph = Model.from_bytes(self.content()).subgraphs[0]
        return Node(0, graph.operators[0], graph.tensors, TARGETS[target], rounding)

    def step(self, rounding: str = "double", target: str = "host") -> Step:
        """Returns the step that its handler makes."""
        (step,) = HANDLERS[self.name](self.node(rounding, target))
        assert isinstance(step, Step)
        return step

    def interpreted(self, inputs: Sequence[np.ndarray], rounding: str = "double") -> np.ndarray:
        """Returns what LiteRT gives, by TFLite's reference kernels or as it runs by default."""
        runner = litert.Interpreter(
            model_content=self.content(),
            experimental_op_resolver_type=_RESOLVERS[rounding],
            num_threads=1,
        )
        runner.allocate_tensors()
        for detail, data in zip(runner.get_input_details(), inputs, strict=True):
            runner.set_tensor(detail["index"], data)
        runner.invoke()
        return runner.get_tensor(runner.get_output_details()[0]["index"])

    def ordered(self, step: Step, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns inputs in RAM in the order in which a step reads them."""
        numbers = [i for i, tensor in enumerate(self.inputs) if tensor.data is None]
        given = dict(zip(numbers, inputs, strict=True))
        return [given[value] for value in step.values_read]
