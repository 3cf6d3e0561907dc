"""Concept drift: how often a champion is accused that answers as it did, how soon one that does not, and which of two
drifted features is to blame. By simulation, from rows."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.stats import binom

from mlops_dagster.loop.judging.findings import PERFORMANCE, DayOfPerformance
from mlops_dagster.monitoring import (
    ConceptPolicy,
    ConceptVerdict,
    DayOfAnswers,
    concept_drift,
    day_of_answers,
)
from mlops_dagster.monitoring.concept.collapse import Collapse, CollapseVerdict
from mlops_dagster.monitoring.concept.outcomes import Answers, parts_of
from mlops_dagster.monitoring.performance import PerformanceReport
from mlops_dagster.monitoring.policy import wrong_answers
from mlops_dagster.registry.cards import EvaluationSlice
from mlops_dagster.statistics import (
    DesignEffect,
    rate_change_e_value,
    rate_design_effect,
    rate_upper_bound,
)
from tests.support.predictions.answers import counted

ALPHA, MARGIN, ERRORS = 0.05, 0.02, 0.10
FIRST = date(2013, 3, 1)
POLICY = ConceptPolicy(alpha=ALPHA, margin=MARGIN)
SLICES = ("carrier=AA", "carrier=UA", "carrier=WN", "carrier=HA")


@pytest.fixture(autouse=True)
def _drift_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the other rule, of tests/monitoring/test_collapse.py: it takes five times as long as this one."""
    not_asked = Collapse(CollapseVerdict.HOLDS, "not asked")
    monkeypatch.setattr("mlops_dagster.monitoring.concept.measure.collapse", lambda *_: not_asked)


def most_by_chance(runs: int) -> float:
    """How many false alarms there may be: at a probability of exactly alpha, more come once in 200 simulations."""
    return float(binom.ppf(0.995, runs, ALPHA))


def evaluated(name: str, wrong: int, rows: int) -> EvaluationSlice:
    return EvaluationSlice(name=name, rows=rows, metrics={"accuracy": 1 - wrong / rows})


Effects = dict[str, DesignEffect]
Life = tuple[list[EvaluationSlice], Effects, dict[date, DayOfAnswers]]


def life(
    rng: np.random.Generator,
    errors: npt.NDArray[np.float64],
    *,
    evaluated_days: int = 14,
    correlation: float = 0.0,
    rows: int = 400,
) -> Life:
    """A champion evaluated on days of so many rows in four slices, and then such a day for each rate of `errors`.

    Two answers of a day are correlated: it has its own rate.
    """
    traffic = rows * np.array([50, 30, 15, 5]) // 100

    def count(rate: float) -> list[Answers]:
        spread = 1 / correlation - 1 if correlation else np.inf
        today = rng.beta(rate * spread, (1 - rate) * spread) if correlation else rate
        parts = [Answers(int(n), int(rng.binomial(n, today))) for n in traffic]
        return [Answers(sum(rows for rows, _ in parts), sum(wrong for _, wrong in parts)), *parts]

    names = ("overall", *SLICES)
    then = dict(zip(names, zip(*(count(ERRORS) for _ in range(evaluated_days)), strict=True), strict=True))
    evaluation = [evaluated(name, sum(k for _, k in its), sum(n for n, _ in its)) for name, its in then.items()]
    known = {wrong_answers(name): rate_design_effect([(k, n) for n, k in its]) for name, its in then.items()}
    days = {}
    for number, rate in enumerate(errors):
        overall, *parts = count(rate)
        days[FIRST + timedelta(days=number)] = DayOfAnswers("1.0.0", overall, dict(zip(SLICES, parts, strict=True)), {})
    return evaluation, {name: effect for name, effect in known.items() if effect is not None}, days


def first_alarm(of: Life, policy: ConceptPolicy = POLICY, every: int = 1) -> int | None:
    """After how many days it is accused, looked at every so many days."""
    evaluation, effects, days = of
    for number in range(every, len(days) + 1, every):
        seen = dict(list(days.items())[:number])
        if concept_drift("1.0.0", evaluation, seen, policy, effects).verdict is ConceptVerdict.DRIFTED:
            return number
    return None


@pytest.mark.slow
@pytest.mark.parametrize(("correlation", "evaluated_days"), [(0.0, 2), (0.03, 3), (0.03, 14), (0.1, 14)])
def test_whose_days_differ_is_seldom_accused_of_it(correlation: float, evaluated_days: int) -> None:
    """Half a year, as bad as the margin allows, of which all that is known comes from a few days of evaluation."""
    rng = np.random.default_rng(2)
    runs, rates = 40, np.full(180, ERRORS + MARGIN)
    lives = [life(rng, rates, evaluated_days=evaluated_days, correlation=correlation) for _ in range(runs)]
    assert sum(first_alarm(each, every=15) is not None for each in lives) <= most_by_chance(runs)


@pytest.mark.slow
def test_without_the_design_effect_many_would_be_accused() -> None:
    """The same: answers of a day taken as independent (`rows_per_observation` 1), and not."""
    rng = np.random.default_rng(3)
    runs, rates = 40, np.full(180, ERRORS + MARGIN)
    lives = [life(rng, rates, correlation=0.03, rows=5000) for _ in range(runs)]
    assert sum(first_alarm(each, every=15) is not None for each in lives) <= most_by_chance(runs)
    assert (
        sum(first_alarm(each, ConceptPolicy(rows_per_observation=1), every=6) is not None for each in lives) > runs / 4
    )


def test_one_storm_however_bad_is_no_loss() -> None:
    """One day of a hundred with 60 % wrong: none was among the days of the evaluation."""
    rng = np.random.default_rng(5)
    rates = np.full(100, ERRORS)
    rates[[10, 55]] = 0.6
    for _ in range(5):
        assert first_alarm(life(rng, rates)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("good_days", "more", "correlation", "within"),
    [(0, 0.10, 0.0, 4), (60, 0.10, 0.0, 8), (0, 0.05, 0.0, 40), (0, 0.10, 0.01, 18), (60, 0.10, 0.01, 40)],
)
def test_a_loss_is_found_after_good_months_too(good_days: int, more: float, correlation: float, within: int) -> None:
    """Power: days of 400 answers until half of the champions are accused, evaluated on two weeks at 10 % wrong."""
    rng = np.random.default_rng(4)
    rates = np.concatenate([np.full(good_days, ERRORS), np.full(60, ERRORS + more)])
    found = []
    for _ in range(15):
        evaluation, effects, days = of = life(rng, rates, correlation=correlation)
        alarm = first_alarm(of)
        found.append(1000 if alarm is None else alarm - good_days)
        if alarm is not None:
            report = concept_drift("1.0.0", evaluation, dict(list(days.items())[:alarm]), POLICY, effects)
            assert report.drifted[0].since is not None
            assert str(report.drifted[0].since) in report.reason
    assert 1 <= np.median(found) <= within, found


def test_a_loss_in_one_slice_names_it() -> None:
    evaluation = [evaluated("overall", 200, 2000), evaluated("carrier=AA", 50, 500), evaluated("carrier=UA", 150, 1500)]
    days = {
        FIRST + timedelta(days=number): DayOfAnswers(
            "1.0.0", Answers(500, 55), {"carrier=AA": Answers(50, 20), "carrier=UA": Answers(450, 35)}, {}
        )
        for number in range(8)
    }
    effects = {
        "wrong": DesignEffect(2.0, rows_per_day=500.0),
        "wrong carrier=AA": DesignEffect(1.5, rows_per_day=100.0),
    }
    report = concept_drift("1.0.0", evaluation, days, POLICY, effects)
    assert [each.name for each in report.slices] == ["overall", "carrier=AA"], "of the other, days are not known"
    assert [each.name for each in report.drifted] == ["carrier=AA"]
    found = report.drifted[0]
    assert (found.rows, found.wrong, found.evaluated_rows, found.evaluated_wrong) == (400, 160, 500, 50)
    # half of alpha for two slices, half of that for the limit
    assert found.needed == pytest.approx(2 / (ALPHA / 2 / 2))
    assert found.limit == pytest.approx(rate_upper_bound(50, 500, alpha=ALPHA / 8, shared=1.5) + MARGIN)
    blocks = [(20, 50)] * 8
    assert found.e_value == rate_change_e_value(blocks, limit=found.limit, shared=DesignEffect(1.25)).e_value
    assert "0.400 of 400 wrong, carrier=AA, since about 2013-03-01" in report.reason


def test_without_labels_or_an_evaluation_it_cannot_tell() -> None:
    one_day = {FIRST: DayOfAnswers("1.0.0", Answers(500, 400), {}, {})}
    card, known = [evaluated("overall", 100, 1000)], {"wrong": DesignEffect(2.0)}
    nothing = concept_drift("1.0.0", [], one_day, POLICY, known), concept_drift("1.0.0", card, {}, POLICY, known)
    for report in (*nothing, concept_drift("1.0.0", card, one_day, POLICY, {})):
        assert report.verdict is ConceptVerdict.INCONCLUSIVE
        assert "no answer has a label yet, or it is unknown what the answers of a day are worth" in report.reason
    assert concept_drift("1.0.0", card, one_day, POLICY, known).verdict is ConceptVerdict.NOT_PROVEN
    assert (
        concept_drift("1.0.0", card, one_day, ConceptPolicy(rows_per_observation=10), {}).slices[0].rows_per_observation
        == 10
    )


def test_answers_of_others_roles_and_versions_are_not_counted() -> None:
    rows = pa.table(
        {
            "version": ["1.0.0", "1.0.0", "1.0.0", "1.1.0", "1.0.0"],
            "role": ["champion", "canary", "champion", "champion", "champion"],
            "label": ["late", "late", None, "late", "ok"],
            "prediction": ["ok", "ok", "ok", "ok", "ok"],
            "feature_carrier": ["AA", "AA", "AA", "AA", None],
        }
    )
    counts = counted(rows, parts_of(["carrier=AA"], None))
    day = day_of_answers(counts, "1.0.0", slices=["carrier=AA"], baseline=None)
    assert (day.overall, day.slices, day.groups) == ((2, 1), {"carrier=AA": (1, 1)}, {})
    found = DayOfPerformance(PerformanceReport(0, ()), labels=2, answers=day)
    assert PERFORMANCE.from_json(PERFORMANCE.to_json(found)) == found  # days come back from their report as they went
