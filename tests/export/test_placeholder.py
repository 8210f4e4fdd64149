import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.export.convert import convert
from edgeax.export.placeholder import (
    PREFIX,
    Placeholder,
    integer_output,
    integer_sources,
    kept_whole,
)
from edgeax.export.rounding import FixedRange


class Odd(Placeholder):
    def __init__(self):
        super().__init__()
        self.operator = f"{PREFIX}ODD"
        self._whole = kept_whole(lambda x: tf.sin(x) + 1.0, self.operator)

    def call(self, x):
        return self._whole(x)


def file_of(rounds):
    given = keras.Input((4,), batch_size=1)
    x = FixedRange(-1, 1)(keras.layers.Dense(4)(FixedRange(-1, 1)(given)))
    x = Odd()(x)
    x = FixedRange(0, 2)(x) if rounds else x
    x = keras.layers.Dense(2)(x)
    return convert(keras.Model(given, FixedRange(-4, 4)(x) if rounds else x), True).subgraphs[0]


def test_a_function_becomes_one_operator_between_integer_tensors():
    graph = file_of(rounds=True)
    (place,) = [i for i, op in enumerate(graph.operators) if op.name == f"{PREFIX}ODD"]
    (source,) = integer_sources(graph, place, "odd")
    output = integer_output(graph, place, "odd")
    assert [graph.tensors[i].dtype for i in (source, output)] == ["int8", "int8"]
    assert graph.tensors[output].scale[0] == np.float32(2 / 255)


def test_a_float_result_is_refused_and_the_layer_named():
    graph = file_of(rounds=False)
    (place,) = [i for i, op in enumerate(graph.operators) if op.name == f"{PREFIX}ODD"]
    with pytest.raises(ValueError, match="only QUANTIZE behind the layer 'odd'"):
        integer_output(graph, place, "odd")
