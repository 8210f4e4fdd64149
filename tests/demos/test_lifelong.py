import re

import numpy as np
import pytest

import edgeax
from tests.demos import scripts
from tests.source_tree import REPOSITORY

DEMO = REPOSITORY / "demos" / "lifelong.py"


@pytest.fixture(scope="module")
def demo():
    return scripts.load(DEMO, "demo_lifelong")


def test_classes_arrive_two_at_a_time(demo):
    stages = demo.stages_of_classes(*demo.load(None, 400))
    assert len(stages) == 5 and stages[2][0] == "classes 4 and 5"
    assert sum(len(labels) for _, (_, labels), _ in stages) == 400
    for number, (_, *parts) in enumerate(stages):
        for images, labels in parts:
            assert images.shape == (len(labels), 14, 14, 1) and 0.0 <= images.min()
            assert set(labels) == {2 * number, 2 * number + 1} and images.max() <= 1.0


def test_the_camera_turns_from_stage_to_stage(demo):
    train, test = demo.load(None, 80)
    stages = demo.stages_of_drift(train, test)
    assert [len(images) for _, (images, _), _ in stages] == [20] * 4
    assert np.allclose(stages[0][1][0], train[0][::4], atol=1e-5)
    quarter = np.rot90(train[0][3::4], axes=(1, 2))  # the last stage: by 90 degrees
    other = np.rot90(train[0][3::4], -1, axes=(1, 2))
    turned = stages[3][1][0]
    assert min(np.abs(turned - quarter).mean(), np.abs(turned - other).mean()) < 0.01


def test_a_life_of_two_stages_leaves_a_memory_in_its_bytes(demo, tmp_path, capsys):
    stages = demo.stages_of_classes(*demo.load(None, 160))[:2]
    memory = tmp_path / "memory.npz"
    model, seen = demo.live(stages, 1, memory)
    buffer = edgeax.lifelong.RehearsalBuffer.load(memory)
    assert 0 < buffer.bytes <= demo.CAPACITY and len(seen) == 2
    assert buffer.counts[:4].min() > 0 and buffer.counts[4:].sum() == 0
    shares = [int(text) for text in re.findall(r"(\d+)% of the modelled", capsys.readouterr().out)]
    assert len(shares) == 2 and max(shares) < 60
    plain = edgeax.lifelong.E2Train().finished(model, stages[0][1][0])
    assert plain.predict(stages[0][2][0], verbose=0).shape[1] == 10
