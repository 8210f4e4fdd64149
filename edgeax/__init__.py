"""Compression-aware training in Keras 3, down to small devices.

The public names are loaded when they are first used: `import edgeax` imports neither Keras nor
TensorFlow, and on a device that has none of them the formats and the runtime still work.
"""

import importlib
import sys
import types
from typing import Any

from edgeax import _keras_hook
from edgeax._version import __version__

__all__ = ["__version__"]  # `from edgeax import *` must not need TensorFlow

# Public names, and the modules that they are taken from.
_OBJECTS = {
    "ADMMPrune": "edgeax.transforms",
    "at_once": "edgeax.model",
    "auto_pruned_channels": "edgeax.training",
    "BitSchedule": "edgeax.transforms",
    "BitStages": "edgeax.transforms",
    "Blocks": "edgeax.transforms",
    "BrainDamage": "edgeax.pruning",
    "BrainSurgeon": "edgeax.pruning",
    "can_export": "edgeax.export",
    "Chain": "edgeax.transforms",
    "channel_groups": "edgeax.model",
    "cluster": "edgeax.sharing",
    "Cluster": "edgeax.transforms",
    "ClusterActivations": "edgeax.transforms",
    "compress": "edgeax.model",
    "Compressed": "edgeax.model",
    "confidence_weights": "edgeax.training",
    "ConstantSparsity": "edgeax.transforms",
    "deep_compression": "edgeax.model",
    "delegate_path": "edgeax.runtime.plugin",
    "distilled_samples": "edgeax.post_training",
    "Distiller": "edgeax.training",
    "DoReFa": "edgeax.transforms",
    "DoReFaGradient": "edgeax.transforms",
    "DynamicSurgery": "edgeax.transforms",
    "equalize": "edgeax.post_training",
    "export": "edgeax.export",
    "fold_batch_norm": "edgeax.model",
    "Forecast": "edgeax.export",
    "GradientTransform": "edgeax.transforms",
    "GradualThreshold": "edgeax.transforms",
    "granularity": "edgeax.pruning",
    "grow": "edgeax.pruning",
    "GrowAndPrune": "edgeax.pruning",
    "Hashed": "edgeax.transforms",
    "Heaviside": "edgeax.transforms",
    "Incremental": "edgeax.transforms",
    "Interpreter": "edgeax.runtime.interpreter",
    "IterativeSparsity": "edgeax.transforms",
    "LearnedBasisQuantize": "edgeax.transforms",
    "LearnedClip": "edgeax.transforms",
    "LearnedInterval": "edgeax.transforms",
    "LearnedPoints": "edgeax.transforms",
    "LearnedStep": "edgeax.transforms",
    "LearnedTernary": "edgeax.transforms",
    "load_delegate": "edgeax.runtime.plugin",
    "lookup_tables": "edgeax.export",
    "lottery_ticket": "edgeax.training",
    "macs": "edgeax.model",
    "Mask": "edgeax.transforms",
    "mask_channels": "edgeax.model",
    "merge_neurons": "edgeax.pruning",
    "MultiStepSign": "edgeax.transforms",
    "NearZero": "edgeax.transforms",
    "NofM": "edgeax.transforms",
    "OnDeviceTraining": "edgeax.export",
    "OutlierCluster": "edgeax.transforms",
    "pack_blocks": "edgeax.pruning",
    "pack_permutation": "edgeax.pruning",
    "permute_channels": "edgeax.model",
    "PolynomialDecay": "edgeax.transforms",
    "product_quantize": "edgeax.post_training",
    "prune": "edgeax.pruning",
    "Prune": "edgeax.transforms",
    "prune_channels": "edgeax.pruning",
    "quantize": "edgeax.post_training",
    "Quantize": "edgeax.transforms",
    "QuantizeGradient": "edgeax.transforms",
    "Quantizer": "edgeax.transforms",
    "Recipe": "edgeax.model",
    "RecurrentState": "edgeax.transforms",
    "reestimate_batch_norm": "edgeax.model",
    "reinitialized": "edgeax.training",
    "remove_channels": "edgeax.model",
    "Result": "edgeax.export",
    "retraining_dropout": "edgeax.training",
    "robustness_curve": "edgeax.search",
    "Rule": "edgeax.model",
    "SampledWeight": "edgeax.transforms",
    "scratch_epochs": "edgeax.training",
    "sensitivity": "edgeax.search",
    "ShiftedSigns": "edgeax.transforms",
    "Sign": "edgeax.transforms",
    "simd_block": "edgeax.pruning",
    "skipped_macs": "edgeax.pruning",
    "split_outlier_channels": "edgeax.post_training",
    "strip": "edgeax.model",
    "strip_auto_pruners": "edgeax.training",
    "summary": "edgeax.model",
    "SyntheticTeacher": "edgeax.training",
    "teacher_effects": "edgeax.training",
    "Ternary": "edgeax.transforms",
    "TernaryActivation": "edgeax.transforms",
    "transform_of": "edgeax.transforms",
    "tune": "edgeax.runtime.tune",
    "VectorCluster": "edgeax.transforms",
    "WAGE": "edgeax.transforms",
    "WAGEError": "edgeax.transforms",
    "WAGEInitializer": "edgeax.transforms",
    "WAGEUpdate": "edgeax.transforms",
    "WeightNoise": "edgeax.transforms",
    "widen": "edgeax.model",
    "with_predictive_gradients": "edgeax.training",
    "with_teacher_logits": "edgeax.training",
    "without_predictive_gradients": "edgeax.training",
    "WRPN": "edgeax.transforms",
    "XNORWeight": "edgeax.transforms",
}
# Public names that are modules.
_MODULES = {
    "analog": "edgeax.analog",
    "callbacks": "edgeax.callbacks",
    "constraints": "edgeax.constraints",
    "cost": "edgeax.cost",
    "data": "edgeax.data",
    "formats": "edgeax.formats",
    "layers": "edgeax.layers",
    "lifelong": "edgeax.lifelong",
    "losses": "edgeax.losses",
    "mcu": "edgeax.mcu",
    "optimizers": "edgeax.optimizers",
    "post_training": "edgeax.post_training",
    "pruning": "edgeax.pruning",
    "regularizers": "edgeax.regularizers",
    "runtime": "edgeax.runtime",
    "sharing": "edgeax.sharing",
    "training": "edgeax.training",
}


class _Package(types.ModuleType):
    """Keeps `edgeax.export` the function, where import would bind the room of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "export" and isinstance(value, types.ModuleType):
            value = value.export
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _OBJECTS:
        value = getattr(_load(_OBJECTS[name], name), name)
    elif name in _MODULES:
        value = _load(_MODULES[name], name)
    else:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_OBJECTS, *_MODULES})


def _load(module: str, name: str) -> types.ModuleType:
    """Imports the home of a public name, and says how to get Keras or TensorFlow if missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow"):
            raise
        raise ImportError(
            f"`edgeax.{name}` needs Keras and TensorFlow, and there is no module {error.name!r}. "
            'Install them: pip install "edgeax[train]"',
            name=error.name,
        ) from error


sys.modules[__name__].__class__ = _Package
_keras_hook.install()
