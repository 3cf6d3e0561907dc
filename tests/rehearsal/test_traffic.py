import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flights import trainer as flights
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.traffic.history import read_history
from mlops_dagster.rehearsal.traffic.traffic import Hour, hours
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

START = datetime(2013, 3, 1, tzinfo=UTC)
SCHEMA = ModelSchema(
    features=(Feature(name="wind", kind="numeric"), Feature(name="carrier", kind="categorical")),
    task=Classification(classes=("on_time", "late")),
)


def three_hours() -> list[Hour]:
    end = START + timedelta(hours=3)
    frame = pd.DataFrame(
        {
            "wind": [3.5, np.nan, 0.0],
            "carrier": ["UA", None, "DL"],
            "label": ["late", None, "on_time"],
            "event_time": pd.to_datetime([START, START + timedelta(minutes=59), end - timedelta(minutes=1)]),
            "known_at": pd.to_datetime([START + timedelta(hours=3), pd.NaT, end + timedelta(hours=1)]),
            "key": ["ada", None, None],
            "prediction_id": ["a", None, "c"],
        }
    )
    return hours(read_history(frame, None, SCHEMA), SCHEMA, START, end)


def test_each_row_is_one_request_in_its_own_hour() -> None:
    found = three_hours()
    assert [len(hour.requests) for hour in found] == [2, 0, 1]
    assert [hour.end - hour.start for hour in found] == [timedelta(hours=1)] * 3
    assert json.loads(found[0].requests[0].body) == {
        "id": "a",
        "inputs": [
            {"name": "wind", "shape": [1], "datatype": "FP64", "data": [3.5]},
            {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]},
        ],
        "parameters": {"event_time": "2013-03-01T00:00:00+00:00", "routing_key": "ada"},
    }


def test_missing_values_are_null_and_what_has_no_label_never_gets_one() -> None:
    request = three_hours()[0].requests[1]
    body = json.loads(request.body)
    assert [tensor["data"] for tensor in body["inputs"]] == [[None], [None]]
    assert body.keys() == {"inputs", "parameters"}
    assert body["parameters"].keys() == {"event_time"}
    assert (request.label, request.known_at) == (None, None)


def test_the_flights_of_a_day_all_have_their_hour_and_their_label_later() -> None:
    recorded = flights.recorded_traffic(START, START + timedelta(days=1))
    history = read_history(recorded, None, flights.SCHEMA)
    found = hours(history, flights.SCHEMA, START, START + timedelta(days=1))
    requests = [(hour, request) for hour in found for request in hour.requests]
    assert len(requests) == len(recorded) > 900
    for hour, request in requests:
        sent_at = datetime.fromisoformat(json.loads(request.body)["parameters"]["event_time"])
        assert hour.start <= sent_at < hour.end
        assert request.known_at is None or request.known_at > sent_at
    assert sum(request.label is None for _, request in requests) == recorded["known_at"].isna().sum()


@pytest.mark.parametrize(
    ("start", "until", "message"),
    [
        (START, START, "must come after start"),
        (START + timedelta(minutes=5), START + timedelta(days=1), "start must be a full hour"),
        (START, datetime(2013, 3, 9), "until must be a full hour with a time zone"),  # noqa: DTZ001  # that is the point
    ],
)
def test_a_scenario_that_cannot_be_played_says_why(start: datetime, until: datetime, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scenario(model="flights-delay", requests=pd.DataFrame(), start=start, until=until)
