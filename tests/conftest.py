"""Seeds every test module, saves Keras a second tracing of first steps, keeps searches for garbage
short, and prints what the tests find for each kind of layer as one table.

A test says where its result belongs by `record_property("layer kind", [kind, column])`.
"""

import functools
import gc
import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def seeded():
    """Makes the networks of a module the same in every run: initializers draw from this seed."""
    if "keras" in sys.modules:  # as it is where the module builds a network
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def freed():
    """Frees what a module leaves, and takes what lives on out of later searches for garbage.

    TensorFlow searches whenever it converts a saved model, as every file that is trained is: for a
    second where a hundred modules ran before.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def built_optimizers(request):
    """Gives optimizers their variables before a training begins.

    Else they are made in the first step, which TensorFlow then traces twice. So it stays where that
    may matter: in tests of the optimizer or of a callback themselves, and to go on from backups.
    """
    if "keras" not in sys.modules:
        yield
        return
    keras = sys.modules["keras"]
    fit = keras.Model.fit

    def may_care(part):
        is_tested = request.path.stem == f"test_{type(part).__module__.rpartition('.')[2]}"
        return is_tested or isinstance(part, keras.callbacks.BackupAndRestore)

    @functools.wraps(fit)
    def quick_fit(self, *args, **kwargs):
        optimizer = getattr(self, "optimizer", None)
        if self.built and optimizer is not None and not optimizer.built:
            if not any(map(may_care, (optimizer, *(kwargs.get("callbacks") or ())))):
                optimizer.build(self.trainable_variables)
        return fit(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", quick_fit)
        yield


def pytest_collection_finish():
    """Takes what modules hold out of the search for garbage, which gets slow with TensorFlow."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Prints the table of layer kinds, if any of its tests ran."""
    results: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "layer kind":
                    kind, column = value
                    results.setdefault(kind, {})[column] = outcome
    if not results:
        return
    columns = list(dict.fromkeys(column for row in results.values() for column in row))
    width = max(map(len, results))
    terminalreporter.section("layer kinds")
    terminalreporter.write_line("  ".join([" " * width, *columns]))
    for kind, row in results.items():
        cells = [row.get(column, "").ljust(len(column)) for column in columns]
        terminalreporter.write_line("  ".join([kind.ljust(width), *cells]).rstrip())
