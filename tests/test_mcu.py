import re

import edgeax
from edgeax.runtime.mcu import generate, report, targets
from edgeax.runtime.mcu.operators import HANDLERS
from tests.source_tree import REPOSITORY


def test_both_spellings_give_the_same_objects():
    assert edgeax.mcu.generate is generate.generate
    assert edgeax.mcu.Report is report.Report
    assert edgeax.mcu.TARGETS is targets.TARGETS
    assert all(getattr(edgeax.mcu, name) for name in edgeax.mcu.__all__)


def test_the_readme_lists_the_operators_that_programs_know():
    section = (REPOSITORY / "README.md").read_text().partition("| operators | of |")[2]
    listed = re.findall(r"\b[A-Z]\w*\d?\b", section.partition("\n\n")[0])
    assert sorted(listed) == sorted(HANDLERS)
