"""Bits for each channel by its range, instead of the same for all."""

from edgeax.formats import Integer, MixedInteger
from edgeax.model.recipe import Recipe, Rule
from edgeax.post_training.case import Case, Correction
from edgeax.transforms.base import Transform
from edgeax.transforms.quantize import Quantize


class BitAllocation(Correction):
    """Rounds kernels with one scale per output channel to `MixedInteger` of their width [BNS19]."""

    def prepare(self, case: Case) -> None:
        """Gives the kernels in the recipe channels of different widths."""
        rules = []
        changed = False
        for rule in case.recipe.rules:
            slots = dict(rule.slots)
            if "kernel" in slots:
                slots["kernel"] = [_mixed(member) for member in slots["kernel"]]
                changed |= any(map(_is_mixed, slots["kernel"]))
            weights = {
                name: [_mixed(member) for member in members]
                for name, members in rule.weights.items()
            }
            changed |= any(any(map(_is_mixed, members)) for members in weights.values())
            rules.append(Rule(rule.filter, **slots, weights=weights))
        if not changed:
            case.skip("bit allocation", "no kernel gets integers with a scale per output channel")
        case.recipe = Recipe(rules, case.recipe.name)


def _mixed(member: Transform) -> Transform:
    if not isinstance(member, Quantize) or not isinstance(member.number_format, Integer):
        return member
    format = member.number_format
    if format.axis != -1 or format.bits > 8:
        return member
    return Quantize.from_config(
        {**member.get_config(), "format": MixedInteger(format.bits), "axis": None}
    )


def _is_mixed(member: Transform) -> bool:
    return isinstance(member, Quantize) and isinstance(member.number_format, MixedInteger)
