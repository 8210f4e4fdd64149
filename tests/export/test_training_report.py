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
