import dataclasses

from edgeax.runtime.mcu.unread import without_unread
from tests.runtime.mcu import generated, image_networks
from tests.runtime.mcu.image_programs import Maker


def labels(program):
    return [step.label for step in without_unread(program).steps]


def test_steps_are_kept_that_outputs_depend_on():
    maker = Maker()
    image = maker.value(4, 4, 1)
    used = maker.window(image, 4)
    dead = maker.window(used, 8)
    maker.window(dead, 8)
    last = maker.window(used, 2)
    assert labels(maker.program([image], [last])) == ["0 STEP", "3 STEP"]


def test_a_step_that_writes_a_state_is_kept():
    maker = Maker()
    image = maker.value(4, 4, 1)
    output, state = maker.window(image, 4), maker.window(image, 4)
    maker.values[state] = dataclasses.replace(maker.values[state], is_state=True)
    assert labels(maker.program([image], [output])) == ["0 STEP", "1 STEP"]


def test_an_output_may_be_another_name():
    maker = Maker()
    image = maker.value(4, 4, 1)
    made = maker.window(image, 4)
    other = maker.value(2, 8, 1)
    maker.aliases[other] = made
    assert labels(maker.program([image], [other])) == ["0 STEP"]
    maker.aliases = {made: other}
    assert labels(maker.program([image], [other])) == ["0 STEP"]


def test_a_network_with_an_unread_layer_gives_the_same_without_it(tmp_path):
    model = image_networks.image((1, 6, 6, 4))
    model.outputs = [image_networks.conv(model, 0, 4, 3)]
    image_networks.conv(model, 0, 64, 3)
    found = generated.report(model.write(), tmp_path / "report")
    assert len(found.steps) == 1
    assert generated.is_success(generated.run(model.write(), tmp_path / "net"))
