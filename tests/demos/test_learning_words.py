import numpy as np
import pytest

from tests.demos import scripts
from tests.source_tree import REPOSITORY

DEMO = REPOSITORY / "demos" / "learning_words.py"


@pytest.fixture(scope="module")
def demo():
    return scripts.load(DEMO)


def test_new_words_are_the_last_classes_and_speakers_are_on_one_side(demo):
    clips, labels, tested, names = demo.load(demo.BUNDLED)
    assert names[-2:] == ["stop", "go"]
    assert np.abs(clips).max() == demo.REACH
    with np.load(demo.BUNDLED) as arrays:
        words = arrays["classes"][arrays["y"]]
        speakers = arrays["speaker"]
    assert [names[label] for label in labels[:50]] == [*words[:50]]
    people = set(speakers[tested]) & set(speakers[~tested])
    assert people <= {"silence"}


def test_a_short_run_learns_with_a_memory_and_forgets_without(demo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "LOTS", (16,))
    words = ["learning_words.py", "--output", str(tmp_path), "--epochs", "4", "--lessons", "4"]
    monkeypatch.setattr("sys.argv", words)
    demo.main()
    said = capsys.readouterr().out
    tables = said.split("from the new clips alone")[1].split("with a memory of")
    last = [table.strip().splitlines() for table in tables]
    alone, kept = (float(next(r for r in rows if r.split()[0] == "16").split()[2]) for rows in last)
    assert kept > alone + 0.1
    assert {"model.tflite", "learned.ckpt", "learned.tflite"} <= {
        p.name for p in tmp_path.iterdir()
    }
