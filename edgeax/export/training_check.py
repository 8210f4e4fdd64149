"""Whether a file that can be trained runs: some operators are refused where they are prepared."""

from collections.abc import Sequence

import numpy as np

from edgeax.formats.training_signature import KEEP, LABELS, LEARNING_RATE, TrainingSignature
from edgeax.runtime.interpreter import Interpreter


def check_runs(content: bytes, signature: TrainingSignature, samples: Sequence[np.ndarray]) -> None:
    """Does one step of training with a learning rate of 0 in the interpreter.

    Args:
        content: The file.
        signature: What its metadata says.
        samples: One array per input of the model.

    Raises:
        ValueError: The interpreter cannot do it.
    """
    rows = signature.batch_size
    given = {
        name: np.resize(values, (rows, *values.shape[1:]))
        for name, values in zip(signature.inputs, samples, strict=True)
    }
    try:
        train = Interpreter(model_content=content).get_signature_runner("train")
        details = train.get_input_details()
        labels = np.zeros(details[LABELS]["shape"], details[LABELS]["dtype"])
        others = {KEEP: np.ones(len(signature.blocks), np.float32)} if signature.blocks else {}
        train(**given, **{LABELS: labels, LEARNING_RATE: np.zeros(1, np.float32)}, **others)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            "`model` must be trained in layers that interpreters run. Received: some of which one "
            f"says: {' '.join(str(error).split())}. Train fewer layers, or other ones."
        ) from error
