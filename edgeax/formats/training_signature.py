"""What a file that can be trained on the device says of itself: an entry of its metadata.

Such a file has six signatures: `infer`, `train`, `gradients`, `save`, `restore` and `reset`. The
entry names their inputs and outputs, the variables, and how the file was made.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgeax.formats import dtypes
from edgeax.formats.flatbuffer import Model

METADATA_KEY = "edgeax.training"
VERSION = 1

SIGNATURES = ("infer", "train", "gradients", "save", "restore", "reset")

LABELS = "y"
"""Input of `train` and `gradients`: int32 `(batch,)`, or float32 `(batch, n)` for a mean square."""

LEARNING_RATE = "learning_rate"
"""Input of `train`: float32 `(1,)`."""

KEEP = "keep"
"""Input of `train` and `gradients` where blocks can be left out: float32 `(blocks,)`, 1 or 0."""

RESTORED = "restored"
"""Output of `restore`: int32 scalar, 1."""

RESET = "reset"
"""Output of `reset`: int32 scalar, 1."""

LOSS = "loss"
"""Output of `train` and `gradients`: float32 scalar."""

LOSSES = ("cross_entropy", "mean_square")


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of the file: an output of `save` and an input of `restore` by the same name.

    Attributes:
        name: Its name.
        shape: Its shape.
        dtype: Type of its elements, as numpy names it.
        trained: Whether it is a weight that `train` moves; `gradients` has an output of that name.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    trained: bool

    @property
    def size_bytes(self) -> int:
        """Bytes of its value."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True)
class Ends:
    """Names of the inputs and outputs of a signature, in the order of the model."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TrainingSignature:
    """How a file is trained.

    Attributes:
        model_id: SHA-256 in hex of variables and constants, see `model_id`; a checkpoint of another
            model has another one.
        signatures: The ends of each of `SIGNATURES`.
        variables: All variables.
        batch_size: Rows of `train` and `gradients`.
        infer_batch_size: Rows of `infer`.
        loss: One of `LOSSES`.
        optimizer: Name and constants of the optimizer, for people.
        learning_rate: The default.
        classes: Number of classes, None for a mean square.
        from_logits: Whether the model's outputs are logits, not probabilities; None for a mean
            square, and in older files, which do not tell.
        blocks: Names of the blocks that `keep` leaves out, in its order.
        memory: Bytes by name: `state_bytes` of all variables, `activation_bytes` alive at once in
            a step of training.
        energy: Joules of a step by name, empty where not known.
    """

    model_id: str
    signatures: Mapping[str, Ends]
    variables: tuple[Variable, ...]
    batch_size: int
    infer_batch_size: int
    loss: str
    optimizer: Mapping[str, Any]
    learning_rate: float
    classes: int | None = None
    from_logits: bool | None = None
    blocks: tuple[str, ...] = ()
    memory: Mapping[str, int] = dataclasses.field(default_factory=dict)
    energy: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs: those of `infer`."""
        return self.signatures["infer"].inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the model's outputs: those of `infer`."""
        return self.signatures["infer"].outputs

    @property
    def state_bytes(self) -> int:
        """Bytes of all variables."""
        return sum(variable.size_bytes for variable in self.variables)


def shape_at_end(shape: Iterable[int]) -> tuple[int, ...]:
    """Returns the shape that a value has as an input of a signature: that of a scalar is `(1,)`.

    LiteRT 2.3.0 for aarch64 ends the process where a signature is given a scalar.
    """
    return tuple(map(int, shape)) or (1,)


def model_id(variables: Iterable[Variable], constants: Iterable[bytes]) -> str:
    """Returns what tells one model from another: SHA-256 in hex.

    Args:
        variables: All variables: their names, shapes and types count, not their values.
        constants: Contents of the frozen weights; their order does not count.
    """
    names = [[entry.name, list(entry.shape), entry.dtype] for entry in variables]
    digests = sorted({hashlib.sha256(content).hexdigest() for content in constants})
    return hashlib.sha256(json.dumps([names, digests]).encode()).hexdigest()


def write(file: Model, signature: TrainingSignature) -> None:
    """Puts the entry into the metadata of a file.

    Raises:
        ValueError: The file lacks a signature, an input or an output that the entry names.
    """
    _check_ends(file, signature)
    entry = {"version": VERSION, **dataclasses.asdict(signature)}
    file.metadata[METADATA_KEY] = json.dumps(entry).encode()


def read(file: Model) -> TrainingSignature:
    """Returns the entry of a file.

    Raises:
        ValueError: The file was not exported for training, or its entry is damaged or newer.
    """
    content = file.metadata.get(METADATA_KEY)
    if content is None:
        raise ValueError(
            "`file` must have been exported for training. Received: a file with metadata "
            f"{sorted(file.metadata)}. Export it with edgeax.export(model, path, "
            "train=edgeax.OnDeviceTraining(...))."
        )
    try:
        entry = json.loads(content)
        if entry["version"] != VERSION:
            raise _fault(f"version {entry['version']!r}")
        signature = _from_json(entry)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"`file` must have training metadata of version {VERSION}. Received: some with "
            f"{error}. Export it again, or update edgeax."
        ) from error
    _check_ends(file, signature)
    return signature


def _from_json(entry: Mapping[str, Any]) -> TrainingSignature:
    """Returns the entry, checked: it comes from a file that anyone may have written."""
    signature = TrainingSignature(
        model_id=_text(entry["model_id"]),
        signatures={
            name: Ends(_texts(ends["inputs"]), _texts(ends["outputs"]))
            for name, ends in entry["signatures"].items()
        },
        variables=tuple(map(_variable, entry["variables"])),
        batch_size=_count(entry["batch_size"]),
        infer_batch_size=_count(entry["infer_batch_size"]),
        loss=_text(entry["loss"]),
        optimizer=dict(entry["optimizer"]),
        learning_rate=float(entry["learning_rate"]),
        classes=None if entry["classes"] is None else _count(entry["classes"]),
        from_logits=_flag(entry.get("from_logits")),
        blocks=_texts(entry["blocks"]),
        memory={_text(name): _count(size, least=0) for name, size in entry["memory"].items()},
        energy={_text(name): float(value) for name, value in entry["energy"].items()},
    )
    if signature.loss not in LOSSES:
        raise _fault(f"loss {signature.loss!r}")
    return signature


def _variable(entry: Mapping[str, Any]) -> Variable:
    shape = tuple(_count(size, least=0) for size in entry["shape"])
    dtype = _text(entry["dtype"])
    dtypes.number(dtype)
    return Variable(_text(entry["name"]), shape, np.dtype(dtype).name, entry["trained"] is True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _fault(f"{value!r} where a text is")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise _fault(f"{values!r} where texts are")
    return tuple(map(_text, values))


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise _fault(f"{value!r} where true or false is")
    return value


def _count(value: Any, least: int = 1) -> int:
    if type(value) is not int or value < least:
        raise _fault(f"{value!r} where a count is")
    return value


def _fault(what: str) -> ValueError:
    return ValueError(what)


def _check_ends(file: Model, signature: TrainingSignature) -> None:
    """Checks that a file has what its entry names: exactly these ends of these signatures."""
    found = {entry.name: entry for entry in file.signatures}
    for name in SIGNATURES:
        ends = signature.signatures.get(name)
        if ends is None or name not in found:
            raise ValueError(
                f"`file` must have the signatures {SIGNATURES}, and metadata for them. Received: "
                f"one without {name!r}. Export it again."
            )
        inputs, outputs = set(found[name].inputs), set(found[name].outputs)
        if inputs != set(ends.inputs) or outputs != set(ends.outputs):
            raise ValueError(
                f"`file` must have the ends of {name!r} that its metadata names, {ends}. "
                f"Received: inputs {sorted(inputs)}, outputs {sorted(outputs)}. Export it again."
            )
