"""Checkpoints of files that learn on: every variable in one file, written whole and checked.

Little-endian: the magic `EDGEAXCK`, a version, the length of a head, the head in JSON, the values
one after the other in its order, and the SHA-256 of all that stands before it.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeax.formats.files import write_atomically
from edgeax.formats.training_signature import TrainingSignature, Variable

MAGIC = b"EDGEAXCK"
VERSION = 1
_FIXED = struct.Struct("<8sII")
_DIGEST_BYTES = hashlib.sha256().digest_size


def write(
    path: str | os.PathLike[str], signature: TrainingSignature, values: Mapping[str, Any]
) -> None:
    """Writes all variables of a file: a process that ends in the middle leaves the former file.

    Args:
        path: The checkpoint; its folder must exist.
        signature: What the file says of its training.
        values: By name, what `checked` returns.

    Raises:
        ValueError: The path cannot be written to, or a value is missing or unlike its variable.
        OSError: The disk is full or failed; a former checkpoint is as it was.
    """
    values = checked(signature, values)
    head = json.dumps(
        {
            "model_id": signature.model_id,
            "variables": [[one.name, one.shape, one.dtype] for one in signature.variables],
        }
    ).encode()
    parts = [_FIXED.pack(MAGIC, VERSION, len(head)), head]
    parts += [_little(value).tobytes() for value in values.values()]
    content = b"".join(parts)
    write_atomically(path, content + hashlib.sha256(content).digest())


def read(path: str | os.PathLike[str], signature: TrainingSignature) -> dict[str, np.ndarray]:
    """Returns the variables of a checkpoint, by name.

    Args:
        path: What `write` wrote.
        signature: Of the file that they are for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, damaged, newer, or of another model.
    """
    wanted = f"`path` must be a checkpoint of this model. Received: {os.fspath(path)!r}, "
    if Path(path).is_dir():
        raise ValueError(f"{wanted}which is a folder. Give a file that Trainer.save wrote.")
    content = Path(path).read_bytes()
    if len(content) < _FIXED.size + _DIGEST_BYTES or not content.startswith(MAGIC):
        raise ValueError(f"{wanted}which is none. Give a file that Trainer.save wrote.")
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{wanted}which is damaged. Take an older one, or reset the model.")
    _, version, length = _FIXED.unpack_from(body)
    if version != VERSION:
        raise ValueError(f"{wanted}of version {version}, not {VERSION}. Update edgeax.")
    start = _FIXED.size + length
    model_id = _model_of(body[_FIXED.size : start])
    if model_id != signature.model_id:
        raise ValueError(
            f"{wanted}of the model {model_id[:12]}, not {signature.model_id[:12]}. Load it "
            "into the model file that it was saved from."
        )
    if len(body) != start + signature.state_bytes:
        raise ValueError(f"{wanted}which is damaged. Take an older one, or reset the model.")
    values = {}
    for variable in signature.variables:
        dtype = np.dtype(variable.dtype).newbyteorder("<")
        flat = np.frombuffer(body, dtype, variable.size_bytes // dtype.itemsize, start)
        values[variable.name] = flat.astype(variable.dtype).reshape(variable.shape)
        start += variable.size_bytes
    return values


def _model_of(head: bytes) -> str:
    """Returns the model that a head names, `unknown` where it names none."""
    try:
        return str(json.loads(head)["model_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def checked(signature: TrainingSignature, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns values for all variables in their order.

    Raises:
        ValueError: One is missing, unknown, of another shape or type, or not finite.
    """
    names = [variable.name for variable in signature.variables]
    given = [*values] if isinstance(values, Mapping) else type(values).__name__
    if not isinstance(values, Mapping) or {*values} != {*names}:
        raise ValueError(f"`values` must be a dict of {sorted(names)}. Received: {given}.")
    return {one.name: _checked(one, np.asarray(values[one.name])) for one in signature.variables}


def _checked(variable: Variable, value: np.ndarray) -> np.ndarray:
    if value.shape != variable.shape or value.dtype != variable.dtype:
        raise ValueError(
            f"`values` must hold {variable.dtype} of shape {variable.shape} for "
            f"{variable.name!r}. Received: {value.dtype} of shape {value.shape}."
        )
    if not np.all(np.isfinite(value)):
        raise ValueError(
            f"`values` must be finite. Received: nan or inf in {variable.name!r}. Go back to an "
            "older checkpoint, or reset the model, and learn at a lower rate."
        )
    return value


def _little(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
