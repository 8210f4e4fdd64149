import dataclasses
import hashlib
import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import training_signature as training
from edgeax.formats.flatbuffer import Model
from tests.formats.small_models import code, operator, table, tensor

STATE = (
    training.Variable("dense/kernel", (2, 3), "float32", trained=True),
    training.Variable("step", (), "int32", trained=False),
)
NAMES = tuple(variable.name for variable in STATE)
ENDS = {
    "infer": training.Ends(("x",), ("logits",)),
    "train": training.Ends(("x", "y", "learning_rate"), ("loss", "logits")),
    "gradients": training.Ends(("x", "y"), ("loss", "dense/kernel")),
    "save": training.Ends((), NAMES),
    "restore": training.Ends(NAMES, ("restored",)),
    "reset": training.Ends((), ("reset",)),
}
SIGNATURE = training.TrainingSignature(
    model_id="ab" * 32,
    signatures=ENDS,
    variables=STATE,
    batch_size=4,
    infer_batch_size=1,
    loss="cross_entropy",
    optimizer={"name": "sgd", "momentum": 0.9},
    learning_rate=0.01,
    classes=3,
    from_logits=True,
    blocks=("block_1",),
    memory={"state_bytes": 28, "activation_bytes": 96},
    energy={"mac_j": 1.5e-9},
)


def file_with(ends):
    """A file that has signatures of these ends and nothing else."""
    raw = schema.ModelT()
    raw.version, raw.buffers, raw.subgraphs, raw.signatureDefs = 3, [schema.BufferT()], [], []
    raw.operatorCodes = [code("ADD")]
    for number, (key, named) in enumerate(ends.items()):
        names = [*named.inputs, *named.outputs]
        graph = table(
            schema.SubGraphT,
            tensors=[tensor(name, [1], "FLOAT32") for name in names],
            inputs=np.arange(len(named.inputs), dtype=np.int32),
            outputs=np.arange(len(named.inputs), len(names), dtype=np.int32),
            operators=[operator(0, [], [])],
        )
        maps = [table(schema.TensorMapT, name=name, tensorIndex=i) for i, name in enumerate(names)]
        raw.subgraphs.append(graph)
        raw.signatureDefs.append(
            table(
                schema.SignatureDefT,
                signatureKey=key,
                subgraphIndex=number,
                inputs=maps[: len(named.inputs)],
                outputs=maps[len(named.inputs) :],
            )
        )
    return Model(raw)


def edited(**changes):
    """A file whose entry differs from SIGNATURE in some JSON values."""
    file = file_with(ENDS)
    training.write(file, SIGNATURE)
    entry = json.loads(file.metadata[training.METADATA_KEY])
    file.metadata[training.METADATA_KEY] = json.dumps(entry | changes).encode()
    return file


def test_what_was_written_is_read_after_the_file_was_packed():
    file = file_with(ENDS)
    training.write(file, SIGNATURE)
    read = training.read(Model.from_bytes(file.to_bytes()))
    assert read == SIGNATURE
    assert (read.inputs, read.outputs, read.state_bytes) == (("x",), ("logits",), 2 * 3 * 4 + 4)


def test_the_entry_is_json_that_others_can_read():
    entry = json.loads(edited().metadata["edgeax.training"])
    assert (entry["version"], entry["batch_size"], entry["loss"]) == (1, 4, "cross_entropy")
    kernel = {"name": "dense/kernel", "shape": [2, 3], "dtype": "float32", "trained": True}
    assert entry["variables"][0] == kernel
    assert entry["signatures"]["gradients"]["outputs"] == ["loss", "dense/kernel"]


def test_an_entry_that_does_not_tell_of_logits_is_read():
    file = edited()
    entry = json.loads(file.metadata[training.METADATA_KEY])
    del entry["from_logits"]
    file.metadata[training.METADATA_KEY] = json.dumps(entry).encode()
    assert training.read(file) == dataclasses.replace(SIGNATURE, from_logits=None)


def test_the_identity_is_a_digest_of_names_shapes_types_and_constants():
    digests = sorted(hashlib.sha256(constant).hexdigest() for constant in (b"a", b"b"))
    text = json.dumps([[["dense/kernel", [2, 3], "float32"], ["step", [], "int32"]], digests])
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert training.model_id(STATE, [b"b", b"a", b"b"]) == expected
    other = dataclasses.replace(STATE[0], shape=(3, 2))
    assert training.model_id([other, STATE[1]], [b"a", b"b"]) != expected
    assert training.model_id(STATE, [b"a", b"c"]) != expected


def test_a_file_that_was_not_exported_for_training_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"exported for training.*train=edgeax.OnDeviceTraining"):
        training.read(file_with(ENDS))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"version": 2}, "version 2"),
        ({"batch_size": 0}, "0 where a count is"),
        ({"batch_size": True}, "True where a count is"),
        ({"loss": "hinge"}, "loss 'hinge'"),
        ({"model_id": 5}, "5 where a text is"),
        ({"from_logits": 1}, "1 where true or false is"),
        ({"blocks": "block"}, "'block' where texts are"),
        ({"variables": [{"name": "w", "shape": [-1], "dtype": "float32", "trained": True}]}, "-1"),
        ({"variables": [{"name": "w", "shape": [1], "dtype": "object", "trained": True}]}, "dtype"),
        ({"variables": 3}, "not iterable"),
        ({"signatures": []}, "no attribute 'items'"),
        ({"memory": {"state_bytes": 1.5}}, "1.5 where a count is"),
    ],
)
def test_a_damaged_entry_is_refused(changes, said):
    with pytest.raises(ValueError, match=f"training metadata of version 1.*{said}"):
        training.read(edited(**changes))


def test_an_entry_that_is_no_json_is_refused():
    file = edited()
    file.metadata[training.METADATA_KEY] = b"\xff{"
    with pytest.raises(ValueError, match="training metadata"):
        training.read(file)


def test_a_file_without_a_signature_or_with_other_ends_is_refused():
    without = {name: ends for name, ends in ENDS.items() if name != "reset"}
    with pytest.raises(ValueError, match="without 'reset'"):
        training.write(file_with(without), SIGNATURE)
    other = ENDS | {"infer": training.Ends(("image",), ("logits",))}
    with pytest.raises(ValueError, match=r"'infer'.*inputs \['image'\]"):
        training.write(file_with(other), SIGNATURE)
