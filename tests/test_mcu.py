import edgeax
from edgeax.runtime.mcu import generate, report, targets


def test_both_spellings_give_the_same_objects():
    assert edgeax.mcu.generate is generate.generate
    assert edgeax.mcu.Report is report.Report
    assert edgeax.mcu.TARGETS is targets.TARGETS
    assert all(getattr(edgeax.mcu, name) for name in edgeax.mcu.__all__)
