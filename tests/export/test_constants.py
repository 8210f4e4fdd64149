import numpy as np

from edgeax.export.constants import Constants, bytes_in_file
from edgeax.formats.flatbuffer import Model
from tests.runtime import files


def graph():
    return Model.from_bytes(files.int8_dense()).subgraphs[0]


def test_equal_constants_of_a_name_are_added_once():
    target = graph()
    before, constants = len(target.tensors), Constants(target)
    codes = np.int8([[1, 2], [3, 4]])
    first = constants.add("a", codes, np.float32([0.5, 0.25]))
    assert constants.add("a", codes.copy(), np.float32([0.5, 0.25])) == first == before
    others = [
        constants.add("b", codes, np.float32([0.5, 0.25])),
        constants.add("a", codes + np.int8(1), np.float32([0.5, 0.25])),
        constants.add("a", codes, np.float32([0.5, 0.5])),
        constants.add("a", codes.astype(np.uint8)),
        constants.add("a", codes.ravel().astype(np.uint8)),
    ]
    assert others == [before + 1 + i for i in range(5)] and len(target.tensors) == before + 6


def test_scales_run_along_the_axis_that_is_said():
    target = graph()
    index = Constants(target).add("a", np.ones((2, 3), np.int8), np.float32([1, 2, 3]), axis=1)
    assert target.tensors[index].quantized_axis == 1
    assert not target.tensors[index].zero_point.any()


def test_each_tensor_costs_its_bytes_and_as_much_again_as_a_small_one():
    assert bytes_in_file([100, 0]) == bytes_in_file([100]) + bytes_in_file([0])
    # What an added tensor takes in a file, on average of some sizes.
    model = Model.from_bytes(files.int8_dense())
    before = len(model.to_bytes())
    sizes = [8, 20, 33, 100, 1000]
    for size in sizes:
        name = f"some_layer/weights_{size}"
        model.subgraphs[0].add_tensor(name, np.arange(size).astype(np.uint8))
    added = len(model.to_bytes()) - before
    assert abs(added - bytes_in_file(sizes)) < 40 * len(sizes)
