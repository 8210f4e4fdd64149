import edgeax


def test_the_facade_names_what_the_rooms_hold():
    assert all(getattr(edgeax.lifelong, name) for name in edgeax.lifelong.__all__)
