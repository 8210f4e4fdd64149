import re

import pytest

from tests.runtime.mcu import generated, image_networks

NETWORKS = pytest.mark.parametrize(
    "network", [image_networks.separable, image_networks.residual], ids=["separable", "residual"]
)


def least(data, folder):
    with pytest.raises(ValueError, match="must be at least") as refused:
        generated.report(data, folder, ram_bytes=1)
    return int(re.search(r"at least (\d+)", str(refused.value)).group(1))


@NETWORKS
def test_a_network_in_stripes_gives_what_the_interpreter_gives(tmp_path, network):
    data = network()
    ram_bytes = least(data, tmp_path / "net")
    assert generated.is_success(generated.run(data, tmp_path / "net", ram_bytes=ram_bytes))
    source = (tmp_path / "net" / "net.cc").read_text()
    assert "for (int32_t stripe" in source


@NETWORKS
def test_plenty_of_room_takes_no_stripes(tmp_path, network):
    assert generated.is_success(generated.run(network(), tmp_path / "net", ram_bytes=10**6))
    assert "stripe" not in (tmp_path / "net" / "net.cc").read_text()


@NETWORKS
def test_a_report_tells_what_stripes_cost(tmp_path, network):
    data = network()
    found = generated.report(data, tmp_path / "net", ram_bytes=least(data, tmp_path / "net"))
    assert any(re.match(r"stripes of rows cost about [\d,]+ instr", note) for note in found.notes)
    assert any("in stripes of" in step.label for step in found.steps)
