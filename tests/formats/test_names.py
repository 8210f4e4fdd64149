import pytest

from edgeax.formats import Integer
from edgeax.formats.names import deserialized, format_of, is_name, names, serialized


def test_a_name_with_its_axis_gives_the_format():
    assert format_of("int4") == Integer(4)
    assert format_of("int4", axis=-1) == Integer(4, axis=-1)


def test_an_unknown_name_is_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"`format` must name.*format='itn8'.*'int8'"):
        format_of("itn8")


def test_a_known_name_with_settings_out_of_range_says_what_is_wrong():
    assert is_name("int99")
    with pytest.raises(ValueError, match="`bits` must be in 2..16. Received: 99"):
        format_of("int99")


@pytest.mark.parametrize("name", names())
def test_every_suggested_name_gives_a_format_that_survives_json(name):
    format = format_of(name)
    assert deserialized(serialized(format)) == format


def test_a_description_of_no_format_is_refused():
    with pytest.raises(ValueError, match="`data` must describe a number format.*Nonesuch"):
        deserialized({"class": "Nonesuch", "config": {}})
