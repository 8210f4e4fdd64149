import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.scratch import reinitialized, retraining_dropout, scratch_epochs
from tests.training.small_models import mlp, points


def test_lsz19_budgets_are_those_worked_out_by_hand():
    # 4 * 30 + 30 * 3 = 210 against 4 * 20 + 20 * 3 = 140 multiply-accumulates: 1.5 times.
    large, small, tiny = mlp(30), mlp(20), mlp(5)
    assert scratch_epochs(40, large, small, "scratch-E") == 40
    assert scratch_epochs(40, large, small, "scratch-B") == 60
    assert scratch_epochs(40, large, tiny, "scratch-B") == 80  # never more than twice
    assert scratch_epochs(40, large, large) == 40


def test_sh16_dropout_shrinks_with_the_root():
    assert retraining_dropout(0.5, 0.25) == 0.25
    assert retraining_dropout(0.5, 0.08) == pytest.approx(0.5 * 0.08**0.5)
    assert retraining_dropout(0.5, 1.0) == 0.5


def test_a_plain_model_gets_new_weights():
    model = mlp()
    model.compile("adam", "sparse_categorical_crossentropy")
    keras.utils.set_random_seed(1)
    copy = reinitialized(model)
    assert not np.array_equal(copy.layers[0].kernel, model.layers[0].kernel)
    assert copy.compiled and copy.optimizer is not model.optimizer
    keras.utils.set_random_seed(1)
    assert np.array_equal(reinitialized(model).layers[0].kernel, copy.layers[0].kernel)


def test_a_compressed_model_keeps_its_masks():
    model = edgeax.compress(mlp(), [edgeax.Prune(0.5)])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*points(), verbose=0)
    copy = reinitialized(model)
    zeros = [np.asarray(edgeax.strip(m).layers[0].kernel) == 0 for m in (model, copy)]
    assert zeros[0].any() and np.array_equal(*zeros)
    assert not np.array_equal(copy.layers[0].kernel, model.layers[0].kernel)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: scratch_epochs(0, mlp(), mlp()), "`epochs` must be at least 1"),
        (lambda: scratch_epochs(1, mlp(), mlp(), "C"), "`protocol` must be one of.*'C'"),
        (lambda: retraining_dropout(1.0, 0.5), "`rate` must lie in"),
        (lambda: retraining_dropout(0.5, 0.0), "`left` must lie in"),
        (lambda: reinitialized(keras.Model()), "Sequential or functional"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
