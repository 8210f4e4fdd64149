import dataclasses

from edgeax.export import TrainingReport

REPORT = TrainingReport(
    layers=("conv", "last"),
    channels={"conv": 3},
    integer=("last/kernel",),
    float_behind=("norm",),
    optimizer="SGD",
    loss="cross_entropy",
    batch_size=8,
    state_bytes=12345,
    activation_bytes=None,
    gradient_operators={"ReluGrad": 2, "MaxPoolGrad": 1},
)


def test_the_report_is_read_as_text():
    assert REPORT.lines() == [
        "trains conv (3 channels), last",
        "a step: SGD, cross_entropy, batch 8",
        "state: 12,345 bytes",
        "int8 codes moved by whole steps: last/kernel",
        "float behind what is trained: norm",
        "gradients of the plugin: 2 ReluGrad, 1 MaxPoolGrad",
    ]


def test_a_file_that_needs_more_than_its_plan_says_so():
    report = dataclasses.replace(REPORT, activation_bytes=1000, planned_bytes=13_344)
    (line,) = set(report.lines()) - set(dataclasses.replace(report, planned_bytes=None).lines())
    assert line.startswith("more than the 13,344 bytes of its plan: give `plan_update`")
    enough = dataclasses.replace(report, planned_bytes=13_345)
    assert not any("its plan" in line for line in enough.lines())
