"""Random calls of the operators on sums of signs, what they give, and models of them."""

import dataclasses
from typing import Any

import numpy as np

from edgeax.formats import binary_rows, sign_sum
from edgeax.formats.operators import OPERATORS
from tests.golden import sign_sum_cases as golden
from tests.tflite_kernels import models, oracle

CONV2D, FULLY_CONNECTED = "EdgeaxSignSumConv2D", "EdgeaxSignSumFullyConnected"


@dataclasses.dataclass
class SignSumCase:
    """One call of an operator.

    Attributes:
        operator: Name in the operator table.
        options: Its options.
        input: int8 `[N, H, W, C]` or `[..., K]`.
        weights: +1 and -1, `(bases, channels, taps, channels of a group)`.
        bias: int32 `(channels,)`.
        scale: float32 `(channels,)`.
        gains: int32 `(bases * planes, channels)`.
        thresholds: int32 `(planes, thresholds)`.
        output_scale: float32.
        output_zero_point: int8.
        kind: `"single"` as the plugin rounds, or `"double"`.
    """

    operator: str
    options: dict[str, int]
    input: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    gains: np.ndarray
    thresholds: np.ndarray
    output_scale: float
    output_zero_point: int
    kind: str = "single"

    def expected(self) -> np.ndarray:
        """What the operator gives, by numpy."""
        planes = sign_sum.signs_of(self.input, self.thresholds)
        total: Any = self.bias.astype(np.int64)
        parts = [(base, plane) for base in self.weights for plane in planes]
        for gain, (base, plane) in zip(self.gains, parts, strict=True):
            total = total + gain * self._products(base, plane)
        columns = [
            oracle.requantize(
                total[..., c],
                *oracle.quantize_multiplier(
                    float(np.float32(1)) * float(scale) / float(np.float32(self.output_scale))
                ),
                self.kind,
            )
            for c, scale in enumerate(self.scale)
        ]
        codes = np.stack(columns, axis=-1) + self.output_zero_point
        low, high = self.options["output_min"], self.options["output_max"]
        return np.clip(codes, low, high).astype(np.int8)

    def _products(self, base: np.ndarray, plane: np.ndarray) -> np.ndarray:
        rows = base.reshape(len(base), -1)
        if self.operator == FULLY_CONNECTED:
            sums = plane.reshape(-1, plane.shape[-1]) @ rows.T
            keep = self.options["keep_num_dims"]
            return sums.reshape(*plane.shape[:-1], -1) if keep else sums
        return oracle.windows(_Signs(self.operator, self.options, plane, rows))

    def model(self) -> models.Model:
        """A model of the operator alone."""
        model = models.Model()
        source = model.add(models.Tensor("x", self.input.shape, np.int8, 0.5, 0))
        model.inputs.append(source)
        constants = {
            "weights": sign_sum.pack_bases(self.weights),
            "bias": self.bias,
            "scale": self.scale,
            "gains": self.gains,
            "thresholds": self.thresholds,
        }
        numbers = [
            model.add(models.Tensor(name, data.shape, data.dtype, data=data))
            for name, data in constants.items()
        ]
        shape = self.expected().shape
        output = models.Tensor("y", shape, np.int8, self.output_scale, self.output_zero_point)
        model.outputs.append(model.add(output))
        packed = OPERATORS[self.operator].pack_options(**self.options)
        model.operators.append(
            models.Operator([source, *numbers], list(model.outputs), self.operator, packed)
        )
        return model


@dataclasses.dataclass
class _Signs:
    """What `oracle.windows` reads of a case: numbers and weights are themselves."""

    operator: str
    options: dict[str, int]
    input: np.ndarray
    weights: np.ndarray

    is_binary = False
    is_sparse = True
    input_zero_point = 0
    points = None


def golden_case(entry: dict[str, Any]) -> SignSumCase:
    """A case of sign_sum.json."""
    options, shape = entry["options"], entry["input"]["shape"]
    depth = shape[-1] // options.get("groups", 1)
    weights = np.array(golden.weights(entry))
    return SignSumCase(
        entry["operator"],
        options,
        np.int8(entry["input"]["data"]).reshape(shape),
        weights.reshape(*weights.shape[:2], -1, depth),
        np.int32(entry["bias"]),
        np.float32([float.fromhex(scale) for scale in entry["scale"]]),
        np.int32(entry["gains"]),
        np.int32(entry["thresholds"]),
        float.fromhex(entry["output"]["scale"]),
        entry["output"]["zero_point"],
        entry["rounding"],
    )


def draw(operator: str, seed: int) -> SignSumCase:
    """A random case of any shape, with extreme codes, thresholds and gains."""
    random = np.random.default_rng([seed, len(operator)])
    planes, bases = (int(n) for n in random.integers(1, 4, 2))
    options = {"planes": planes, "bases": bases, "output_min": -128, "output_max": 127}
    if random.random() < 0.3:
        options |= {"output_min": -100, "output_max": 90}
    if operator == CONV2D:
        groups = int(random.choice([1, 1, 1, 2, 3]))
        channels = groups * int(random.choice([1, 3, 8, 37, 64, 65, 130]))
        outputs = groups * int(random.choice([1, 5, 8, 33, 70]))
        shape = (int(random.integers(1, 3)), *(int(n) for n in random.integers(5, 10, 2)), channels)
        kernel = random.integers(1, 4, 2)
        options |= {
            "kernel_height": int(kernel[0]),
            "kernel_width": int(kernel[1]),
            "stride_height": int(random.integers(1, 3)),
            "stride_width": int(random.integers(1, 3)),
            "dilation_height": 1 + int(random.random() < 0.2),
            "dilation_width": 1 + int(random.random() < 0.2),
            "padding": int(random.integers(0, 2)),
            "groups": groups,
            "pad_value": int(random.integers(0, 2)),
        }
        weights = random.choice([-1, 1], (bases, outputs, int(kernel.prod()), channels // groups))
    else:
        depth, outputs = int(random.choice([1, 7, 64, 100, 513])), int(random.integers(1, 80))
        shape = (*(int(n) for n in random.choice([1, 2, 5], 2)), depth)
        options["keep_num_dims"] = int(random.integers(0, 2))
        weights = random.choice([-1, 1], (bases, outputs, 1, depth))
    codes = random.integers(-128, 128, shape).astype(np.int8)
    thresholds = random.integers(-129, 130, (planes, int(random.integers(1, 4)))).astype(np.int32)
    depth = weights[0, 0].size
    most = sign_sum.MAX_SUM // depth // (planes * bases)
    if random.random() < 0.7:
        most = min(most, 4096)
    gains = random.integers(-most, most + 1, (bases * planes, weights.shape[1])).astype(np.int32)
    spread = max(1, most * int(np.sqrt(depth * planes * bases)))
    bias = random.integers(-spread, spread + 1, weights.shape[1])
    bias[random.random(bias.shape) < 0.1] = binary_rows.MAX_BIAS
    scale = random.uniform(-2, 2, weights.shape[1]) * 40 / spread
    scale[random.random(scale.shape) < 0.1] = 0
    return SignSumCase(
        operator,
        options,
        codes,
        weights,
        bias.astype(np.int32),
        scale.astype(np.float32),
        gains,
        thresholds,
        float(np.float32(random.uniform(0.5, 2))),
        int(random.integers(-128, 128)),
    )
