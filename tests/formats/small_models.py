"""Small TFLite models made through the schema alone, for tests of the flatbuffer view."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def table(kind, **fields):
    """Returns a schema object with some fields set."""
    item = kind()
    for name, value in fields.items():
        if not hasattr(item, name):
            raise AttributeError(name)
        setattr(item, name, value)
    return item


def quantization(scale, zero_point, axis=0):
    return table(
        schema.QuantizationParametersT,
        scale=np.array(scale, np.float32),
        zeroPoint=np.array(zero_point, np.int64),
        quantizedDimension=axis,
    )


def tensor(name, shape, kind, buffer=0, params=None, **fields):
    return table(
        schema.TensorT,
        name=name,
        shape=np.array(shape, np.int32),
        type=getattr(schema.TensorType, kind),
        buffer=buffer,
        quantization=params,
        hasRank=True,
        **fields,
    )


def operator(code, inputs, outputs, kind=None, options=None, **fields):
    return table(
        schema.OperatorT,
        opcodeIndex=code,
        inputs=np.array(inputs, np.int32),
        outputs=np.array(outputs, np.int32),
        builtinOptionsType=getattr(schema.BuiltinOptions, kind) if kind else 0,
        builtinOptions=options,
        **fields,
    )


def code(name, version=1, deprecated_only=False, custom=None):
    number = getattr(schema.BuiltinOperator, name)
    return table(
        schema.OperatorCodeT,
        builtinCode=0 if deprecated_only else number,
        deprecatedBuiltinCode=min(number, 127),
        version=version,
        customCode=custom,
    )


def buffer(array=None):
    data = None if array is None else np.frombuffer(np.asarray(array).tobytes(), np.uint8)
    return table(schema.BufferT, data=data)


def write(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def model_of(graph, codes, buffers, **fields):
    return table(
        schema.ModelT,
        version=3,
        subgraphs=graph if isinstance(graph, list) else [graph],
        operatorCodes=codes,
        buffers=buffers,
        **fields,
    )


def two_layers(**fields):
    """A float model with what a file can hold: x -> FULLY_CONNECTED -> ADD -> y.

    Two constants share a buffer, one tensor, buffer and operator code are unused, there is a
    metadata entry, and a signature. FULLY_CONNECTED has an absent bias.
    """
    weights = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
    offset = np.float32([[1, -2, 3]])
    dense = table(schema.FullyConnectedOptionsT, fusedActivationFunction=1, keepNumDims=True)
    add = table(schema.AddOptionsT, potScaleInt16=True)
    graph = table(
        schema.SubGraphT,
        name="main",
        tensors=[
            tensor("x", [1, 4], "FLOAT32", 1, shapeSignature=np.array([-1, 4], np.int32)),
            tensor("unused", [3], "FLOAT32", 2),
            tensor("weights", [3, 4], "FLOAT32", 3),
            tensor("offset", [1, 3], "FLOAT32", 5),
            tensor("same offset", [1, 3], "FLOAT32", 5),
            tensor("hidden", [1, 3], "FLOAT32"),
            tensor("y", [1, 3], "FLOAT32"),
            tensor("z", [1, 3], "FLOAT32"),
        ],
        inputs=np.array([0], np.int32),
        outputs=np.array([7], np.int32),
        operators=[
            operator(0, [0, 2, -1], [5], "FullyConnectedOptions", dense),
            operator(2, [5, 3], [6], "AddOptions", add),
            operator(2, [6, 4], [7], "AddOptions", add),
        ],
    )
    signature = table(
        schema.SignatureDefT,
        signatureKey="serve",
        subgraphIndex=0,
        inputs=[table(schema.TensorMapT, name="in", tensorIndex=0)],
        outputs=[table(schema.TensorMapT, name="out", tensorIndex=7)],
    )
    return model_of(
        graph,
        [code("FULLY_CONNECTED", 1), code("MUL"), code("ADD", 2)],
        [
            buffer(),
            buffer(),
            buffer(np.ones(3, np.float32)),
            buffer(weights),
            buffer(b"hello"),
            buffer(offset),
        ],
        description="small",
        metadata=[table(schema.MetadataT, name="note", buffer=4)],
        signatureDefs=[signature],
        **fields,
    )


def edited(**changes):
    """Returns the bytes of `two_layers` with fields changed, e.g. `metadata__0__buffer=6`."""
    model = two_layers()
    for path, value in changes.items():
        *parents, last = path.split("__")
        item = model
        for part in parents:
            item = item[int(part)] if part.isdigit() else getattr(item, part)
        setattr(item, last, value)
    return write(model)


def quantized_layer(case):
    """The golden case of an operator as a model of TFLite's built-in one on decoded weights."""
    name = case["operator"].removeprefix("Edgeax")
    options, outputs = case["options"], len(case["bias"])
    rows = np.array(case["weights_index"]["data"]).reshape(case["weights_index"]["shape"])
    weights = np.int8(case["codebook"])[rows]
    scale_in = np.float32(float.fromhex(case["input"]["scale"]))
    scale = np.float32([float.fromhex(value) for value in case["scale"]])
    if name == "FullyConnected":
        axis, shape = 0, weights.shape
        detail = table(schema.FullyConnectedOptionsT, keepNumDims=bool(options["keep_num_dims"]))
    else:
        window = options["kernel_height"], options["kernel_width"]
        axis = 0 if name == "Conv2D" else 3
        shape = (outputs, *window, -1) if name == "Conv2D" else (1, *window, outputs)
        detail = table(
            getattr(schema, f"{name}OptionsT"),
            padding=options["padding"],
            strideH=options["stride_height"],
            strideW=options["stride_width"],
            dilationHFactor=options["dilation_height"],
            dilationWFactor=options["dilation_width"],
        )
        if name == "DepthwiseConv2D":
            detail.depthMultiplier = options["depth_multiplier"]
    weights = weights.reshape(shape)
    zeros = np.zeros(outputs)
    graph = table(
        schema.SubGraphT,
        tensors=[
            tensor("x", case["input"]["shape"], "INT8", 0, ends(case["input"])),
            tensor("w", weights.shape, "INT8", 1, quantization(scale, zeros, axis)),
            tensor("b", [outputs], "INT32", 2, quantization(scale_in * scale, zeros)),
            tensor("y", case["output"]["shape"], "INT8", 0, ends(case["output"])),
        ],
        inputs=np.array([0], np.int32),
        outputs=np.array([3], np.int32),
        operators=[operator(0, [0, 1, 2], [3], f"{name}Options", detail)],
    )
    codes = {"Conv2D": "CONV_2D", "DepthwiseConv2D": "DEPTHWISE_CONV_2D"}
    used = code(codes.get(name, "FULLY_CONNECTED"), 5)
    return model_of(graph, [used], [buffer(), buffer(weights), buffer(np.int32(case["bias"]))])


def ends(side):
    return quantization([float.fromhex(side["scale"])], [side["zero_point"]])
