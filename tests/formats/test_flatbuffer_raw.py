import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import flatbuffer_raw
from edgeax.formats.flatbuffer import Model
from tests.formats import small_models


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"subgraphs__0__tensors__2__buffer": 6}, "the buffer of tensor 'weights' is number 6"),
        ({"subgraphs__0__tensors__2__type": 99}, "the type of tensor 'weights' is number 99"),
        ({"subgraphs__0__inputs": np.int32([8])}, "inputs of subgraph 0 is number 8"),
        ({"subgraphs__0__operators__1__inputs": np.int32([-2])}, "inputs of operator 1 of sub"),
        ({"subgraphs__0__operators__1__opcodeIndex": 3}, "the code of operator 1"),
        ({"metadata__0__buffer": 6}, "the buffer of metadata 'note'"),
        ({"metadataBuffer": np.int32([6])}, "a metadata buffer is number 6"),
        ({"signatureDefs__0__subgraphIndex": 1}, "the subgraph of signature 'serve'"),
        ({"signatureDefs__0__inputs__0__tensorIndex": 8}, "a tensor of signature 'serve'"),
        ({"operatorCodes__0__builtinCode": 32}, "operator code 0 is a custom operator without"),
        ({"version": 2}, "version 2"),
        ({"subgraphs": []}, "0 graphs"),
        ({"subgraphs__0__tensors__2__shape": np.ones(40, np.int32)}, "impossible shape"),
        ({"subgraphs__0__tensors__2__shape": np.int32([2**30, 2**30])}, "impossible shape"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_number_that_names_nothing_is_reported(changes, message):
    with pytest.raises(ValueError, match=message):
        Model.from_bytes(small_models.edited(**changes))


def test_options_of_an_unknown_kind_are_refused_rather_than_lost():
    with pytest.raises(ValueError, match="operator 0 of subgraph 0 has options of a kind"):
        Model.from_bytes(small_models.edited(subgraphs__0__operators__0__builtinOptionsType=250))


def quantized(details_kind):
    return small_models.table(
        schema.QuantizationParametersT,
        detailsType=details_kind,
        details=small_models.table(schema.CustomQuantizationT, custom=np.uint8([1])),
    )


def sparse(kind):
    part = small_models.table(
        schema.DimensionMetadataT,
        format=schema.DimensionType.SPARSE_CSR,
        arraySegmentsType=kind,
        arraySegments=small_models.table(schema.Uint8VectorT, values=np.uint8([1])),
    )
    return small_models.table(schema.SparsityParametersT, dimMetadata=[part])


def test_quantization_of_an_unknown_kind_is_refused_rather_than_lost():
    known, unknown = (
        small_models.edited(subgraphs__0__tensors__2__quantization=quantized(kind))
        for kind in (schema.QuantizationDetails.CustomQuantization, 99)
    )
    again = Model.from_bytes(Model.from_bytes(known).to_bytes())
    assert again.subgraphs[0].tensors[2]._raw.quantization.details.custom.tolist() == [1]
    with pytest.raises(ValueError, match="'weights' has a kind of quantization"):
        Model.from_bytes(unknown)


def test_sparsity_of_an_unknown_kind_is_refused_rather_than_lost():
    known, unknown = (
        small_models.edited(subgraphs__0__tensors__2__sparsity=sparse(kind))
        for kind in (schema.SparseIndexVector.Uint8Vector, 99)
    )
    tensor = Model.from_bytes(Model.from_bytes(known).to_bytes()).subgraphs[0].tensors[2]
    assert tensor._raw.sparsity.dimMetadata[0].arraySegments.values.tolist() == [1]
    with pytest.raises(ValueError, match="`data` must be dense .*'weights'"):
        _ = tensor.data
    with pytest.raises(ValueError, match="'weights' has a kind of sparsity"):
        Model.from_bytes(unknown)


def test_the_number_of_custom_operators_is_the_schemas():
    assert flatbuffer_raw.CUSTOM == schema.BuiltinOperator.CUSTOM


def test_strings_and_vectors_may_be_absent():
    assert (flatbuffer_raw.text(None), flatbuffer_raw.integers(None)) == ("", ())


def test_bytes_that_are_no_text_are_shown_all_the_same():
    assert flatbuffer_raw.text(b"a\xff") == "a\N{REPLACEMENT CHARACTER}"


def test_options_become_plain_values():
    assert flatbuffer_raw.plain(np.int32([1, 2]), {}) == [1, 2]
    assert flatbuffer_raw.plain(b"name", {}) == "name"
    assert flatbuffer_raw.plain(1, {1: "VALID"}) == "VALID"
    assert flatbuffer_raw.plain(7, {1: "VALID"}) == 7
