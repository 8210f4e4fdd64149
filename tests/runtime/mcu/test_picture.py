import sys

from edgeax.runtime.mcu import picture
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.plan import plan, stages_of
from tests.runtime.mcu import networks, steps
from tests.runtime.mcu.steps import step


def planned():
    some = [step([0], [1], scratch_bytes=20), step([1], [2])]
    program = steps.program({0: 8, 1: 16, 2: 8}, some, [0], [2])
    return plan(program, stages_of(program))


def test_a_plan_is_drawn_the_same_every_time():
    drawn = picture.png(planned(), "net")
    assert (
        drawn is not None
        and drawn.startswith(b"\x89PNG")
        and drawn == picture.png(planned(), "net")
    )


def test_another_plan_is_another_picture():
    program = steps.program({0: 8, 1: 16}, [step([0], [1])], [0], [1])
    assert picture.png(plan(program, stages_of(program)), "net") != picture.png(planned(), "net")


def test_without_matplotlib_all_but_the_picture_is_written(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    receipt = generate(networks.dense_chain(), tmp_path / "net", name="net")
    assert receipt.notes == (
        'no picture of the plan without matplotlib: pip install "edgeax[plot]"',
    )
    assert "net_plan.png" not in receipt.files
    assert not (tmp_path / "net" / "net_plan.png").exists()
