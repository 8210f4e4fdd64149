"""SavedState: what a callback remembers, saved and restored with the weights of its model."""

from collections.abc import Sequence
from typing import Any

import keras


class SavedState(keras.layers.Layer):
    """Variables of a callback that files of weights hold, for BackupAndRestore to bring back.

    They hang on the model beside its layers: no list of weights and no summary shows them. A file
    that was written without them leaves them as they are.

    Args:
        model: Of the callback.
        callback: Whose state it is; there is one for each class of callbacks.

    Example: in `set_model`, which comes before any `on_train_begin`.
    """

    def __init__(self, model: keras.Model, callback: keras.callbacks.Callback) -> None:
        super().__init__(dtype="float32", trainable=False)
        self.built = True
        self._model_was_built = model.built
        self._place = f"_state_of_{type(callback).__name__}"
        object.__setattr__(model, self._place, self)

    def variable(
        self, name: str, shape: Sequence[int] = (), dtype: str = "float32", value: float = 0.0
    ) -> keras.Variable:
        """Adds a variable that is equal on all replicas.

        Args:
            name: Of the variable.
            shape: Of the variable.
            dtype: Of the variable.
            value: That it starts with.
        """
        return self.add_weight(
            shape=tuple(shape),
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    def check(self, model: keras.Model) -> None:
        """Checks that it can do its work: to be called in `on_train_begin`.

        Raises:
            ValueError: The model had no weights yet, or another callback of the class took the
                place.
        """
        kind = self._place.removeprefix("_state_of_")
        if not self._model_was_built:
            raise ValueError(
                f"`model` must be built before `fit` with {kind}, which keeps something of each "
                f"weight. Received: {model.name!r}, which is not. Call it on a batch first."
            )
        if vars(model).get(self._place) is not self:
            raise ValueError(
                f"`callbacks` must hold at most one {kind}. Received: several. Leave one."
            )

    def detach(self, model: keras.Model) -> None:
        """Takes the variables off the model."""
        if vars(model).get(self._place) is self:
            object.__delattr__(model, self._place)

    def load_own_variables(self, store: Any) -> None:
        """Reads the variables, if the file has them."""
        if len(store.keys()):
            super().load_own_variables(store)
