"""A measure, as reports and the summary of a rehearsal keep it."""

import orjson

from mlops_dagster.tasks import Measure


def test_a_measure_is_an_object_of_json() -> None:
    assert orjson.loads(orjson.dumps([Measure(0.5, (0.4, 0.6)), Measure(0.5)])) == [
        {"value": 0.5, "interval": [0.4, 0.6]},
        {"value": 0.5, "interval": None},
    ]
