import dataclasses
import datetime

import numpy as np
import pytest

import edgeax
from edgeax.formats.layer_shape import conv, depthwise, fully_connected
from edgeax.formats.operators import OPERATORS
from edgeax.formats.speeds import Form, read_speeds
from edgeax.runtime import plugin, tune
from edgeax.runtime.processor import fastest_kernels, processor_name

TINY = (conv(3, 8, 6, 3), depthwise(3, 8, 3), fully_connected(32, 8))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(tune, "_SECONDS", 0.0)


def test_a_table_of_this_machine_is_written_and_returned(quick, tmp_path):
    speeds = edgeax.tune(tmp_path / "here.json", TINY)
    assert read_speeds(tmp_path / "here.json") == speeds
    assert (speeds.target, speeds.kernels) == ("here", fastest_kernels())
    assert speeds.processor == processor_name()
    assert speeds.date == datetime.date.today().isoformat()
    assert "ai_edge_litert 2" in speeds.method and edgeax.__version__ in speeds.method
    assert {entry.shape for entry in speeds.entries} == set(TINY)
    for entry in speeds.entries:
        assert entry.speed > 0.0 and entry.noise >= 0.0


@pytest.mark.parametrize("shape", TINY, ids=lambda shape: shape.name)
def test_the_files_of_a_shape_are_the_forms_they_are_named_after(shape):
    codes = np.random.default_rng(0).integers(-128, 128, shape.input).astype(np.int8)
    files = list(tune.forms_of(shape))
    assert len({form for form, _ in files}) == len(files)
    for form, file in files:
        interpreter = edgeax.Interpreter(model_content=file)
        assert interpreter.details.custom_operators == (form.operator,)
        assert interpreter.run(codes, raw=True).shape == shape.output
    built_in = edgeax.Interpreter(model_content=tune.built_in_of(shape))
    assert built_in.details.custom_operators == ()
    assert built_in.run(codes, raw=True).shape == shape.output


def test_each_block_is_measured_with_and_without_order_and_codes_of_each_width():
    forms = [form for form, _ in tune.forms_of(fully_connected(64, 16))]
    assert {form.bits for form in forms if not form.block} == {1, 2, 4}
    assert {form.block for form in forms if form.is_sparse} == {1, 2, 4, 8, 16}
    assert Form("EdgeaxSparseFullyConnected", 8, 1, 0.25, True) in forms
    assert Form("EdgeaxSparseFullyConnected", 8, 1, 0.25, False) in forms
    assert {form.operator for form in forms} <= set(OPERATORS)


def test_sub_vectors_groups_sums_of_signs_and_looked_up_products_are_measured():
    names = {form.name for form, _ in tune.forms_of(conv(3, 8, 6, 3))}
    assert names >= {
        "4 bits for sub-vectors of 8",
        "8 bits for sub-vectors of 4",
        "4 bits in groups of 32",
        "2 bits in groups of 32",
        "1 x 2 signs",
        "2 x 1 signs",
        "2 x 2 signs",
        "4 bits, looked up",
        "2 bits, looked up",
    }


def test_sub_vectors_that_do_not_divide_rows_are_not_measured():
    lengths = {
        form.block for form, _ in tune.forms_of(conv(3, 4, 6, 1)) if "Vector" in form.operator
    }
    assert lengths == {4}
    assert not any("Vector" in form.operator for form, _ in tune.forms_of(conv(3, 3, 6, 3)))


def test_what_puts_inputs_on_few_values_is_compared_with_operators_that_do(quick, monkeypatch):
    rivals = []

    def turns(interpreters, inputs):
        rivals.append([op.name for op in interpreters["theirs"].details.operators[:-1]])
        return {"ours": [1.0, 1.0], "theirs": [1.0, 1.0]}

    monkeypatch.setattr(tune, "_turns", turns)
    before = {
        speed.form: rival for speed, rival in zip(tune.speeds_of(TINY[0]), rivals, strict=True)
    }
    for form, rival in before.items():
        count = form.planes if "SignSum" in form.operator else 0
        looked_up = ["CAST", "ADD", "GATHER"] if "Lookup" in form.operator else []
        assert rival == looked_up + count * ["GREATER_EQUAL", "SELECT_V2"]
    assert any(before.values())


def test_depthwise_layers_have_codes_alone():
    forms = [form for form, _ in tune.forms_of(depthwise(3, 8, 3))]
    assert {form.operator for form in forms} == {"EdgeaxDepthwiseConv2D"}
    assert {form.block for form in forms} == {0}


def test_the_speed_is_the_ratio_of_the_lower_quartiles(quick, monkeypatch):
    # Quartiles of 1 to 7 are 2 and 6, of the others 6 and 18.
    times = {"ours": [1.0, 2, 3, 4, 5, 6, 7], "theirs": [3.0, 6, 9, 12, 15, 18, 21]}
    monkeypatch.setattr(tune, "_turns", lambda interpreters, inputs: times)
    speeds = list(tune.speeds_of(TINY[2]))
    assert {entry.speed for entry in speeds} == {3.0} and {entry.noise for entry in speeds} == {0.0}


def test_a_folder_that_does_not_exist_is_refused_before_measuring(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "speeds_of", lambda shape: pytest.fail("it measured"))
    with pytest.raises(ValueError, match="`path` must lie in a folder that exists"):
        edgeax.tune(tmp_path / "none" / "here.json")


@pytest.mark.parametrize(
    "shapes",
    [[], ["conv"], [dataclasses.replace(TINY[0], layer="ADD")], [depthwise(3, 8, 3), TINY[0], 3]],
)
def test_what_is_no_layer_of_ours_is_refused_before_measuring(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "speeds_of", lambda shape: pytest.fail("it measured"))
    with pytest.raises(ValueError, match="`shapes` must be layers.*Received: "):
        edgeax.tune(tmp_path / "here.json", shapes)
    assert list(tmp_path.iterdir()) == []


def test_a_depthwise_layer_has_as_many_outputs_for_each_input(tmp_path):
    halved = dataclasses.replace(depthwise(3, 16, 3), outputs=8)
    with pytest.raises(ValueError, match="`shapes` must be layers"):
        edgeax.tune(tmp_path / "here.json", [halved])


def test_without_a_plugin_or_an_interpreter_it_says_so_and_writes_nothing(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(plugin, "_LIBRARY", tmp_path / "none.so")
        with pytest.raises(FileNotFoundError, match="plugin library"):
            edgeax.tune(tmp_path / "here.json", TINY)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match="pip install ai-edge-litert"):
            edgeax.tune(tmp_path / "here.json", TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_package_under_another_name_has_no_version(monkeypatch):
    assert tune._version("no_such_package") == "of unknown version"
