import builtins

import pytest

from edgeax.search.pictures import figure


def test_a_figure_has_the_size_asked_for(tmp_path):
    made = figure(tmp_path / "picture.png", 4, 3)
    assert made.get_size_inches().tolist() == [4.0, 3.0]


def test_what_cannot_be_written_is_said_before_anything_is_drawn(tmp_path):
    with pytest.raises(ValueError, match="no_folder"):
        figure(tmp_path / "no_folder" / "picture.png", 4, 3)


def test_without_matplotlib_it_says_how_to_get_it(tmp_path, monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("no matplotlib", name="matplotlib")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"edgeax\[plot\]"):
        figure(tmp_path / "picture.png", 4, 3)
