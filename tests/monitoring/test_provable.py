"""What a card says can be proven, held against days drawn by the same model, and said where nothing can be."""

import numpy as np
import pytest

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import ConceptPolicy, PerformancePolicy, provable
from mlops_dagster.monitoring.concept.measure import alpha_of, limit_of
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.cards import OVERALL, EvaluationSlice, ModelCard, Provable, evaluate, to_html
from mlops_dagster.statistics import (
    CategoricalBins,
    DesignEffect,
    Histogram,
    days_to_proof,
    macro_f1_under,
    metrics_from_confusion,
    rate_change_e_value,
    rate_design_effect,
)

POLICY, FLOOR = ConceptPolicy(), PerformancePolicy(alert=0.8, floor=0.7)
Days = list[tuple[int, int]]


def evaluation(rng: np.random.Generator, days: int, rows: int, wrong: float = 0.23) -> tuple[EvaluationSlice, Days]:
    """A model of four classes, evaluated on so many days of so many rows."""
    true = rng.integers(4, size=days * rows)
    is_wrong = rng.random(days * rows) < wrong
    said = np.where(is_wrong, (true + rng.integers(1, 4, days * rows)) % 4, true)
    by_day = is_wrong.reshape(days, rows).sum(axis=1)
    return evaluate(OVERALL, true.astype(str), said.astype(str)), [(int(k), rows) for k in by_day]


def said_of(days: int, rows: int = 900, floor: PerformancePolicy = FLOOR, policy: ConceptPolicy = POLICY) -> Provable:
    overall, known = evaluation(np.random.default_rng(days), days, rows)
    effect = rate_design_effect(known)
    return provable([overall], {} if effect is None else {"wrong": effect}, known, policy, floor)


@pytest.mark.parametrize(
    ("rate", "shared"),
    [
        (0.15, DesignEffect(1.5)),
        (0.20, DesignEffect(1.5)),
        (0.20, DesignEffect(20.0, rows_per_day=1000.0)),
        (0.20, DesignEffect(4.0, rows_per_day=500.0, lasting=0.4)),
        (0.30, DesignEffect(20.0, rows_per_day=1000.0, lasting=0.6)),
    ],
)
def test_the_forecast_is_the_median_of_days_drawn_by_the_same_model(rate: float, shared: DesignEffect) -> None:
    """Drawn in another way, and proven by the test itself."""
    limit, needed, trials = 0.13, 80.0, 1000
    told = days_to_proof(rate, limit=limit, needed=needed, trials=trials, shared=shared)
    at = shared.at(trials)
    spread = (trials - 1) / (at.rows - 1) - 1
    rng, found = np.random.default_rng(7), []
    for _ in range(60):
        blocks: Days = []
        before = np.full(2, rng.normal(size=2))
        while not blocks or rate_change_e_value(blocks, limit=limit, shared=shared).e_value < needed:
            before = at.lasting * before + (1 - at.lasting**2) ** 0.5 * rng.normal(size=2)
            deviation = (rate * (1 - rate) / (spread + 1)) ** 0.5
            today = min(max(rate + deviation * float(before[0]), 0.0), 1.0)
            blocks.append((int(rng.binomial(trials, today)), trials))
        found.append(len(blocks))
    assert told is not None
    assert abs(told - float(np.median(found))) <= max(1.0, 0.25 * told), (told, np.median(found))


def test_the_forecast_never_comes_under_the_limit_and_sooner_for_greater_losses() -> None:
    shared = DesignEffect(3.0, rows_per_day=500.0, lasting=0.2)
    found = [days_to_proof(r, limit=0.2, needed=80, trials=500, shared=shared) for r in (0.1, 0.2, 0.25, 0.3, 0.5, 1.0)]
    assert found[:2] == [None, None]
    assert all(days is not None for days in found[2:])
    assert found[2:] == sorted(found[2:], key=lambda days: -(days or 0))
    assert found[-1] == days_to_proof(1.0, limit=0.2, needed=80, trials=500, shared=DesignEffect(1.0)), (
        "each day counts 10"
    )
    assert days_to_proof(0.0, limit=0.2, needed=80, trials=500, shared=shared) is None
    for wrong in ({"limit": 1.0}, {"trials": 0}):
        with pytest.raises(InvalidInputError):
            days_to_proof(0.3, **{"limit": 0.2, "needed": 80.0, "trials": 500, "shared": shared, **wrong})  # type: ignore[arg-type]


def test_two_weeks_prove_three_days_of_twice_the_errors() -> None:
    found = said_of(14)
    losses = {loss.name: loss.days for loss in found.drift.losses}
    assert losses["twice the errors"] == 3
    assert "twice the errors (0.4" in found.lines[0]
    assert "after 3 days of it" in found.lines[0]
    overall, known = evaluation(np.random.default_rng(14), 14, 900)
    effect = rate_design_effect(known)
    assert effect is not None
    assert found.drift.limit == limit_of(overall, alpha_of(OVERALL, POLICY, 0), POLICY.margin, effect)
    assert "is told within its second day" in found.lines[1]
    assert found.collapse_rows is not None
    assert 250 < found.collapse_rows < 500


@pytest.mark.parametrize(
    ("days", "rows", "said"),
    [
        (
            1,
            900,
            "Concept drift: no forecast, as the evaluation is of one day, which shows no difference between days.",
        ),
        (5, 24, "Concept drift: nothing, with 5 days of evaluation, 24 answers a day, "),
        (3, 20, "Concept drift: nothing, with 3 days of evaluation: no rate of wrong answers is over the limit of 1."),
    ],
)
def test_after_a_short_window_the_card_says_that_nothing_can_be_proven(days: int, rows: int, said: str) -> None:
    """S12: limits of 0.7 and 1 are mute."""
    found = said_of(days, rows)
    assert found.lines[0].startswith(said)
    assert not any(loss.days for loss in found.drift.losses)
    card = ModelCard(provable=found)
    assert said in card.to_markdown()
    assert said in to_html(card)
    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_what_is_not_known_is_said() -> None:
    empty = provable([], {}, [], POLICY, FLOOR)
    assert all("nothing" in line for line in empty.lines)
    overall, known = evaluation(np.random.default_rng(1), 14, 900)
    assert (
        "with an unknown number of days of evaluation: how days differ"
        in provable([overall], {}, [], POLICY, FLOOR).lines[0]
    )
    told = provable([overall], {}, [], ConceptPolicy(rows_per_observation=5), FLOOR)
    assert "after an unknown time" in told.lines[0]
    assert "the number of answers a day is unknown" in told.lines[-1]
    stormy = [*known[:-1], (500, 900)]
    assert "is like a day of the evaluation" in provable([overall], {}, stormy, POLICY, FLOOR).lines[1]
    small = overall.model_copy(update={"name": "carrier=HA", "rows": 20, "counts": {}})
    assert provable([overall, small], {}, known, POLICY, FLOOR).drift.mute_slices == ("carrier=HA",)


def test_a_floor_that_chance_reaches_is_said_to_be_and_one_that_cannot_tell_too() -> None:
    near, far, silent = said_of(14, 900, PerformancePolicy(alert=0.8, floor=0.765)), said_of(14), said_of(5, 24)
    assert near.floor.evaluated is not None
    assert 0.765 < near.floor.evaluated < 0.78
    assert "is within reach of chance" in near.lines[-1]
    assert near.floor.by_chance is not None
    assert near.floor.by_chance > 0.05
    assert "is out of reach of chance" in far.lines[-1]
    assert (far.floor.days_to_rows, far.floor.by_chance) == (1, 0.0)
    assert far.floor.days_to_tell is not None
    assert "tells nothing: it needs 200 labels in 7 days, and the evaluation had 24 a day" in silent.lines[-1]
    under = said_of(14, 900, PerformancePolicy(alert=0.9, floor=0.83))
    assert "is broken at once: the version was evaluated at 0.7" in under.lines[-1]


def test_how_often_chance_is_under_a_floor_is_how_often_drawn_rows_are() -> None:
    seen = {("late", "late"): 80, ("late", "ok"): 20, ("ok", "late"): 20, ("ok", "ok"): 280}
    rng = np.random.default_rng(3)
    pairs, shares = list(seen), np.array(list(seen.values())) / 400
    drawn = [
        metrics_from_confusion(dict(zip(pairs, map(int, its), strict=True))).macro_f1
        for its in rng.multinomial(300, shares, 1000)
    ]
    assert macro_f1_under(seen, 0.85, rows=300) == pytest.approx(np.mean(np.array(drawn) < 0.85), abs=0.06)
    with pytest.raises(InvalidInputError):
        macro_f1_under(seen, 0.85, rows=0)


def test_the_days_of_an_evaluation_are_kept_and_nonsense_is_refused() -> None:
    histogram = Histogram.of(CategoricalBins(("a", "b")), ["a", "b"])
    baseline = Baseline({}, histogram, histogram, evaluated_days=((1, 10), (0, 3)))
    assert Baseline.from_json(baseline.to_json()) == baseline
    for wrong in ([[2, 1]], [[1]], [[-1, 3]], "days", [["1", 2]], [[True, 2]]):
        with pytest.raises(InvalidInputError):
            Baseline.from_json({**baseline.to_json(), "evaluated_days": wrong})
