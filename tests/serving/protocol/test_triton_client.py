"""NVIDIA's `tritonclient.http`, as it is. It sends and asks for binary data unless told not to."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from mlops_dagster.registry import Stage
from tests.support.serving.data_plane import SCHEMA, Models, Server, make_frame

ROWS = 20
MODEL = "asked-by-triton"


@pytest.fixture(scope="module")
def client(server: Server, models: Models) -> Iterator[triton.InferenceServerClient]:
    models.champion(MODEL)
    server.wait_in_force(models.stores, MODEL)
    client = triton.InferenceServerClient(f"127.0.0.1:{server.address['port']}")
    yield client
    client.close()


def tensor(name: str, values: npt.NDArray[np.generic], *, binary: bool = True) -> triton.InferInput:
    given = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return given.set_data_from_numpy(values, binary_data=binary)


def inputs(*, binary: bool = True, rows: int = ROWS, dtype: type = np.float64) -> list[triton.InferInput]:
    frame = make_frame(SCHEMA, rows)
    return [
        tensor("delay", frame["delay"].to_numpy(dtype), binary=binary),
        tensor("distance", frame["distance"].to_numpy(dtype).reshape(-1, 1), binary=binary),
        tensor("carrier", frame["carrier"].to_numpy(np.object_), binary=binary),
    ]


def expected(models: Models) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The labels, and the probabilities of on_time and late."""
    estimator = models.stores.registry.load(models.stores.registry.champion(MODEL))
    frame = make_frame(SCHEMA, ROWS)
    order = [estimator.classes_.tolist().index(name) for name in SCHEMA.task.truths]
    return estimator.predict(frame).tolist(), estimator.predict_proba(frame)[:, order]


def texts(result: triton.InferResult, name: str) -> list[str]:
    found = result.as_numpy(name)
    return [value.decode() if isinstance(value, bytes) else value for value in found.tolist()]


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1.0.0")
    assert not client.is_model_ready(MODEL, "9.9.9")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "parameters"]
    described = client.get_model_metadata(MODEL, "1.0.0")
    assert (described["name"], described["versions"]) == (MODEL, ["1.0.0"])
    assert [(each["name"], each["datatype"], each["shape"]) for each in described["inputs"]] == [
        ("delay", "FP64", [-1]),
        ("distance", "FP64", [-1]),
        ("carrier", "BYTES", [-1]),
    ]
    assert {each["name"]: each["shape"] for each in described["outputs"]}["probabilities"] == [-1, 2]


@pytest.mark.parametrize("compressed_answer", [None, "gzip", "deflate"])
@pytest.mark.parametrize("compressed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_infer_answers_as_the_estimator_does(
    client: triton.InferenceServerClient,
    models: Models,
    binary: bool,
    compressed: str | None,
    compressed_answer: str | None,
) -> None:
    result = client.infer(
        MODEL,
        inputs(binary=binary),
        request_id="seventh",
        request_compression_algorithm=compressed,
        response_compression_algorithm=compressed_answer,
    )
    labels, probabilities = expected(models)
    assert texts(result, "label") == labels
    assert result.as_numpy("score") == pytest.approx(probabilities[:, 1], abs=1e-12)
    assert texts(result, "prediction_id") == [f"seventh/{row}" for row in range(ROWS)]
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("seventh", MODEL, "1.0.0")
    assert response["parameters"]["role"] == "champion"


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_outputs_are_those_asked_for(client: triton.InferenceServerClient, models: Models, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
    result = client.infer(MODEL, inputs(), outputs=wanted)
    labels, probabilities = expected(models)
    assert [each["name"] for each in result.get_response()["outputs"]] == ["probabilities", "label"]
    assert result.get_output("probabilities")["parameters"]["classes"] == list(SCHEMA.task.truths)
    assert result.as_numpy("probabilities") == pytest.approx(probabilities, abs=1e-12)
    assert texts(result, "label") == labels


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.int64, np.int8, np.uint16, np.bool_])
def test_numbers_of_every_datatype_are_numbers(client: triton.InferenceServerClient, dtype: type) -> None:
    frame = make_frame(SCHEMA, ROWS)
    numbers = frame["delay"].clip(lower=0).to_numpy(dtype)
    carrier = tensor("carrier", frame["carrier"].to_numpy(np.object_))

    def scores(values: npt.NDArray[np.generic]) -> list[float]:
        given = [tensor("delay", values), tensor("distance", values), carrier]
        found: list[float] = client.infer(MODEL, given).as_numpy("score").tolist()
        return found

    assert scores(numbers) == scores(numbers.astype(np.float64))


def test_nan_is_null_and_infinity_is_itself(client: triton.InferenceServerClient) -> None:
    delay = np.array([np.nan, np.inf, -np.inf])
    carrier = tensor("carrier", np.array(["AA"] * 3, dtype=np.object_))
    result = client.infer(MODEL, [tensor("delay", delay), tensor("distance", np.ones(3)), carrier])
    assert texts(result, "label")[1:] == ["late", "on_time"]
    with pytest.raises(InferenceServerException, match="'distance' must not be null"):
        client.infer(MODEL, [tensor("delay", delay), tensor("distance", delay), carrier])


def test_a_named_version_and_parameters(client: triton.InferenceServerClient, models: Models, server: Server) -> None:
    models.register(MODEL, "1.1.0", threshold=30.0)
    result = client.infer(MODEL, inputs(), model_version="1.1.0", parameters={"shop": "north"}, priority=1, timeout=9)
    response = result.get_response()
    assert response["model_version"] == "1.1.0"
    assert (response["parameters"]["role"], response["parameters"]["shop"]) == ("named", "north")
    result = client.infer(MODEL, inputs(), headers={"x-mlops-arm": "champion"}, parameters={"version": "1.1.0"})
    assert result.get_response()["model_version"] == "1.0.0"
    with pytest.raises(InferenceServerException, match="has no canary now"):
        client.infer(MODEL, inputs(), headers={"x-mlops-arm": "canary"})


def test_requests_of_one_key_go_to_one_arm(
    client: triton.InferenceServerClient, models: Models, server: Server
) -> None:
    models.canary(MODEL, "2.0.0", 0.5, threshold=30.0)
    server.wait_in_force(models.stores, MODEL)

    def arm(key: str, *, as_header: bool) -> str:
        parameters, headers = ({}, {"x-mlops-routing-key": key}) if as_header else ({"routing_key": key}, {})
        result = client.infer(MODEL, inputs(rows=1), parameters=parameters, headers=headers)
        return str(result.get_response()["parameters"]["role"])

    keys = [f"customer {number}" for number in range(20)]
    arms = [arm(key, as_header=True) for key in keys]
    assert set(arms) == {"champion", "canary"}
    assert [arm(key, as_header=False) for key in keys] == arms
    models.stores.registry.transition(models.stores.registry.get(MODEL, "2.0.0"), Stage.REGISTERED, reason="done")


def test_what_is_wrong_is_said(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="'carrier' is missing") as refused:
        client.infer(MODEL, inputs()[:2])
    assert refused.value.status() == "400"
    with pytest.raises(InferenceServerException, match="'nobody' is served here"):
        client.infer("nobody", inputs())
    with pytest.raises(InferenceServerException, match="unknown output 'gradient'"):
        client.infer(MODEL, inputs(), outputs=[triton.InferRequestedOutput("gradient")])


def test_it_may_ask_without_waiting(client: triton.InferenceServerClient) -> None:
    asked = [client.async_infer(MODEL, inputs(rows=1), request_id=str(number)) for number in range(5)]
    assert [each.get_result().get_response()["id"] for each in asked] == ["0", "1", "2", "3", "4"]
