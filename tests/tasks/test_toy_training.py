"""A kind of task that is made up for these tests is trained, carded, gated and retrained like a classification."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from mlops_dagster.errors import InvalidInputError, QualityGateError
from mlops_dagster.loop.apply_floor import FloorSignal
from mlops_dagster.loop.retraining.train import card_of, register
from mlops_dagster.loop.shown.champion import floor_entries
from mlops_dagster.loop.shown.training import candidate_entries, card_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ConceptPolicy, ConceptVerdict
from mlops_dagster.monitoring.concept.measure import concept_drift
from mlops_dagster.monitoring.concept.outcomes import Answers, DayOfAnswers
from mlops_dagster.registry import ModelCard, Validation
from mlops_dagster.retraining.beside_champion import PresentChampion
from mlops_dagster.retraining.candidate import Candidate, fit_candidate
from mlops_dagster.retraining.trainer import Trainer, TrainingSet
from mlops_dagster.rollout.floor.floor import FloorOutcome, decide_floor, headline_of
from mlops_dagster.rollout.floor.look import FloorLook
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import TASKS
from tests.support.servable import tried_before
from tests.support.toy_task import SCHEMA_JSON, Count, regression

MODEL, START, HOURS = "orders", datetime(2026, 3, 1, tzinfo=UTC), 240
NOW = START + timedelta(hours=HOURS)
SPEC = ModelSpec.model_validate(
    {
        "model": MODEL,
        "trainer": "orders.trainer",
        "training": {"dataset": "orders of two shops", "window_days": 10, "evaluation_days": 5},
        "card": {"intended_use": "counts", "failure_modes": ["fairs"], "contacts": [], "fairness_attribute": "shop"},
        "performance": {"alert": 0.9, "floor": 0.8},
    }
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "count", Count)


def orders(off_later: float) -> TrainingSet:
    """Three orders for each x; in the last five days, by which candidates are evaluated, `off_later` more."""
    x = pd.Series([float(hour % 24) for hour in range(HOURS)])
    late = pd.Series(range(HOURS)) >= HOURS / 2
    frame = pd.DataFrame(
        {
            "x": x,
            "shop": ["north", "south"] * (HOURS // 2),
            "label": (3 * x + off_later * late).astype(int).astype(str),
            "event_time": pd.date_range(START, periods=HOURS, freq="h"),
        }
    )
    validated = Validation(suite="orders", rows=HOURS, expectations=3, passed=True)
    return TrainingSet(frame, validated, as_of=NOW, trigger="manual", reason="")


def candidate_of(rows: TrainingSet, champion: PresentChampion | None = None) -> Candidate:
    trainer = SimpleNamespace(SCHEMA=ModelSchema.model_validate(SCHEMA_JSON), estimator=lambda: regression(0))
    return fit_candidate(
        cast("Trainer", trainer),
        rows.frame,
        dataset="orders",
        evaluate_from=NOW - timedelta(days=5),
        fairness_attributes=["shop"],
        champion=champion,
    )


def test_a_candidate_its_card_and_its_gate_are_of_the_tasks_measures(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path), actor="test")
    versions = {}
    for off in (0, 4):  # (4 / 10)^2 is 0.16 less than 1
        rows = orders(off)
        found = candidate_of(rows)
        assert found.metrics == pytest.approx({"closeness": 1 - (off / 10) ** 2, "mae": off, "accuracy": 1}, abs=1e-6)
        assert (found.unjudged, found.baseline.calibration) == ((), None)
        card = card_of(SPEC, rows, found)
        assert (card.task, card.missing()) == ("count", ())
        assert card.fairness[0].groups["north"] == pytest.approx({"rows": 60, "closeness": 1 - (off / 10) ** 2})
        assert card.fairness[0].gaps == pytest.approx({"closeness": 0}, abs=1e-6)
        assert "Widest gap in closeness between groups of shop" in card.to_markdown()
        assert candidate_entries(SPEC, found)["evaluation"] == (
            f"closeness {1 - (off / 10) ** 2:.4f} on 120 rows; the gate asks for 0.9"
        )
        assert card_entries(SPEC, card, found)["state"] == "complete"
        with tried_before():
            versions[off] = register(stores, SPEC, rows, found, card, {})
    assert stores.registry.closed_gates(versions[0]) == ()
    (closed,) = stores.registry.closed_gates(versions[4])
    assert isinstance(closed, QualityGateError)
    assert closed.message.endswith(
        "promises closeness >= 0.9, and its card says 0.8400; train a better one, or count again"
    )

    # a card of another kind of task is refused, for it would be complete with other measures
    with pytest.raises(InvalidInputError, match="its card is of the task 'classification', and .* is of 'count'"):
        stores.registry.attach_card(versions[0], ModelCard(intended_use="counts"))
    assert ModelCard().missing() == ModelCard(task="count").missing()


def test_a_headline_under_the_floor_asks_for_a_retraining() -> None:
    task, truths = Count(cap=10), [str(number) for number in range(300)]
    sums = task.sums(truths, [str(number + 5) for number in range(300)])
    found = headline_of(task, sums, 300)
    decision = decide_floor(SPEC.performance, found, None)
    assert decision.outcome is FloorOutcome.ALERT  # without an interval it may be chance
    assert decision.reason.startswith("closeness 0.750 is under the floor of 0.8 (300 rows), which may be chance")

    sure = found.__class__(found.rows, found.value, (0.7, 0.79), found.measure, found.heading)
    decision = decide_floor(SPEC.performance, sure, None)
    look = FloorLook("1.0.0", NOW, (START.date(),), sure, None, decision)
    signal = FloorSignal.of(look, SPEC.performance.floor).asks_for_retraining("1.0.0")
    assert signal is not None
    assert signal.reason.startswith("closeness 0.750 is under the floor of 0.8")
    assert signal.numbers == {"closeness": "0.75", "low": "0.7", "high": "0.79", "rows": "300", "limit": "0.8"}
    shown = floor_entries(SPEC, look)
    assert (shown["closeness"], shown["closeness_low"], shown["closeness_rows"]) == (0.75, 0.7, 300)


def test_right_and_wrong_are_the_tasks_beside_a_champion_and_after_it() -> None:
    """A champion that is a little off is right, though no text of its answers is a label."""
    schema = ModelSchema.model_validate(SCHEMA_JSON)
    found = candidate_of(orders(0), PresentChampion("1.0.0", schema, lambda: regression(0.4), accuracy=1.0))
    assert "unlike what it serves" not in found.shared_days

    hours = {hour: Answers(25, 15) for hour in range(0, 24, 3)}
    bad = DayOfAnswers("1.0.0", Answers(200, 120), {}, {}, hours)
    days = {START.date() + timedelta(days=day): bad for day in range(2)}
    report = concept_drift("1.0.0", found.evaluation, days, ConceptPolicy(rows_per_observation=1), {})
    assert report.verdict is ConceptVerdict.COLLAPSED
