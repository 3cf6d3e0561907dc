"""Performance estimated from scores: right when other rows come, blind when their truths change, and never too sure."""

import json
import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import ConceptPolicy, estimated_performance
from mlops_dagster.monitoring.concept.estimated import estimate
from mlops_dagster.predictions.engine.embedded import EmbeddedEngine
from mlops_dagster.predictions.engine.engine import Source
from mlops_dagster.predictions.log.statements.labelled import Window
from mlops_dagster.predictions.log.statements.places import PLACE_COLUMNS, count_places
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import CategoricalBins, Histogram
from mlops_dagster.tasks.calibration import Calibration
from mlops_dagster.tasks.classification import SCORE_BINS
from mlops_dagster.tasks.classification.estimate import calibrate
from tests.support.predictions.records import MARCH

Numbers = npt.NDArray[np.float64]


def answered(rng: np.random.Generator, scores: Numbers, truth: Numbers) -> tuple[list[str], list[str]]:
    return np.where(scores >= 0.5, "late", "ok").tolist(), np.where(
        rng.random(len(scores)) < truth, "late", "ok"
    ).tolist()


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """Scores that are too sure of themselves: the chance of late is nearer to one half."""
    rng = np.random.default_rng(1)
    scores = rng.random(8000)
    said, truths = answered(rng, scores, 0.25 + scores / 2)
    return calibrate(said, scores, truths)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (4, 2), (0.4, 0.4), (8, 8)])
def test_it_is_right_when_other_rows_come(calibration: Calibration, a: float, b: float) -> None:
    rng = np.random.default_rng(2)
    scores = rng.beta(a, b, size=20_000)
    said, truths = answered(rng, scores, 0.25 + scores / 2)
    found = estimate(calibration, said, scores, (1.0, 1.0))
    measured = np.mean([one == other for one, other in zip(said, truths, strict=True)])
    assert found.measures["accuracy"].value == pytest.approx(measured, abs=0.02)


def test_it_does_not_see_that_truths_change(calibration: Calibration) -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(4000)
    said, truths = answered(rng, scores, 0.75 - scores / 2)
    found = estimate(calibration, said, scores, (1.0, 1.0))
    assert (
        np.mean([one == other for one, other in zip(said, truths, strict=True)])
        < 0.4
        < 0.6
        < found.measures["accuracy"].value
    )


def test_classes_that_were_never_predicted_are_not_guessed_at(calibration: Calibration) -> None:
    few = estimate(calibration, ["late"] * 99 + ["lost"], np.full(100, 0.9), (1.0, 1.0))
    assert (few.rows, [*few.measures]) == (99, ["accuracy", "macro_f1"])
    many = estimate(calibration, ["late"] * 90 + ["lost"] * 10, np.full(100, 0.9), (1.0, 1.0))
    assert (many.measures, many.reason) == ({}, "10 of 100 answers are of a kind that the evaluation never gave")
    assert estimate(calibration, [], np.zeros(0), (1.0, 1.0)).reason == "no answers with scores"


def test_of_a_day_the_champions_answers_are_taken_and_nothing_is_taken_for_granted(calibration: Calibration) -> None:
    kinds = [
        ("1", "champion", "late", 0.9),
        ("1", "champion", "ok", 0.2),
        ("1", "champion", None, None),
        ("2", "champion", "lost", 0.9),
        ("1", "shadow", "lost", 0.9),
    ]
    columns = zip(*[kind for kind in kinds for _ in range(50)], strict=True)
    table = pa.table(dict(zip(("version", "role", "prediction", "score"), map(list, columns), strict=True)))
    empty = Histogram(CategoricalBins(("ok", "late")), np.zeros(4, dtype=np.int64))
    baseline = Baseline({}, Histogram.of(SCORE_BINS, []), empty, calibration=calibration)
    table = table.append_column("event_time", pa.array([MARCH] * table.num_rows, pa.timestamp("us", "UTC")))
    table = table.append_column("date", pa.array([MARCH.date()] * table.num_rows))
    window = Window("flights", MARCH, MARCH + timedelta(days=1), ("champion",))
    places = count_places(EmbeddedEngine(), window, Source(table, PLACE_COLUMNS), "1", calibration)
    found = estimated_performance(places, calibration, baseline, ConceptPolicy())
    assert (found.rows, found.measures["accuracy"].interval) == (100, None)
    assert found.metadata()["estimated_reason"] == "without an interval: how days differ is not known"
    sure, unsure = (
        estimated_performance(places, calibration, baseline, ConceptPolicy(rows_per_observation=shared))
        for shared in (1.0, 9.0)
    )
    widths = []
    for each in (sure, unsure):
        interval = each.measures["accuracy"].interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
        assert "decides nothing" in each.in_words
    assert widths[1] == pytest.approx(3 * widths[0])


def test_a_calibration_survives_json_and_another_is_refused(calibration: Calibration) -> None:
    stored = json.loads(json.dumps(calibration.to_json()))
    assert Calibration.from_json(stored) == calibration
    assert [len(brackets) for brackets in calibration.brackets.values()] == [10, 10]
    assert all(brackets[0].above == -math.inf for brackets in calibration.brackets.values())
    good = stored["late"]
    for wrong in (
        [],
        [[0.5, {"late": 1}]],
        [good[1], good[0]],
        [[None, {"late": -1}]],
        [[None, {}]],
        "late",
        [good[0]] * 2,
    ):
        with pytest.raises(InvalidInputError, match="calibration"):
            Calibration.from_json({"late": wrong})


def test_scores_that_are_all_alike_are_one_bracket() -> None:
    found = calibrate(["late"] * 500, np.full(500, 0.7), ["late"] * 400 + ["ok"] * 100)
    assert [dict(each.truths) for each in found.brackets["late"]] == [{"late": 400, "ok": 100}]
