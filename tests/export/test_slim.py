import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.slim import slim
from edgeax.formats.flatbuffer import Model
from tests.export.networks import convolutional, normal

SAMPLES = normal(8, 16, 16, 3)


@pytest.fixture(scope="module")
def converted():
    return assemble(convolutional(), [SAMPLES], integer=True, pack=True).file.to_bytes()


def slimmed(content):
    model = Model.from_bytes(content)
    slim(model)
    return Model.from_bytes(model.to_bytes())


def test_a_slim_file_computes_the_same_from_fewer_bytes(converted):
    content = slimmed(converted).to_bytes()
    assert len(content) < len(converted) - 1000
    x = normal(20, 16, 16, 3, seed=2)
    before, after = (edgeax.Interpreter(model_content=one).run(x) for one in (converted, content))
    np.testing.assert_array_equal(before, after)


def test_names_of_what_a_caller_reaches_stay(converted):
    before, after = Model.from_bytes(converted), slimmed(converted)
    assert after.signatures == before.signatures
    for ends in ("inputs", "outputs"):
        names = [
            [graph.tensors[i].name for i in getattr(graph, ends)]
            for graph in (before.subgraphs[0], after.subgraphs[0])
        ]
        assert names[0] == names[1] and all(names[0])
    ends = {*after.subgraphs[0].inputs, *after.subgraphs[0].outputs}
    assert {t.name for i, t in enumerate(after.subgraphs[0].tensors) if i not in ends} == {""}
    assert after.metadata["min_runtime_version"] == before.metadata["min_runtime_version"]


def test_a_slim_file_stays_as_it_is(converted):
    once = slimmed(converted).to_bytes()
    assert slimmed(once).to_bytes() == once


@pytest.mark.parametrize("optimize", [None, "size"])
def test_export_writes_a_slim_file_where_size_is_asked_for(tmp_path, optimize):
    path = tmp_path / "model.tflite"
    result = edgeax.export(convolutional(), path, SAMPLES, measure=False, optimize=optimize)
    names = [tensor.name for tensor in Model.read(path).subgraphs[0].tensors]
    assert result.size_bytes == path.stat().st_size
    assert ("" in names) == (optimize == "size")
