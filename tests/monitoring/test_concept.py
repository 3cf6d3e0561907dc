"""Concept drift: how often a champion is accused that answers as it did, how soon one that does not, and which of two
drifted features is to blame. By simulation, from rows."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.stats import binom

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import (
    ConceptPolicy,
    ConceptVerdict,
    DayOfAnswers,
    DriftPolicy,
    concept_drift,
    day_of_answers,
    drift,
    harm_of,
)
from mlops_dagster.monitoring.answers import Answers
from mlops_dagster.monitoring.concept import Harm
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.cards import EvaluationSlice
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins, rate_change_e_value, rate_upper_bound
from mlops_dagster.statistics.rate import ODDS_RATIOS

ALPHA, MARGIN, ERRORS = 0.05, 0.02, 0.10
FIRST = date(2013, 3, 1)
SLICES = ("carrier=AA", "carrier=UA", "carrier=WN", "carrier=HA")


def most_by_chance(runs: int) -> float:
    """How many false alarms there may be: at a probability of exactly alpha, more come once in 200 simulations."""
    return float(binom.ppf(0.995, runs, ALPHA))


def evaluated(name: str, wrong: int, rows: int) -> EvaluationSlice:
    return EvaluationSlice(name=name, rows=rows, metrics={"accuracy": 1 - wrong / rows})


def test_looked_at_after_every_label_it_accuses_seldom() -> None:
    """As bad as the margin allows, for forty days: the e-value of each single label, the day it began on unknown."""
    rng = np.random.default_rng(1)
    runs, labels_a_day, days, limit = 300, 40, 40, 0.12
    bets = ODDS_RATIOS[:, None]
    alarms, last = 0, None
    for run in range(runs):
        bad = rng.random(days * labels_a_day) < limit
        steps = np.where(bad, np.log(bets), 0) - np.log1p(limit * (bets - 1))
        so_far = np.concatenate([np.zeros((len(bets), 1)), np.cumsum(steps, axis=1)], axis=1)
        e_values = np.full(days * labels_a_day, 0.0)
        for s in range(1, days + 1):
            begin = (s - 1) * labels_a_day
            e = np.exp(so_far[:, begin + 1 :] - so_far[:, [begin]]).mean(axis=0)
            e_values[begin:] += e / (s * (s + 1))
            e_values[:begin] += 1 / (s * (s + 1))
        e_values += 1 / (days + 1)
        alarms += e_values.max() >= 1 / ALPHA
        if run == 0:
            blocks = bad.reshape(days, labels_a_day).sum(axis=1)
            last = rate_change_e_value([(int(n), labels_a_day) for n in blocks], limit=limit).e_value
            assert last == pytest.approx(e_values[-1])
            part = [(int(n), labels_a_day) for n in blocks[:7]] + [(int(bad[280:293].sum()), 13)]
            assert rate_change_e_value(part, limit=limit).e_value == pytest.approx(e_values[292])
    assert last is not None
    assert alarms <= most_by_chance(runs)


def life(
    rng: np.random.Generator, errors: npt.NDArray[np.float64], *, evaluated_on: int = 2_000, cause: int = 1
) -> tuple[list[EvaluationSlice], dict[date, DayOfAnswers]]:
    """A champion evaluated on rows of its four slices, and then a day of 400 answers for each rate of `errors`.

    Rows come in causes of `cause` rows that are all right or all wrong.
    """
    share = np.array([0.5, 0.3, 0.15, 0.05])

    def count(rows: int, rate: float) -> list[tuple[int, int]]:
        causes = np.maximum((rows * share).astype(int) // cause, 1)
        return [(int(n) * cause, int(rng.binomial(n, rate)) * cause) for n in causes]

    def total(parts: list[tuple[int, int]]) -> Answers:
        return Answers(sum(rows for rows, _ in parts), sum(wrong for _, wrong in parts))

    then = count(evaluated_on, ERRORS)
    evaluation = [evaluated(name, wrong, rows) for name, (rows, wrong) in zip(SLICES, then, strict=True)]
    overall = total(then)
    days = {}
    for number, rate in enumerate(errors):
        now = count(400, rate)
        slices = {name: Answers(*part) for name, part in zip(SLICES, now, strict=True)}
        days[FIRST + timedelta(days=number)] = DayOfAnswers("1.0.0", total(now), slices, {})
    return [evaluated("overall", overall.wrong, overall.rows), *evaluation], days


def first_alarm(evaluation: list[EvaluationSlice], days: dict[date, DayOfAnswers], policy: ConceptPolicy) -> int | None:
    """After how many days it is accused, looked at every day."""
    for number in range(1, len(days) + 1):
        seen = dict(list(days.items())[:number])
        if concept_drift("1.0.0", evaluation, seen, policy).verdict is ConceptVerdict.DRIFTED:
            return number
    return None


def test_looked_at_every_day_in_all_slices_against_an_evaluation_that_errs() -> None:
    """Few rows were held out, so the limit may be far from the truth; the champion is worse by all that is allowed."""
    rng = np.random.default_rng(2)
    runs, policy = 120, ConceptPolicy(alpha=ALPHA, margin=MARGIN)
    rates = np.full(30, ERRORS + MARGIN)
    alarms = sum(first_alarm(*life(rng, rates, evaluated_on=300), policy) is not None for _ in range(runs))
    assert alarms <= most_by_chance(runs)


def test_rows_that_share_a_cause_are_counted_as_one() -> None:
    rng = np.random.default_rng(3)
    runs, rates = 60, np.full(30, ERRORS + MARGIN)
    lives = [life(rng, rates, cause=20) for _ in range(runs)]
    honest, naive = ConceptPolicy(shared_by=20), ConceptPolicy()
    assert sum(first_alarm(*each, honest) is not None for each in lives) <= most_by_chance(runs)
    assert sum(first_alarm(*each, naive) is not None for each in lives) > runs / 3, "storms are a reason to count so"


@pytest.mark.parametrize(("good_days", "more", "within"), [(0, 0.05, 10), (60, 0.05, 18), (60, 0.10, 4), (0, 0.10, 2)])
def test_a_loss_is_found_after_good_months_too(good_days: int, more: float, within: int) -> None:
    """Power: days of 400 answers until half of the champions are accused, evaluated on 10,000 rows at 10 % wrong."""
    rng = np.random.default_rng(4)
    rates = np.concatenate([np.full(good_days, ERRORS), np.full(40, ERRORS + more)])
    found = []
    for _ in range(15):
        evaluation, days = life(rng, rates, evaluated_on=10_000)
        alarm = first_alarm(evaluation, days, ConceptPolicy())
        found.append(1000 if alarm is None else alarm - good_days)
        if alarm is not None:
            report = concept_drift("1.0.0", evaluation, dict(list(days.items())[:alarm]), ConceptPolicy())
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
    report = concept_drift("1.0.0", evaluation, days, ConceptPolicy())
    assert [each.name for each in report.drifted] == ["carrier=AA"]
    found = report.drifted[0]
    assert (found.rows, found.wrong, found.evaluated_rows, found.evaluated_wrong) == (400, 160, 500, 50)
    # half of alpha for two slices, half of that for the limit
    assert found.needed == pytest.approx(2 / (ALPHA / 2 / 2))
    assert found.limit == pytest.approx(rate_upper_bound(50, 500, alpha=ALPHA / 8) + MARGIN)
    assert "0.400 of 400 wrong, carrier=AA, since about 2013-03-01" in report.reason


def test_without_labels_or_an_evaluation_it_cannot_tell() -> None:
    one_day = {FIRST: DayOfAnswers("1.0.0", Answers(500, 400), {}, {})}
    for evaluation, days in (([], one_day), ([evaluated("overall", 1, 10)], {})):
        report = concept_drift("1.0.0", evaluation, days, ConceptPolicy())
        assert report.verdict is ConceptVerdict.CANNOT_TELL
        assert "no answer has a label" in report.reason
    assert rate_upper_bound(3, 3, alpha=0.1) == 1.0
    with pytest.raises(InvalidInputError):
        rate_change_e_value([(3, 2)], limit=0.1)


def served(rng: np.random.Generator, rows: int, *, moved: float, harm: float) -> pa.Table:
    """Two features that both move by as much. In the upper half of `harmful` the model errs more by `harm`."""
    harmful, harmless = (rng.normal(moved, 1, rows) for _ in range(2))
    wrong = rng.random(rows) < ERRORS + harm * (harmful > 0)
    return pa.table(
        {
            "version": ["1.0.0"] * rows,
            "role": ["champion"] * rows,
            "label": np.where(wrong, "late", "ok"),
            "prediction": ["ok"] * rows,
            "feature_harmful": harmful,
            "feature_harmless": harmless,
            "feature_carrier": rng.choice(["AA", "UA"], rows),
        }
    )


def test_a_drifted_feature_that_does_harm_is_told_from_one_that_does_none() -> None:
    rng = np.random.default_rng(5)
    names = ("harmful", "harmless")
    baseline = Baseline(
        {name: Histogram.of(NumericBins(tuple(np.linspace(-3, 3, 61))), rng.normal(0, 1, 5000)) for name in names},
        Histogram.of(NumericBins((0.5,)), [0.1]),
        Histogram.of(CategoricalBins(("ok", "late")), ["ok"]),
    )
    found = []
    for _ in range(20):
        rows = served(rng, 3000, moved=0.8, harm=0.15)
        day = day_of_answers(rows, "1.0.0", slices=["carrier=AA", "other=1"], baseline=baseline)
        counts = {name: baseline.features[name].bins.count(rows[f"feature_{name}"].to_numpy()) for name in names}
        report = drift(baseline, counts, DriftPolicy())
        assert report.drifted == names
        found.append(harm_of(report.features, baseline, [day], ConceptPolicy()))
    assert [sum(each.verdict is Harm.CAME_WITH_LOSS for each in pair) for pair in zip(*found, strict=True)] == [20, 0]
    assert sum(harmless.verdict is Harm.NO_LOSS for _, harmless in found) >= 18
    many = day_of_answers(served(rng, 300_000, moved=0.8, harm=0.15), "1.0.0", slices=[], baseline=baseline)
    (truth, nothing) = harm_of(report.features, baseline, [many], ConceptPolicy())
    assert truth.loss == pytest.approx(0.15 * 0.3, abs=0.02)
    assert nothing.loss == pytest.approx(0, abs=0.002)
    for number, costs in enumerate((truth.loss, 0.0)):
        assert sum((pair[number].low or 0) <= costs <= (pair[number].high or 0) for pair in found) >= 17

    # too few rows on one side to tell
    few = day_of_answers(served(rng, 60, moved=3, harm=0.5), "1.0.0", slices=[], baseline=baseline)
    assert {each.verdict for each in harm_of(report.features, baseline, [few], ConceptPolicy())} == {Harm.CANNOT_TELL}
    # days come back from metadata as they went
    assert DayOfAnswers.from_metadata(day.metadata()) == day
    assert set(day.slices) == {"carrier=AA"}
    with pytest.raises(InvalidInputError):
        DayOfAnswers.from_metadata({"version": "1.0.0", "overall": [1, 2], "slices": {}, "groups": {}})


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
    day = day_of_answers(rows, "1.0.0", slices=["carrier=AA"], baseline=None)
    assert (day.overall, day.slices, day.groups) == ((2, 1), {"carrier=AA": (1, 1)}, {})
