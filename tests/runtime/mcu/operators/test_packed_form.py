from tests.runtime.mcu import packed_cases
from tests.runtime.mcu.declared import fields_of
from tests.tflite_kernels import models, random_cases


def test_the_layer_is_that_of_the_header_and_comes_first():
    drawn = random_cases.draw("EdgeaxVectorConv2D", 3)
    arguments = packed_cases.step_of(models.model_of(drawn).write(), "host", "double").arguments
    assert next(iter(arguments.fields)) == "layer"
    assert list(arguments.fields["layer"].fields) == fields_of("PackedLayer")
