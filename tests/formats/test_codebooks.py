import json

import numpy as np
import pytest

from edgeax.formats import Codebook, EncodedTensor, Integer
from edgeax.formats.codebooks import Codebooks, as_params, axes_of_groups, tables_of
from edgeax.formats.integer_form import integer_form
from edgeax.formats.names import deserialized, serialized

FORMATS = [
    Codebooks(4, "channel"),
    Codebooks(3, "kernel", Integer(4)),
    Codebooks(4, "kernel", None),
    Codebooks(5, 3, None),
    Codebooks(2, 6),
]
SHAPE = (3, 2, 2, 4)  # 12 inputs, 4 channels


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def group_of(scope, place, shape):
    """Which table the weight at a place has, worked out index by index."""
    if scope == "channel":
        return place[-1]
    if scope == "kernel":
        return place[-2] * shape[-1] + place[-1]
    return np.ravel_multi_index(place[:-1], shape[:-1]) // scope


def decoded_one_by_one(codes, format, params):
    tables = params["codebook"].reshape(format.entries, -1)
    scale = np.broadcast_to(params.get("scale", np.float32(1)), codes.shape[-1:])
    values = np.zeros(codes.shape, np.float32)
    for place in np.ndindex(codes.shape):
        entry = np.float32(tables[codes[place], group_of(format.scope, place, codes.shape)])
        values[place] = scale[place[-1]] * entry
    return values


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_a_value_is_the_scale_of_its_channel_times_the_entry_of_its_groups_table(format):
    params = format.fit(normal(*SHAPE))
    codes = np.random.default_rng(1).integers(0, format.entries, SHAPE).astype(np.uint8)
    assert np.array_equal(format.decode(codes, params), decoded_one_by_one(codes, format, params))


def test_tables_by_hand():
    # Channel 0 has the table 1, 2 and channel 1 the table 3, 4.
    params = {"codebook": np.float32([[[1, 3]], [[2, 4]]])}
    codes = np.uint8([[0, 0], [1, 0], [0, 1]])
    values = [[1, 3], [2, 3], [1, 4]]
    assert Codebooks(2, "channel", None).decode(codes, params).tolist() == values
    # Inputs 0 and 1 have the table 1, 2, inputs 2 and 3 the table 3, 4.
    params = {"codebook": np.float32([[1, 3], [2, 4]])}
    codes = np.uint8([[0, 1], [1, 1], [0, 0], [0, 1]])
    values = [[1, 2], [2, 2], [3, 3], [3, 4]]
    assert Codebooks(2, 2, None).decode(codes, params).tolist() == values


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_each_group_is_fitted_as_a_tensor_of_its_own(format):
    x = normal(*SHAPE)
    params = format.fit(x)
    units = x if format.value is None else format.value.encode(x, params).astype(np.float32)
    values = format.decode(format.encode(x, params), params)
    groups = {}
    for place in np.ndindex(SHAPE):
        groups.setdefault(group_of(format.scope, place, SHAPE), []).append(place)
    book = Codebook(format.entries, None)
    for number, places in groups.items():
        members = np.float32([units[place] for place in places])
        table = book.fit(members)["codebook"]
        table = table if format.value is None else np.rint(table)
        assert np.array_equal(params["codebook"].reshape(format.entries, -1)[:, number], table)
        if format.value is None:
            nearest = [table[np.argmin(np.abs(np.float64(table) - m))] for m in members]
            assert [values[place] for place in places] == pytest.approx(nearest, abs=1e-6)


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("shape", [SHAPE, (6, 3, 4), (3, 3, 6, 1)], ids=str)
def test_what_was_encoded_encodes_to_the_same_values_again(format, shape):
    x = normal(*shape, seed=2)
    params = format.fit(x)
    values = format.decode(format.encode(x, params), params)
    assert values.shape == shape and values.dtype == np.float32
    assert np.array_equal(format.decode(format.encode(values, params), params), values)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_zeros_stay_exact(format):
    x = normal(*SHAPE, seed=3)
    x[::2] = 0
    params = format.fit(x)
    assert not format.decode(format.encode(x, params), params)[::2].any()


@pytest.mark.parametrize(
    "format, groups",
    [(FORMATS[0], 4), (FORMATS[1], 8), (FORMATS[2], 8), (FORMATS[3], 4), (FORMATS[4], 2)],
    ids=str,
)
def test_size_counts_packed_codes_all_tables_and_scales(format, groups):
    params = format.fit(normal(*SHAPE))
    tensor = EncodedTensor(np.zeros(SHAPE, np.uint8), format, params)
    entry_bits = 32 if format.value is None else 8
    scale_bits = 0 if format.value is None else 32 * params["scale"].size
    bits = {2: 1, 3: 2, 4: 2, 5: 3}[format.entries]
    assert tensor.bits == bits
    assert tensor.size_bits == 48 * bits + groups * format.entries * entry_bits + scale_bits


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_some_channels_keep_their_tables(format):
    x = normal(*SHAPE, seed=4)
    params = format.fit(x)
    mask = np.random.default_rng(5).random(SHAPE) > 0.3
    tensor = EncodedTensor(format.encode(x, params), format, params, mask)
    for part in (slice(1, 3), slice(0, 4), slice(3, None)):
        assert np.array_equal(tensor.channels(part).decode(), tensor.decode()[..., part])
    assert not tensor.decode()[~mask].any()


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_a_gain_goes_into_the_scale(format):
    params = format.fit(normal(*SHAPE))
    tensor = EncodedTensor(np.ones(SHAPE, np.uint8), format, params)
    gain = np.float32([1.0, -0.5, 4.0, 0.0])
    scaled = tensor.scaled(gain)
    assert np.array_equal(scaled.decode(), tensor.decode() * gain)
    assert np.array_equal(scaled.codes, tensor.codes)
    assert np.array_equal(scaled.scaled(gain).decode(), scaled.decode() * gain)


@pytest.mark.parametrize("scope", ["channel", "kernel", 4])
def test_tables_of_integers_become_integer_codes_without_a_loss(scope):
    format = Codebooks(4, scope)
    x = normal(*SHAPE, seed=6)
    params = format.fit(x)
    tensor = EncodedTensor(format.encode(x, params), format, params)
    form = integer_form(tensor)
    assert isinstance(form.format, Integer) and form.trained == format
    assert form.snr_db == np.inf
    assert form.decode() == pytest.approx(tensor.decode(), rel=1e-6)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_settings_survive_json(format):
    config = json.loads(json.dumps(serialized(format)))
    assert deserialized(config) == format


@pytest.mark.parametrize(
    "scope, shape, tables",
    [
        ("channel", (3, 3, 2, 5), (1, 5)),
        ("channel", (7,), (1, 7)),
        ("kernel", (3, 3, 2, 5), (2, 5)),
        ("kernel", (3, 2, 5), (2, 5)),
        (6, (3, 3, 2, 5), (3,)),
        (1, (4, 5), (4,)),
    ],
)
def test_the_tables_of_a_scope(scope, shape, tables):
    assert tables_of(scope, shape) == tables
    before, groups, behind = axes_of_groups(shape, tables)
    assert before * groups * behind == np.prod(shape)
    rows = np.arange(2 * groups).reshape(groups, 2)
    params = as_params(rows, tables)
    assert params.shape == (2, *tables)
    assert np.array_equal(params.reshape(2, -1).T, rows)


def test_a_depthwise_kernel_has_a_table_for_each_channel():
    assert tables_of("kernel", (3, 3, 8), axes_of_space=2) == (1, 8)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Codebooks(1), r"`entries` must be in 2..256. Received: 1"),
        (
            lambda: Codebooks(4, "layer"),
            "`scope` must be 'channel', 'kernel' or.*'layer'.*Codebook",
        ),
        (lambda: Codebooks(4, 0), "`scope` must be.*scope=0"),
        (lambda: Codebooks(4, True), "`scope` must be.*scope=True"),
        (lambda: Codebooks(4, 2, Integer(16)), "`value` must have at most 8 bits"),
        (lambda: Codebooks(4, 2, Integer(8, symmetric=False)), "`value` must be symmetric"),
        (lambda: Codebooks(4, 5).fit(np.ones((4, 2))), "must divide.*scope=5 for 4 inputs"),
        (lambda: Codebooks(4, "kernel").fit(np.ones((4, 2))), "without spatial axes.*'channel'"),
        (lambda: Codebooks(4).fit(np.float32([[np.nan]])), "must be finite"),
        (lambda: Codebooks(4, value=None).fit(np.float32(1)), "with a channel axis"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "codebook",
    [
        np.zeros((4, 1, 3), np.float32),  # another number of channels
        np.zeros((4, 3, 4), np.float32),  # another number of inputs
        np.zeros((4, 5), np.float32),  # blocks that do not divide
        np.zeros((3, 1, 4), np.float32),  # too few entries
        np.zeros((4, 1, 4), np.int8),
        np.zeros((4,), np.float32),
    ],
    ids=str,
)
def test_tables_of_another_shape_or_type_are_refused(codebook):
    with pytest.raises(ValueError, match=r"`params\['codebook'\]` must be float32 of shape \(4, "):
        Codebooks(4, value=None).decode(np.zeros(SHAPE, np.uint8), {"codebook": codebook})


def test_an_index_outside_the_tables_is_refused():
    format = Codebooks(3, "channel")
    with pytest.raises(ValueError, match=r"\[0, 2\].*max=3"):
        format.decode(np.full(SHAPE, 3, np.uint8), format.fit(normal(*SHAPE)))


def test_a_scale_of_zero_cannot_encode():
    format = Codebooks(3, "channel")
    params = {**format.fit(normal(*SHAPE)), "scale": np.float32([1, 0, 1, 1])}
    with pytest.raises(ValueError, match="must not be 0"):
        format.encode(normal(*SHAPE), params)
