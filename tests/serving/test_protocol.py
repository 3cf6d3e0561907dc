"""Bodies in, columns out; every malformed body is refused with a reason."""

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidFeaturesError, InvalidInputError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.models import take_features
from mlops_dagster.serving.protocol import Column, decode

SCHEMA = ModelSchema(
    features=(Feature(name="a", kind="numeric"), Feature(name="b", kind="numeric", nullable=False)), classes=("x", "y")
)
GOOD = {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.0, None]}


def body(*inputs: object, **rest: object) -> bytes:
    return orjson.dumps({"inputs": list(inputs), **rest})


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]], ids=["flat", "nested"])
def test_a_matrix_takes_the_names_of_the_schema_in_order(data: list[object]) -> None:
    request = decode(body({"name": "rows", "shape": [2, 2], "datatype": "FP32", "data": data}))
    columns = take_features(SCHEMA, request.named_columns(SCHEMA))
    assert request.rows == 2
    assert columns == {"a": [1, 3], "b": [2, 4]}


def test_integers_and_booleans_are_numbers() -> None:
    columns = {"a": Column("BOOL", [True, None]), "b": Column("INT32", [7, 8])}
    taken = take_features(SCHEMA, columns)
    assert (repr(taken["a"]), repr(taken["b"])) == ("[1.0, None]", "[7.0, 8.0]")


def test_parameters_id_and_outputs_are_carried() -> None:
    request = decode(body(GOOD, id="7", parameters={"routing_key": "k", "arm": "canary"}, outputs=[{"name": "score"}]))
    assert (request.id, request.routing_key, request.arm, request.outputs) == ("7", "k", "canary", ("score",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object, got list"),
        (b"{}", "no `inputs`"),
        (body(1), "needs a `name`"),
        (body({**GOOD, "datatype": "FP16"}), "datatype 'FP16'"),
        (body({**GOOD, "shape": [3]}), "has 2 values; its shape \\[3\\] needs 3"),
        (body({**GOOD, "shape": [2, 1, 1]}), "use \\[rows\\]"),
        (body({**GOOD, "shape": [-2]}), "shape \\[-2\\]"),
        (body({**GOOD, "data": None}), "binary tensor extension"),
        (body(GOOD, GOOD), "given twice"),
        (body(GOOD, {**GOOD, "name": "b", "shape": [1], "data": [1]}), "'b' has 1 rows and the one before it 2"),
        (body({**GOOD, "shape": [1, 2]}, {**GOOD, "shape": [1], "data": [1]}), "must be the only input"),
        (body(GOOD, id=7), "`id` must be a string"),
        (body(GOOD, parameters={"event_time": "2026-01-01"}), "no time zone"),
        (body(GOOD, parameters={"event_time": "yesterday"}), "'yesterday' is not an ISO 8601 time"),
        (body(GOOD, parameters={"arm": "left"}), "'left'; use 'champion' or 'canary'"),
        (body(GOOD, parameters=[]), None),
        (body(GOOD, outputs=[{"name": "gradient"}]), "unknown outputs \\['gradient'\\]"),
    ],
)
def test_a_malformed_body_is_refused_with_the_reason(content: bytes, reason: str | None) -> None:
    if reason is None:
        assert decode(content).rows == 2
        return
    with pytest.raises(InvalidInputError, match=reason):
        decode(content)


FIELDS = st.sampled_from(["inputs", "name", "shape", "datatype", "data", "parameters", "id", "outputs"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
)


@given(ANYTHING)
def test_no_body_makes_the_decoder_fail_in_another_way(content: object) -> None:
    with suppress(InvalidInputError):
        assert decode(orjson.dumps(content)).rows > 0


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (None, "'b' is missing"),
        (Column("BYTES", ["1"]), "send a number, not BYTES"),
        (Column("FP64", ["1"]), "has value '1', which is not FP64"),
        (Column("FP64", [True]), "has value True"),
        (Column("INT64", [1.5]), "has value 1.5, which is not INT64"),
        (Column("FP64", [None]), "must not be null"),
    ],
)
def test_a_feature_that_is_missing_null_or_of_the_wrong_type_is_named(column: Column | None, reason: str) -> None:
    columns = {"a": Column("FP64", [None]), "b": column}
    with pytest.raises(InvalidFeaturesError, match=reason):
        take_features(SCHEMA, {name: its for name, its in columns.items() if its is not None})
