"""Which drifted feature is to blame for wrong answers and which is not: plain cases, and days of their own."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import (
    ConceptPolicy,
    DayOfAnswers,
    DriftPolicy,
    FeatureHarm,
    Harm,
    concept_drift,
    day_of_answers,
    drift,
    harm_of,
    make_baseline,
    with_evaluation,
)
from mlops_dagster.monitoring.concept.outcomes import parts_of
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.entities.baseline import StoredBaseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import beside_design_effect, rate_design_effect
from mlops_dagster.tasks import Classification
from tests.support.predictions.answers import each_once

Floats = npt.NDArray[np.float64]
Rates = Callable[[Floats], Floats]
Columns = Mapping[str, Floats] | Mapping[str, npt.NDArray[np.object_]]

MARCH = pd.Timestamp("2013-03-01", tz="UTC")
CAME, NONE, UNKNOWN = Harm.CAME_WITH_LOSS, Harm.NO_LOSS, Harm.INCONCLUSIVE


def trained(columns: Columns, wrong: npt.NDArray[np.bool_], days: int = 14) -> Baseline:
    """A baseline whose training rows, of so many days in turn, are the evaluation too."""
    frame = pd.DataFrame(columns)
    frame["event_time"] = MARCH + pd.to_timedelta(days * np.arange(len(frame)) / len(frame), unit="D")
    features = tuple(
        Feature(name=name, kind="categorical" if frame[name].dtype == object else "numeric") for name in columns
    )
    schema = ModelSchema(features=features, task=Classification(classes=("late", "ok")))
    labels = ["ok"] * len(frame)
    baseline = make_baseline(frame, schema, scores=[0.5], labels=labels, times=frame["event_time"])
    return with_evaluation(baseline, frame, wrong, {})


def a_day(columns: Columns, wrong: npt.NDArray[np.bool_], baseline: Baseline) -> DayOfAnswers:
    rows = {
        "version": ["1.0.0"] * len(wrong),
        "role": ["champion"] * len(wrong),
        "label": np.where(wrong, "late", "ok"),
        "prediction": ["ok"] * len(wrong),
        **{f"feature_{name}": values for name, values in columns.items()},
    }
    counts = each_once(pa.table(rows), parts_of([], baseline))
    return day_of_answers(counts, "1.0.0", slices=[], baseline=baseline)


def found(
    baseline: Baseline, columns: Columns, wrong: npt.NDArray[np.bool_], policy: ConceptPolicy | None = None
) -> tuple[FeatureHarm, ...]:
    """What is said after a week with those rows in turn."""
    counts = {name: histogram.bins.count(columns[name]) for name, histogram in baseline.features.items()}
    cut = np.array_split(np.arange(len(wrong)), 7)
    window = [a_day({name: values[its] for name, values in columns.items()}, wrong[its], baseline) for its in cut]
    drifted = drift(baseline, counts, DriftPolicy()).features
    return harm_of(drifted, baseline, window, policy or ConceptPolicy())


def everywhere(rate: float) -> Rates:
    return lambda x: np.full(len(x), rate)


def upper(inside: float, outside: float) -> Rates:
    """One rate over 0.5, where the moved feature has gained, and another below."""
    return lambda x: np.where(x > 0.5, inside, outside)


@pytest.mark.parametrize(
    ("evaluated", "now", "mix", "verdict"),
    [
        pytest.param(everywhere(0.10), everywhere(0.10), 0.0, NONE, id="nothing"),
        pytest.param(everywhere(0.10), everywhere(0.25), 0.0, NONE, id="worse everywhere: another reason"),
        pytest.param(upper(0.20, 0.05), upper(0.20, 0.05), 0.046, CAME, id="more of what was always hard"),
        pytest.param(upper(0.02, 0.20), upper(0.02, 0.20), -0.055, NONE, id="more of what was always easy"),
        pytest.param(upper(0.02, 0.10), everywhere(0.10), -0.012, CAME, id="what was easy is hard now"),
        pytest.param(upper(0.12, 0.10), upper(0.12, 0.03), 0.017, NONE, id="harder there, and no loss at all"),
    ],
)
def test_plain_cases(evaluated: Rates, now: Rates, mix: float, verdict: Harm) -> None:
    """A feature that moves by 0.8 standard deviations: 31 % of the rows move over 0.5."""
    rng, rows = np.random.default_rng(3), 20_000
    then, later = rng.normal(0, 1, rows), rng.normal(0.8, 1, rows)
    baseline = trained({"x": then}, rng.random(rows) < evaluated(then))
    (harm,) = found(baseline, {"x": later}, rng.random(rows) < now(later))
    assert harm.verdict is verdict
    assert harm.moved == pytest.approx(0.31, abs=0.02)
    assert harm.mix is not None
    assert harm.rate is not None
    assert harm.mix.value == pytest.approx(mix, abs=0.007)
    of_all = harm.inside.rows + harm.outside.rows, harm.inside.wrong + harm.outside.wrong
    then_all = baseline.evaluated["x"]
    change = of_all[1] / of_all[0] - sum(then_all.wrong) / sum(then_all.rows)
    assert harm.mix.value + harm.rate.value == pytest.approx(change)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        pytest.param([0.0, 1.0, 2.0, 3.0], [100.0, 101.0], id="another unit"),
        pytest.param([0.0, 1.0, 2.0, 3.0], [np.nan], id="all missing"),
        pytest.param(["jfk", "ewr"], ["JFK"], id="renamed"),
        pytest.param([0.0, 1.0, 2.0, 3.0], [3.0], id="one group is left"),
    ],
)
def test_all_rows_come_from_where_none_or_few_came(then: list[object], now: list[object]) -> None:
    rng, rows = np.random.default_rng(3), 4_000
    kind = object if isinstance(then[0], str) else np.float64
    before, after = np.array(then, dtype=kind)[rng.integers(len(then), size=rows)], np.resize(np.array(now, kind), rows)
    baseline = trained({"x": before}, rng.random(rows) < 0.1)
    (harm,) = found(baseline, {"x": after}, rng.random(rows) < 0.5)
    assert (harm.verdict, harm.outside.rows) == (CAME, 0)
    assert harm.loss == pytest.approx(0.4, abs=0.03)
    (harmless,) = found(baseline, {"x": after}, rng.random(rows) < 0.1)
    assert harmless.verdict is NONE


def world(
    rng: np.random.Generator,
    days: int,
    rows: int,
    *,
    moved: float = 0.0,
    own: float = 0.0,
    correlation: float = 0.0,
    harm: float = 0.0,
) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
    """Days of so many rows, each with its own rate of errors and its own mean of two features; one does harm."""
    spread = 1 / correlation - 1 if correlation else np.inf
    rates = rng.beta(0.1 * spread, 0.9 * spread, days) if correlation else np.full(days, 0.1)
    columns = {
        name: np.repeat(rng.normal(moved, own, days), rows) + rng.normal(0, np.sqrt(1 - own**2), days * rows)
        for name in ("harmful", "harmless")
    }
    wrong = rng.random(days * rows) < np.repeat(rates, rows) + harm * (columns["harmful"] > 0.5)
    return columns, wrong


def verdicts(
    runs: int, rows: int, *, own: float = 0.0, correlation: float = 0.0, harm: float = 0.0
) -> dict[str, Counter[Harm]]:
    rng = np.random.default_rng(5)
    said: dict[str, Counter[Harm]] = {"harmful": Counter(), "harmless": Counter()}
    for _ in range(runs):
        baseline = trained(*world(rng, 14, rows, own=own, correlation=correlation, harm=harm))
        for each in found(baseline, *world(rng, 7, rows, moved=0.8, own=own, correlation=correlation, harm=harm)):
            said[each.name][each.verdict] += 1
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "correlation", "told"), [(3000, 0.0, 10), (900, 0.01, 5)])
def test_of_two_that_drift_the_one_that_does_harm_is_named(rows: int, correlation: float, told: int) -> None:
    """Also where days have their own rate of errors: they have it in all groups, which tells none from another."""
    said = verdicts(12, rows, harm=0.15, correlation=correlation)
    assert said["harmful"][CAME] >= told + 2
    assert said["harmless"][NONE] >= told
    assert said["harmless"][CAME] == 0


@pytest.mark.slow
def test_days_with_a_rate_of_their_own_accuse_no_feature() -> None:
    """Errors have nothing to do with either feature, but each day has its own of everything."""
    said = verdicts(15, 900, own=0.3, correlation=0.01)
    assert sum(sum(each.values()) for each in said.values()) > 20
    assert sum(each[CAME] for each in said.values()) <= 1


def test_it_cannot_tell_without_evaluation_or_rows() -> None:
    rng = np.random.default_rng(1)
    then, later = rng.normal(0, 1, 3000), rng.normal(2, 1, 3000)
    baseline = trained({"x": then}, then > 1)
    harm = later > 1
    assert [each.verdict for each in found(baseline, {"x": later}, harm)] == [CAME]
    old = Baseline(baseline.features, baseline.score, baseline.label)
    one_day = trained({"x": then}, then > 1, days=1)
    few = ConceptPolicy(rows_per_observation=40)  # 75 independent rows
    for (told,) in (
        found(old, {"x": later}, harm),
        found(old, {"x": later}, harm, ConceptPolicy(rows_per_observation=1)),
        found(one_day, {"x": later}, harm),
        found(baseline, {"x": later}, harm, few),
    ):
        assert (told.verdict, told.loss, told.mix) == (UNKNOWN, None, None)
    # which the report says, and JSON holds
    card, effects = [], baseline.design_effects
    report = concept_drift("1.0.0", card, {}, few, effects, (told, *found(baseline, {"x": later}, harm)))
    unknown, came = report.feature_table()
    assert [unknown[name] for name in ("verdict", "mix", "rate", "costs")] == ["inconclusive", "-", "-", "-"]
    assert came["verdict"] == "came with loss"
    features = orjson.loads(orjson.dumps(report.metadata()))["concept_features"]
    assert [each["verdict"] for each in features] == ["inconclusive", "came_with_loss"]
    assert [each["mix"] is None for each in features] == [True, False]


def test_what_the_evaluation_adds_to_a_baseline() -> None:
    frame = pd.DataFrame(
        {
            "x": [1.0, 1.0, 5.0, np.nan, 5.0, 5.0],
            "event_time": [MARCH + timedelta(hours=hours) for hours in (22, 0, 1, 33, 33, 33)],
        }
    )
    schema = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("late", "ok")))
    plain = make_baseline(frame, schema, scores=[0.5], labels=["ok"] * 6)
    wrong = np.array([True, False, True, True, False, False])
    full = with_evaluation(plain, frame, wrong, {"x=5": np.array([2, 4, 5]), "day=1": np.array([0, 1])})
    assert dict(full.design_effects) == {
        "wrong": rate_design_effect([(2, 3), (1, 3)]),
        "wrong x=5": rate_design_effect([(1, 1), (0, 2)]),
        "wrong beside x": beside_design_effect([[0, 1, 1], [1, 0, 0]], [[0, 2, 1], [1, 0, 2]]),
    }, "one day tells nothing of days"
    cells = plain.features["x"].bins.index(np.array([np.nan, 1.0, 5.0]))
    rows, bad = (np.array(part)[cells].tolist() for part in full.evaluated["x"])
    assert (rows, bad) == ([1, 2, 3], [1, 1, 1])

    text = orjson.dumps(full.to_json()).decode()
    assert Baseline.from_json(orjson.loads(text)) == full == StoredBaseline(text, "flights 1.0.0")
    assert full != plain == Baseline.from_json(plain.to_json()), "stored before there was this"
    for no_counts in ([1], {"x": [[1], [2]]}, {"x": [[1, 2, 3]]}, {"y": [[1], [1]]}, {"x": [[2.5, 1, 1, 1]] * 2}):
        with pytest.raises(InvalidInputError, match="evaluation"):
            Baseline.from_json({**plain.to_json(), "evaluated": no_counts})
