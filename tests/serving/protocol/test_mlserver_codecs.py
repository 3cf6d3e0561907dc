"""MLServer's codecs, as they are, make the requests and read the answers."""

import numpy as np
import pandas as pd
import pytest
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, RequestInput, RequestOutput
from sklearn.ensemble import HistGradientBoostingClassifier

from mlops_dagster.registry import Stage
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
from tests.support.serving.data_plane import CARD, SCHEMA, Models, Server, make_baseline, make_frame

ROWS = 20
MODEL, NUMBERS = "asked-by-mlserver", "numbers"
NUMERIC = ModelSchema(
    features=tuple(Feature(name=name, kind="numeric") for name in ("a", "b", "c")),
    task=Classification(classes=("no", "yes")),
)


@pytest.fixture(scope="module")
def ready(server: Server, models: Models) -> Server:
    """A model of mixed features, and one of numbers only."""
    models.champion(MODEL)
    frame = make_frame(NUMERIC)
    trees = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(frame, np.where(frame["a"] > 9, "yes", "no"))
    registered = models.stores.registry.register(
        NUMBERS, trees, "1.0.0", schema=NUMERIC, card=CARD, baseline=make_baseline(NUMERIC)
    )
    models.stores.registry.transition(registered, Stage.PRODUCTION)
    for model in (MODEL, NUMBERS):
        server.wait_in_force(models.stores, model)
    return server


def ask(server: Server, model: str, request: InferenceRequest) -> InferenceResponse:
    answer = server.client.post(f"/v2/models/{model}/infer", content=request.model_dump_json())
    assert answer.status_code == 200, answer.text
    return InferenceResponse.model_validate_json(answer.content)


def expected(models: Models, frame: pd.DataFrame, model: str = MODEL) -> list[str]:
    registry = models.stores.registry
    labels: list[str] = registry.load(registry.champion(model)).predict(frame).tolist()
    return labels


@pytest.mark.parametrize("use_bytes", [True, False])
def test_pandas(ready: Server, models: Models, use_bytes: bool) -> None:
    frame = make_frame(SCHEMA, ROWS)
    frame.loc[3:7, "delay"] = np.nan
    request = PandasCodec.encode_request(frame, use_bytes=use_bytes)
    request.id = "frame"
    response = ask(ready, MODEL, request)
    answer = PandasCodec.decode_response(response)
    assert response.id == "frame"
    assert response.model_version == "1.0.0"
    assert answer["label"].tolist() == expected(models, frame)
    assert answer["prediction_id"].tolist() == [f"frame/{row}" for row in range(ROWS)]
    assert answer["score"].between(0, 1).all()


def test_pandas_columns_of_every_kind(ready: Server, models: Models) -> None:
    frame = make_frame(NUMERIC, ROWS)
    frame["a"] = frame["a"].astype(np.float32)
    frame["b"] = frame["b"].astype(np.int8)
    frame["c"] = frame["c"] > 0
    answer = PandasCodec.decode_response(ask(ready, NUMBERS, PandasCodec.encode_request(frame)))
    assert answer["label"].tolist() == expected(models, frame, NUMBERS)
    frame["b"] = [1, 2.5] * (ROWS // 2)
    as_objects = frame.astype({"b": object})
    request = PandasCodec.encode_request(as_objects)
    assert request.inputs[1].parameters is not None
    assert request.inputs[1].parameters.content_type == "pd_json"
    answer = PandasCodec.decode_response(ask(ready, NUMBERS, request))
    assert answer["label"].tolist() == expected(models, frame, NUMBERS)


def test_one_array_of_all_features(ready: Server, models: Models) -> None:
    frame = make_frame(NUMERIC, ROWS)
    frame.loc[0, "b"] = np.nan
    request = NumpyRequestCodec.encode_request(frame.to_numpy())
    request.outputs = [RequestOutput(name="probabilities", parameters=Parameters(content_type="np"))]
    response = ask(ready, NUMBERS, request)
    probabilities = NumpyRequestCodec.decode_response(response)
    estimator = models.stores.registry.load(models.stores.registry.champion(NUMBERS))
    assert probabilities == pytest.approx(estimator.predict_proba(frame), abs=1e-12)
    (output,) = response.outputs
    assert output.parameters is not None
    assert output.parameters.model_dump()["classes"] == ["no", "yes"]


def test_arrays_and_texts_by_column(ready: Server, models: Models) -> None:
    frame = make_frame(SCHEMA, ROWS)

    def answers(carrier: RequestInput) -> list[str]:
        numbers = [NumpyCodec.encode_input(name, frame[name].to_numpy()) for name in ("delay", "distance")]
        response = ask(ready, MODEL, InferenceRequest(inputs=[*numbers, carrier]))
        labels, scores, _ = response.outputs
        assert NumpyCodec.decode_output(scores).shape == (ROWS,)
        return StringCodec.decode_output(labels)

    texts = frame["carrier"].tolist()
    for carrier in (
        StringCodec.encode_input("carrier", texts),
        StringCodec.encode_input("carrier", texts, use_bytes=False),
        NumpyCodec.encode_input("carrier", np.array(texts)),
        NumpyCodec.encode_input("carrier", np.array(texts, dtype=np.object_)),
    ):
        assert answers(carrier) == expected(models, frame)


def test_texts_that_are_missing(ready: Server) -> None:
    """As null they come through; the pandas codec itself cannot send them."""
    texts = ["AA", None]
    for carrier in (
        StringCodec.encode_input("carrier", texts, use_bytes=False),
        NumpyCodec.encode_input("carrier", np.array(texts, dtype=np.object_)),
    ):
        numbers = [NumpyCodec.encode_input(name, np.ones(2)) for name in ("delay", "distance")]
        request = InferenceRequest(inputs=[*numbers, carrier])
        answer = ready.client.post(f"/v2/models/{MODEL}/infer", content=request.model_dump_json())
        # Null reached the estimator, as the NaN that it would have been fitted with, which it does not know.
        assert (answer.status_code, answer.json()["code"]) == (500, "model_failed")
        assert "unknown categories [nan]" in answer.json()["error"]
    with pytest.raises(TypeError, match="isnan"):
        PandasCodec.encode_request(pd.DataFrame({"carrier": texts}))
