import edgeax
import edgeax.model.training_cost


def test_the_facade_names_what_the_rooms_hold():
    assert edgeax.cost.training_cost is edgeax.model.training_cost.training_cost
    assert all(getattr(edgeax.cost, name) for name in edgeax.cost.__all__)
