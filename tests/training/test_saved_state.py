"""SavedState: in files of weights, and nowhere else."""

import keras
import numpy as np
import pytest

from edgeax.training.saved_state import SavedState
from tests.training.small_models import mlp


def attached(model, value=0.0):
    state = SavedState(model, keras.callbacks.Callback())
    state.variable("count", dtype="int64", value=value)
    state.variable("mean", (2,), value=value)
    return state


def values(state):
    return [v.numpy().tolist() for v in state.variables]


def test_files_of_weights_hold_it_and_may_lack_it(tmp_path):
    model = mlp()
    weights, text = len(model.weights), model.to_json()
    model.save_weights(tmp_path / "without.weights.h5")
    attached(model, 3.0)
    assert len(model.weights) == weights and model.to_json() == text
    model.save_weights(tmp_path / "with.weights.h5")
    other = mlp(seed=1)
    state = attached(other)
    other.load_weights(tmp_path / "without.weights.h5")
    assert values(state) == [0, [0.0, 0.0]]
    other.load_weights(tmp_path / "with.weights.h5")
    assert values(state) == [3, [3.0, 3.0]]
    plain = mlp(seed=1)
    plain.load_weights(tmp_path / "with.weights.h5")
    np.testing.assert_array_equal(plain.get_weights()[0], model.get_weights()[0])
    model.save(tmp_path / "model.keras")
    assert "_state_of_Callback" not in vars(keras.saving.load_model(tmp_path / "model.keras"))


def test_there_is_one_for_a_class_and_it_goes():
    model = mlp()
    first, second = attached(model), attached(model)
    with pytest.raises(ValueError, match="at most one Callback"):
        first.check(model)
    second.check(model)
    first.detach(model)
    assert "_state_of_Callback" in vars(model)
    second.detach(model)
    assert "_state_of_Callback" not in vars(model)
