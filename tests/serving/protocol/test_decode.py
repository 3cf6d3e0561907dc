"""Bodies in, columns out; every malformed body is refused with a reason."""

import struct
from contextlib import suppress

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

from mlops_dagster.errors import InvalidFeaturesError, InvalidInputError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import take_features
from mlops_dagster.serving.protocol.infer import Column, InferRequest, decode, encode, read_request
from mlops_dagster.serving.protocol.outputs import Outputs
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(Feature(name="a", kind="numeric"), Feature(name="b", kind="numeric", nullable=False)),
    task=Classification(classes=("x", "y")),
)
XY = Outputs(Classification(classes=("x", "y")))
GOOD = {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.0, None]}


def body(*inputs: object, **rest: object) -> bytes:
    return orjson.dumps({"inputs": list(inputs), **rest})


def binary_input(size: object, datatype: str = "FP64", rows: int = 2, name: str = "a") -> dict[str, object]:
    return {"name": name, "shape": [rows], "datatype": datatype, "parameters": {"binary_data_size": size}}


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]], ids=["flat", "nested"])
def test_a_matrix_takes_the_names_of_the_schema_in_order(data: list[object]) -> None:
    request = decode(body({"name": "rows", "shape": [2, 2], "datatype": "FP32", "data": data}))
    columns = take_features(SCHEMA, request.named_columns(SCHEMA))
    assert request.rows == 2
    assert columns == {"a": [1, 3], "b": [2, 4]}


def test_the_only_feature_of_a_model_may_come_under_any_name_as_a_matrix() -> None:
    one = ModelSchema(features=SCHEMA.features[:1], task=SCHEMA.task)
    for name in ("a", "input-0"):
        request = decode(body({"name": name, "shape": [2, 1], "datatype": "FP64", "data": [1.5, 2.5]}))
        assert take_features(one, request.named_columns(one)) == {"a": [1.5, 2.5]}
    with pytest.raises(InvalidInputError, match="has 1 columns and the model takes 2"):
        request.named_columns(SCHEMA)


def test_integers_and_booleans_are_numbers() -> None:
    request = decode(
        body(
            {"name": "a", "shape": [2], "datatype": "BOOL", "data": [True, None]},
            {"name": "b", "shape": [2, 1], "datatype": "INT32", "data": [[7], [8]]},
        )
    )
    taken = take_features(SCHEMA, request.named_columns(SCHEMA))
    assert (repr(taken["a"]), repr(taken["b"])) == ("[1.0, None]", "[7.0, 8.0]")


NUMERIC = st.sampled_from(
    ["BOOL", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
)


@given(NUMERIC, st.binary(min_size=8, max_size=80))
def test_binary_numbers_are_what_numpy_makes_of_them(datatype: str, data: bytes) -> None:
    dtype = np.dtype(triton_to_np_dtype(datatype))
    data = bytes(byte & 1 for byte in data) if datatype == "BOOL" else data
    data = data[: len(data) // dtype.itemsize * dtype.itemsize]
    values = np.frombuffer(data, dtype)
    header = body(binary_input(len(data), datatype, len(values)))
    (column,) = decode(header + data, len(header)).columns.values()
    assert {type(value) for value in column.values} <= {float, type(None)}
    expected = values.astype(np.float64)
    assert np.array_equal(np.array(column.values, np.float64), expected, equal_nan=True)
    assert [value is None for value in column.values] == np.isnan(expected).tolist()


@given(st.lists(st.text(), min_size=1), st.lists(st.floats(), min_size=1))
def test_tensors_come_one_after_the_other_and_answers_go_as_they_come(texts: list[str], numbers: list[float]) -> None:
    rows = min(len(texts), len(numbers))
    texts, numbers = texts[:rows], numbers[:rows]
    sent = serialize_byte_tensor(np.array(texts, dtype=np.object_)).item()
    header = body(
        binary_input(len(sent), "BYTES", rows, "text"),
        {**GOOD, "shape": [rows], "data": [1.5] * rows},
        binary_input(8 * rows, "FP64", rows, "number"),
        outputs=[{"name": "label", "parameters": {"binary_data": True}}, {"name": "score"}],
        parameters={"binary_data_output": True},
    )
    request = decode(header + sent + np.array(numbers).tobytes(), len(header))
    assert request.columns["text"].values == texts
    assert repr(request.columns["number"].values) == repr([None if n != n else n for n in numbers])
    assert request.columns["a"].values == [1.5] * rows

    values = {"prediction_id": ["id"] * rows, "label": texts, "score": numbers}
    answer = encode("m", "1.0.0", "champion", request, XY, values)
    content = orjson.loads(answer.body[: answer.json_length])
    label, score = content["outputs"]
    assert label["parameters"]["binary_data_size"] == len(sent)
    assert [text.decode() for text in deserialize_bytes_tensor(answer.body[answer.json_length :][: len(sent)])] == texts
    assert repr(np.frombuffer(answer.body[-score["parameters"]["binary_data_size"] :]).tolist()) == repr(numbers)


def test_probabilities_are_answered_where_they_are_asked_for() -> None:
    request = decode(body(GOOD, outputs=[{"name": "probabilities"}]))
    values = {"prediction_id": ["7/0", "7/1"], "probabilities": [[0.25, 0.75], [1.0, 0.0]]}
    answer = encode("m", "1", "named", request, XY, values)
    assert answer.json_length is None
    assert orjson.loads(answer.body)["outputs"] == [
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [2, 2],
            "data": [0.25, 0.75, 1.0, 0.0],
            "parameters": {"classes": ["x", "y"]},
        }
    ]
    assert "probabilities" not in XY.by_default


def test_the_answer_carries_the_parameters_of_the_request() -> None:
    parameters = {"trace": "t", "n": 7, "yes": True, "role": "mine", "nested": {"x": 1}, "none": None}
    answer = orjson.loads(encode("m", "1", "champion", decode(body(GOOD, parameters=parameters)), XY, ANSWERED).body)
    assert answer["parameters"] == {"trace": "t", "n": 7, "yes": True, "role": "champion"}


def test_headers_say_what_parameters_say_and_parameters_win() -> None:
    headers = {b"x-mlops-routing-key": "Zoë".encode(), b"x-mlops-arm": b"canary"}
    request = read_request(body(GOOD), headers)
    assert (request.routing_key, request.arm) == ("Zoë", "canary")
    request = read_request(body(GOOD, parameters={"routing_key": "k", "arm": "champion"}), headers)
    assert (request.routing_key, request.arm) == ("k", "champion")
    for name, value, reason in [
        (b"x-mlops-arm", b"left", "header x-mlops-arm is 'left'"),
        (b"x-mlops-routing-key", b"\xff", "header x-mlops-routing-key is not UTF-8"),
        (b"x-mlops-routing-key", b"k" * 513, "up to 512 characters"),
        (b"inference-header-content-length", b"-1", "not a number of bytes"),
        (b"inference-header-content-length", b"9" * 30, "not a number of bytes"),
        (b"inference-header-content-length", b"99999", "99999 bytes of a body of"),
    ]:
        with pytest.raises(InvalidInputError, match=reason):
            read_request(body(GOOD), {name: value})


def test_mlservers_columns_of_objects_are_read() -> None:
    def column(*texts: str) -> Column:
        tensor = {"name": "a", "shape": [len(texts), 1], "datatype": "BYTES", "data": list(texts)}
        return decode(body({**tensor, "parameters": {"content_type": "pd_json"}})).columns["a"]

    assert column("1", "2.5", "null") == Column("FP64", [1.0, 2.5, None])
    assert column('"x"', "null") == Column("BYTES", ["x", None])
    assert column("true", "false") == Column("BOOL", [1.0, 0.0])
    with pytest.raises(InvalidInputError, match="one JSON text a row"):
        column("{")


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
        (body({**GOOD, "datatype": "BF16"}), "datatype 'BF16'; supported: BOOL, BYTES, FP16"),
        (body({**GOOD, "datatype": ["FP64"]}), "datatype \\['FP64'\\]"),
        (body({**GOOD, "shape": [3]}), "has 2 values; its shape needs 3"),
        (body({**GOOD, "shape": [2, 1, 1]}), "use \\[rows\\]"),
        (body({**GOOD, "shape": [-2]}), "shape \\[-2\\]"),
        (body({**GOOD, "shape": [0], "data": []}), "shape \\[0\\]; use .* one row at least"),
        (body({**GOOD, "shape": [True]}), "shape \\[True\\]"),
        (body({**GOOD, "shape": [2**63]}), "this server takes up to 10000 at once"),
        (body({**GOOD, "shape": [2**63, 2**63]}), "this server takes up to 10000 at once"),
        (body({**GOOD, "shape": [2, 2**63]}), "its shape needs 18446744073709551616"),
        (b'{"inputs":[{"name":"a","shape":[1e30],"datatype":"FP64","data":[1]}]}', "shape \\[1e\\+30\\]"),
        (body({**GOOD, "data": None}), "no list `data`, nor a parameter `binary_data_size`"),
        (body({**GOOD, "shape": [2, 2], "data": [[1, 2], [3]]}), "nested in another way"),
        (body({**GOOD, "shape": [2, 2], "data": [[1, 2], 3]}), "nested in another way"),
        (body({**GOOD, "parameters": 7}), "must be an object, got 7"),
        (body(binary_input(16)), "Inference-Header-Content-Length must say where"),
        (body({**GOOD, "data": [1, "x"]}), "has value 'x', which is not FP64"),
        (body({**GOOD, "data": [1, True]}), "has value True, which is not FP64"),
        (body({**GOOD, "data": [1, [2]]}), "has value \\[2\\], which is not FP64"),
        (body({**GOOD, "datatype": "INT64"}), "has value 1.0, which is not INT64"),
        (body({**GOOD, "datatype": "INT32", "data": [1, 2**31]}), "has value 2147483648, which is not INT32"),
        (body({**GOOD, "datatype": "UINT8", "data": [None, -1]}), "has value -1, which is not UINT8"),
        (body({**GOOD, "datatype": "BOOL", "data": [1, 0]}), "has value 1, which is not BOOL"),
        (body({**GOOD, "datatype": "BYTES", "data": ["x", 1]}), "has value 1, which is not BYTES"),
        (b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[NaN]}]}', "not JSON"),
        (b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[1e999]}]}', "not JSON"),
        (b'{"inputs":[{"name":"a","shape":[1],"datatype":"BYTES","data":["\\ud800"]}]}', "not JSON: .*surrogate"),
        (b'{"inputs":[{"name":"a","shape":[1],"datatype":"BYTES","data":["\xff"]}]}', "not JSON: .*UTF-8"),
        (b"[" * 100_000, "not JSON: .*depth"),
        (
            b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[' + b"[" * 900 + b"]" * 900 + b"]}]}",
            "is not FP64",
        ),
        (body(GOOD, GOOD), "given twice"),
        (body(GOOD, {**GOOD, "name": "b", "shape": [1], "data": [1]}), "'b' has 1 rows and the first one 2"),
        (body({**GOOD, "shape": [1, 2]}, {**GOOD, "shape": [1], "data": [1]}), "must be the only input"),
        (body(GOOD, id=7), "`id` must be a string"),
        (body(GOOD, parameters={"event_time": "2026-01-01"}), "no time zone"),
        (body(GOOD, parameters={"event_time": "yesterday"}), "'yesterday' is not an ISO 8601 time"),
        (body(GOOD, parameters={"arm": "left"}), "'left'; use 'champion' or 'canary'"),
        (body(GOOD, parameters=[]), None),
        (body(GOOD, outputs=[{"name": 7}]), "the name of an output is a string"),
        (body(GOOD, outputs=[{"name": "label"}] * 2), "'label' is asked for twice"),
        (body(GOOD, outputs=["label"]), "list of objects"),
        (body(GOOD, id="x" * 513), "up to 512 characters"),
    ],
)
def test_a_malformed_body_is_refused_with_the_reason(content: bytes, reason: str | None) -> None:
    if reason is None:
        assert decode(content).rows == 2
        return
    with pytest.raises(InvalidInputError, match=reason):
        decode(content)


@pytest.mark.parametrize(
    ("tensors", "data", "reason"),
    [
        ([binary_input(16)], b"x" * 15, "binary_data_size 16; 15 bytes are left"),
        ([binary_input(-1)], b"x" * 16, "binary_data_size -1"),
        ([binary_input(1.5)], b"x" * 16, "binary_data_size 1.5"),
        ([binary_input(16)], b"x" * 17, "1 bytes of binary data belong to no input"),
        ([binary_input(8)], b"x" * 8, "has 8 bytes; 2 values of FP64 need 16"),
        ([binary_input(2, "BOOL")], b"\0\2", "other than 0 and 1"),
        ([binary_input(5, "BYTES", 1)], struct.pack("<I", 1) + b"\xff", "not UTF-8, at value 0"),
        ([binary_input(5, "BYTES", 1)], struct.pack("<I", 2) + b"x", "has 5 bytes; its 1 values need 6"),
        ([binary_input(5, "BYTES", 2)], struct.pack("<I", 1) + b"x", "cut off, or not UTF-8, at value 1"),
        ([binary_input(10, "BYTES", 1)], struct.pack("<I", 1) + b"xabcde", "has 10 bytes; its 1 values need 5"),
        ([binary_input(8, "BYTES", 1)], struct.pack("<I", 2**32 - 1) + b"abcd", "its 1 values need 4294967299"),
    ],
)
def test_malformed_binary_data_is_refused_with_the_reason(tensors: list[object], data: bytes, reason: str) -> None:
    header = body(*tensors)
    with pytest.raises(InvalidInputError, match=reason):
        decode(header + data, len(header))


def test_a_message_is_short_whatever_was_sent() -> None:
    for content in (
        body({**GOOD, "name": "n" * 10**6, "shape": [3]}),
        body({**GOOD, "data": [1, "x" * 10**6]}),
        body(GOOD, parameters={"arm": ["y"] * 10**6}),
        body(GOOD, outputs=[{"name": "z" * 10**6}]),
    ):
        with pytest.raises(InvalidInputError) as refused:
            XY.check(decode(content).outputs)
        assert len(str(refused.value)) < 500


ANSWERED = {"prediction_id": ["1", "2"], "label": ["x", "y"], "score": [0.0, 1.0]}
KEYS = ["inputs", "name", "shape", "datatype", "data", "parameters", "id", "outputs", "binary_data_size", "event_time"]
SCALARS = (
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from(["FP64", "BYTES", "INT8", "BOOL", "pd_json", "label", "9999-12-31T23:59:59-23:59"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
NEARLY = st.builds(
    dict,
    name=st.sampled_from(["a", "b"]),
    shape=st.lists(st.integers(-1, 3), min_size=1, max_size=2) | ANYTHING,
    datatype=st.sampled_from(["FP64", "FP32", "INT64", "BOOL", "BYTES"]),
    data=st.lists(SCALARS, max_size=4) | ANYTHING,
    parameters=st.none() | st.builds(dict, binary_data_size=st.integers(-1, 20)) | ANYTHING,
)


def only_refused(content: bytes, header_length: int | None) -> None:
    with suppress(InvalidInputError):
        request = decode(content, header_length)
        assert 0 < request.rows <= 10_000
        for column in request.columns.values():
            assert len(column.values) == request.rows
        named = request.named_columns(SCHEMA)
        with suppress(InvalidFeaturesError):
            taken = take_features(SCHEMA, named)
            assert {type(value) for values in taken.values() for value in values} <= {float, type(None)}
        # Whatever was taken can be recorded and answered.
        orjson.dumps({name: column.values for name, column in named.items()})
        asked = request._replace(outputs=tuple(name for name in request.outputs if name in XY.by_name))
        ids = ["1"] * request.rows
        both = {"score": [0.5] * request.rows, "probabilities": [[0.5, 0.5]] * request.rows}
        encode("m", "1", "champion", asked, XY, {"prediction_id": ids, "label": ids, **both})


@given(st.binary(), st.none() | st.integers(-1, 50))
def test_no_bytes_make_the_decoder_fail_in_another_way(content: bytes, header_length: int | None) -> None:
    only_refused(content, header_length)


@given(
    ANYTHING | st.fixed_dictionaries({"inputs": st.lists(NEARLY | ANYTHING, max_size=3)}, optional={
        "id": ANYTHING, "parameters": ANYTHING, "outputs": ANYTHING
    }),
    st.binary(max_size=40),
    st.booleans(),
)  # fmt: skip
def test_no_json_makes_the_decoder_fail_in_another_way(content: object, data: bytes, binary: bool) -> None:
    header = orjson.dumps(content)
    only_refused(header + data if binary else header, len(header) if binary else None)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (None, "'b' is missing"),
        (Column("BYTES", ["1"]), "send a number, not BYTES"),
        (Column("FP64", [None]), "must not be null"),
    ],
)
def test_a_feature_that_is_missing_null_or_of_the_wrong_kind_is_named(column: Column | None, reason: str) -> None:
    columns = {"a": Column("FP64", [None]), "b": column}
    with pytest.raises(InvalidFeaturesError, match=reason):
        take_features(SCHEMA, {name: its for name, its in columns.items() if its is not None})


def test_a_request_without_options_is_what_its_fields_say() -> None:
    assert decode(body(GOOD)) == InferRequest(None, 2, {"a": Column("FP64", [1.0, None])})
