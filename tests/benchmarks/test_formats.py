import json
import sys

import keras
import numpy as np
import pytest

import edgeax
from benchmarks import formats
from benchmarks.formats import SETTINGS, Setting
from benchmarks.harness import Benchmark


def setting(name):
    return next(setting for setting in SETTINGS if setting.name == name)


def fake_images(count=256, name="fake"):
    """Images whose brightest row tells the class."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 10, count).astype(np.int32)
    x = generator.uniform(0, 0.2, (count, 28, 28, 1)).astype(np.float32)
    x[np.arange(count), 2 * y + 3] = 1.0
    return formats.Images(name, x, y, x[:64], y[:64], x[:64], y[:64])


def row(name, bits, percent):
    return {
        "data": "fake",
        "setting": name,
        "bits_per_weight": bits,
        "percent": percent,
        "spread": 0.4,
        "points_lost": 91.0 - percent,
    }


def test_there_are_as_many_settings_as_the_issue_asks_for_and_all_are_data():
    assert len(SETTINGS) >= 21  # 20 beside float
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS[1:]:
        recipe = formats.recipe_of(setting, 100)
        assert edgeax.Recipe.from_json(recipe.to_json()).to_json() == recipe.to_json()


def test_the_targets_are_those_of_the_issue():
    limits = {s.name: s.most_points_lost for s in SETTINGS if s.most_points_lost is not None}
    assert limits == {
        "int8": 0.3,
        "int4": 0.8,
        "fp8_e4m3": 0.3,
        "ternary, learned": 1.5,
        "binary weights": 2.0,
        "binary weights and activations": 6.0,
    }


def test_first_and_last_layer_keep_eight_bits():
    model = edgeax.compress(formats.network(), formats.recipe_of(setting("int4"), 10))
    ends = 3 * 3 * 1 * 12 + 48 * 10
    between = 3 * 3 * 12 * 24 + 3 * 3 * 24 * 48 + 4 * 4 * 48 * 48
    expected = (8 * ends + 4 * between) / (ends + between)
    assert formats.bits_per_weight(model) == pytest.approx(expected)
    assert formats.bits_per_weight(formats.network()) == 32.0


def test_mean_and_spread_are_those_worked_out_by_hand():
    facts = [
        {"percent": 90.0, "validation_percent": 92.0, "file_bytes": 7, "file_percent": 89.0},
        {"percent": 91.5, "validation_percent": 93.0, "file_bytes": None, "file_percent": None},
    ]
    assert formats.over_seeds(facts) == {
        "percent": 90.75,
        "spread": 1.5,
        "validation_percent": 92.5,
        "file_bytes": 7,
        "file_percent": 89.0,
        "seeds": 2,
    }


def test_targets_are_judged_by_the_points_lost():
    benchmark = Benchmark("formats")
    chosen = [setting("int8"), setting("int4"), Setting("other", "log4")]
    percents = {"int8": 90.8, "int4": 90.1, "AdaptivFloat 4": 89.9, "other": 50.0}
    places = {n: (i, row(n, 4, p)) for i, (n, p) in enumerate(percents.items())}
    formats.add_wanted(benchmark, chosen, places)
    found = {entry["name"]: entry for entry in benchmark.report()["wanted"]}
    assert {name: entry["holds"] for name, entry in found.items()} == {
        "int8 points lost": True,
        "int4 points lost": False,
        "AdaptivFloat 4 points behind int4": True,
    }
    assert found["int4 points lost"]["value"] == pytest.approx(0.9)
    assert found["AdaptivFloat 4 points behind int4"]["value"] == pytest.approx(0.2)
    assert found["AdaptivFloat 4 points behind int4"]["row"] == 2


def test_every_setting_goes_on_from_the_same_float_network(monkeypatch):
    """Float first; then one with packed weights. Both learn what float alone had learned."""
    monkeypatch.setattr(formats, "TUNE_EPOCHS", 1)
    benchmark = Benchmark("formats")
    formats.compare(benchmark, [setting(formats.FLOAT), setting("int4")], fake_images(), (0,), 40)
    float_row, int4_row = benchmark.report()["rows"]
    assert (float_row["setting"], float_row["bits_per_weight"]) == ("float32", 32.0)
    assert float_row["points_lost"] == 0.0
    # One epoch of two steps would teach nothing: 10 % is chance.
    assert int4_row["percent"] > 80.0 and int4_row["file_percent"] > 80.0
    assert int4_row["file_bytes"] < float_row["file_bytes"] / 4
    assert [entry["name"] for entry in benchmark.report()["wanted"]] == ["int4 points lost"]


def test_validation_images_are_not_trained_on(monkeypatch, tmp_path):
    count = 300
    ids = np.arange(count) % 250
    x = np.zeros((count, 28, 28), np.uint8)
    x[:, 0, 0], x[:, 0, 1] = ids, np.arange(count) // 250
    y = (ids % 10).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    data = formats.images("mnist", quick=False)
    assert len(data.x) == 256 and len(data.x_validation) == 44  # two whole batches of 128
    both = np.concatenate([data.x, data.x_validation])
    number = np.rint(255 * (both[:, 0, 0, 0] + 250 * both[:, 0, 1, 0])).astype(int)
    assert sorted(number) == list(range(count))
    assert np.array_equal(number[:256] % 250 % 10, data.y)
    assert len(data.x_test) == 5 and data.name == "mnist"


def test_without_the_folder_keras_gives_the_images(monkeypatch, tmp_path):
    x, y = np.full((200, 28, 28), 255, np.uint8), np.ones(200, np.uint8)
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: ((x, y), (x[:3], y[:3])))
    data = formats.images("fashion_mnist", quick=False)
    assert len(data.x) == 128 and len(data.x_test) == 3
    assert data.x.dtype == np.float32 and data.x.max() == 1.0


def test_a_picture_is_drawn_beside_the_json(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")

    def measure(benchmark, quick):
        benchmark.row(**row("int4", 4.0, 90.0))
        benchmark.row(**row("float32", 32.0, 91.0))

    monkeypatch.setattr(formats, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["formats", "--json", str(tmp_path / "report.json")])
    assert formats.main() == 0
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "report.json").read_text())["rows"]) == 2


def test_without_matplotlib_the_way_to_it_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not formats.draw([row("int4", 4.0, 90.0)], tmp_path / "report.png")
    assert 'pip install "edgeax[plot]"' in capsys.readouterr().err
    assert not (tmp_path / "report.png").exists()
