"""The gate: what a suite lets through, what it names, and that it is closed when it breaks."""

import json
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_dagster.inference.usual_values import usual_range
from mlops_dagster.monitoring import (
    ValidationPolicy,
    make_baseline,
    quarantine,
    suite_for,
    validate,
    validate_each,
)
from mlops_dagster.monitoring.validation import validate as validation
from mlops_dagster.registry import GuardPolicy
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import DesignEffect, Histogram, NumericBins, most_by_chance
from mlops_dagster.storage.files import open_files
from mlops_dagster.tasks import Classification

pytestmark = pytest.mark.slow

SCHEMA = ModelSchema(
    features=(
        Feature(name="delay", kind="numeric", nullable=False),
        Feature(name="temp", kind="numeric"),
        Feature(name="origin", kind="categorical", nullable=False),
    ),
    task=Classification(classes=("on_time", "late")),
)


def flights(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "delay": rng.normal(10, 20, size=rows),
            "temp": rng.normal(40, 10, size=rows),
            "origin": rng.choice(["EWR", "JFK", "LGA"], size=rows),
        }
    )


@pytest.fixture(scope="module")
def reference() -> Baseline:
    rows = flights(5000, seed=0)
    return make_baseline(rows, SCHEMA, scores=np.full(5000, 0.5), labels=["late"] * 5000)


def test_a_clean_batch_passes(reference: Baseline) -> None:
    found = validate(flights(37, seed=1), suite_for(SCHEMA, reference))
    assert (found.rows, found.passed, found.verdict, found.failures) == (37, True, "passed", ())


def test_threads_validate_each_their_own_rows(reference: Baseline) -> None:
    """In one process a training set may be validated beside the hours that were served."""
    suite = suite_for(SCHEMA, reference)
    good, bad = flights(37, seed=1), flights(37, seed=2).drop(columns="temp")
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda frame: validate(frame, suite), [good, bad] * 8))
    assert [each.failures for each in found] == [(), ("temp: there is no such column",)] * 8


def test_no_rows_is_no_pass(reference: Baseline) -> None:
    suite = suite_for(SCHEMA, reference)
    empty = flights(0, seed=1)
    assert (validate(empty, suite).passed, validate(empty, suite).verdict) == (False, "inconclusive")
    assert validate_each({"empty": empty, "full": flights(37, seed=1)}, suite)["empty"].verdict == "inconclusive"


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "column gone": (lambda batch: batch.drop(columns="temp"), "temp: there is no such column"),
    "numbers as text": (lambda batch: batch.assign(delay="12"), "delay: .*float64"),
    "whole numbers beyond floats": (lambda batch: batch.assign(delay=2**60), "delay: is of type int64, not float64"),
    "text as numbers": (lambda batch: batch.assign(origin=7.5), "origin: .*str"),
    "a hole": (lambda batch: batch.assign(delay=batch["delay"].shift()), "delay: 1 of 37 .*missing"),
    "feed down": (lambda batch: batch.assign(temp=np.nan), "37 of 37 .* 9 .`.*max_missing: 0.05}`, 1 would allow it"),
    "other units": (lambda batch: batch.assign(temp=batch["temp"] + 273.15), "temp: 37 .*outside .* to [-0-9.]+;"),
    "infinite": (lambda batch: batch.assign(temp=np.inf), "temp: 37 of 37 values are outside"),
    "unknown category": (lambda batch: batch.assign(origin="XXX"), "origin: 37 of 37 .*known ones;"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_batch_fails_and_says_why(kind: str, reference: Baseline) -> None:
    spoil, reason = BAD[kind]
    found = validate(spoil(flights(37, seed=2)), suite_for(SCHEMA, reference))
    assert (found.verdict, found.passed, found.rows) == ("failed", False, 37)
    assert any(re.search(reason, failure) for failure in found.failures), found.failures


def test_a_training_set_needs_no_baseline_but_labels() -> None:
    suite = suite_for(SCHEMA)
    rows = flights(200, seed=3).assign(label="late")
    assert validate(rows, suite, "training_set").passed
    assert not validate(rows.drop(columns="label"), suite, "training_set").passed
    assert not validate(rows.assign(label=[None, *["late"] * 199]), suite, "training_set").passed
    assert not validate(rows.assign(label="very_late"), suite, "training_set").passed
    assert not validate(rows.assign(temp=np.inf), suite, "training_set").passed
    assert validate(rows.drop(columns="label"), suite).passed  # a batch has none


def test_the_policy_sets_the_limits(reference: Baseline) -> None:
    batch = flights(1000, seed=4)
    batch.loc[:49, "temp"] = np.nan  # 5 %
    assert validate(batch, suite_for(SCHEMA, reference)).passed
    assert not validate(batch, suite_for(SCHEMA, reference, policy=ValidationPolicy(max_missing=0.02))).passed


def test_an_outlier_in_three_rows_is_chance_and_a_wrong_type_in_one_is_not(reference: Baseline) -> None:
    suite = suite_for(SCHEMA, reference)
    three = flights(3, seed=1)
    three.loc[0, "temp"] = 900.0
    found = validate(three, suite)
    assert (found.passed, found.failures) == (True, ())
    (doubt,) = found.doubts
    assert doubt.startswith("temp: 1 of 3 values are outside")
    assert doubt.endswith("; at most 10.0% may be, by chance 3")
    assert validate_each({0: three, 1: flights(3, seed=2)}, suite)[0] == found
    assert validate(flights(37, seed=1), suite).doubts == ()
    one = flights(1, seed=1)
    assert validate(one.assign(temp=np.nan, origin="XXX"), suite).passed
    for kind in ("column gone", "numbers as text", "whole numbers beyond floats", "text as numbers"):
        assert not validate(BAD[kind][0](one), suite).passed, kind
    assert not validate(one.assign(delay=np.nan), suite).passed, "what may never be missing"
    assert not validate(flights(8, seed=1).assign(temp=np.nan), suite).passed, "eight times in a row"


@pytest.mark.parametrize("missing", [0, 400, 963])
def test_great_expectations_draws_the_line_where_chance_ends_among_the_values_that_are_there(
    missing: int, reference: Baseline
) -> None:
    """Whatever the share of missing values may be."""
    suite = suite_for(SCHEMA, reference, policy=ValidationPolicy(max_missing=1.0))
    batch = flights(1000, seed=5)
    batch.loc[batch.index[:missing], "temp"] = np.nan
    most = most_by_chance(1000 - missing, 0.10, alpha=ValidationPolicy().alpha)
    batch.loc[batch.index[-most:], "temp"] = 900.0
    assert validate(batch, suite).passed
    batch.loc[batch.index[-most - 1], "temp"] = 900.0
    (failure,) = validate(batch, suite).failures
    told = f"temp: {most + 1} of {1000 - missing} values are outside"
    assert failure.startswith(told)
    rule, would = "`validation: {max_outside: 0.1}`", -(-100 * (most + 1) // (1000 - missing)) / 100
    assert failure.endswith(f"at most 10.0% may be, by chance {most} ({rule}, {would:g} would allow it)")
    assert validate_each({0: flights(1000, seed=6), 1: batch}, suite)[1].failures == (failure,)


def test_rows_under_one_sky_are_worth_fewer(reference: Baseline) -> None:
    """One of three weather stations is silent for an hour: one observation, in a third of the rows."""
    batch = flights(37, seed=7)
    batch.loc[batch["origin"] == "JFK", "temp"] = np.nan
    assert 9 < batch["temp"].isna().sum() < 18
    assert not validate(batch, suite_for(SCHEMA, reference)).passed
    under_one_sky = suite_for(SCHEMA, reference, rows_per_observation={"temp": 290.0})
    assert validate(batch, under_one_sky).passed
    assert validate_each({0: batch, 1: flights(37, seed=8)}, under_one_sky)[0].passed
    assert validate(batch, suite_for(SCHEMA, replace(reference, design_effects={"temp": DesignEffect(290.0)}))).passed
    assert not validate(batch.assign(temp=np.nan), under_one_sky).passed, "all three"
    batch.loc[3, "delay"] = np.nan
    assert not validate(batch, under_one_sky).passed, "what may never be missing"


def test_a_gate_that_breaks_is_closed(reference: Baseline, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no engine for Ada")

    monkeypatch.setattr(validation, "run", broken)
    suite, batches = suite_for(SCHEMA, reference), {hour: flights(37, seed=hour) for hour in range(3)}
    for found in [validate(batches[0], suite), *validate_each(batches, suite).values()]:
        assert found.errors == ("the batch could not be validated: RuntimeError",)
        assert (found.verdict, found.passed, found.failures) == ("error", False, ())


def test_together_says_what_each_by_itself_says(reference: Baseline) -> None:
    suite = suite_for(SCHEMA, reference)
    batches: dict[object, pd.DataFrame] = {hour: flights(10 * hour, seed=hour) for hour in range(4)}
    other_shapes = ["column gone", "numbers as text", "whole numbers beyond floats", "text as numbers"]
    of_one_shape = [kind for kind in BAD if kind not in other_shapes]
    batches |= {kind: BAD[kind][0](flights(37, seed=9)) for kind in of_one_shape}
    for most in (9, 10):  # by chance, and one more
        batches[f"{most} missing"] = flights(37, seed=most)
        batches[f"{most} missing"].loc[: most - 1, "temp"] = np.nan
    expected = {key: validate(batch, suite) for key, batch in batches.items()}
    assert [key for key, found in expected.items() if found.passed] == [1, 2, 3, "9 missing"]
    assert validate_each(batches, suite) == expected
    for kind in other_shapes:
        odd = {0: flights(37, seed=1), 1: BAD[kind][0](flights(37, seed=9))}
        assert validate_each(odd, suite) == {key: validate(batch, suite) for key, batch in odd.items()}
    all_bad = {hour: BAD["column gone"][0](flights(37, seed=hour)) for hour in range(2)}
    assert all(found.failures == ("temp: there is no such column",) for found in validate_each(all_bad, suite).values())


def test_clean_hours_cost_one_evaluation_and_print_nothing(
    reference: Baseline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    evaluate, sizes = validation.run, []

    def counted(frame: pd.DataFrame, *rest: object) -> object:
        sizes.append(len(frame))
        return evaluate(frame, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(validation, "run", counted)
    batches = {hour: flights(37, seed=hour) for hour in range(48)}
    batches[7].loc[0, "temp"] = np.nan
    batches[8].loc[:9, "temp"] = np.nan
    found = validate_each(batches, suite_for(SCHEMA, reference))
    assert [hour for hour, result in found.items() if not result.passed] == [8]
    assert sizes == [48 * 37, 37]  # all together, and the hour that lacks more than chance explains by itself
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["int64", "int8", "Int64", "float32", "Float64"])
def test_numbers_that_are_exact_as_float64_are_numbers(kind: str, reference: Baseline) -> None:
    suite = suite_for(SCHEMA, reference)
    whole = flights(937, seed=2).assign(delay=lambda batch: batch["delay"].round().clip(-100, 100).astype(kind))
    if kind in ("Int64", "Float64"):
        whole.loc[3, "delay"] = None
    found = validate(whole, suite, "day")
    as_floats = whole.assign(delay=whole["delay"].astype("float64"))
    assert (found.failures, found.doubts) == (validate(as_floats, suite, "day").failures, ())
    assert validate_each({1: whole[:400], 2: whole[400:]}, suite)[2].passed
    too_large = flights(937, seed=2).assign(delay=np.full(937, 2**53, dtype=np.int64))
    assert "delay: is of type int64, not float64" in validate(too_large, suite, "day").failures


def test_quarantine_keeps_rows_and_reasons(tmp_path: Path, reference: Baseline) -> None:
    hour = datetime(2013, 3, 8, 14, tzinfo=UTC)
    batch = BAD["feed down"][0](flights(37, seed=8))
    found = validate(batch, suite_for(SCHEMA, reference))
    for _ in range(2):
        path = Path(quarantine(open_files(str(tmp_path), "quarantine"), "flights-delay", hour, batch, found))
    assert path == tmp_path / "quarantine" / "flights-delay" / "2013-03-08T14.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), batch)
    assert json.loads(path.with_suffix(".json").read_text())["failures"] == list(found.failures)
    assert sorted(each.name for each in path.parent.iterdir()) == ["2013-03-08T14.json", "2013-03-08T14.parquet"]


def test_a_later_baseline_counts_in_the_same_bins() -> None:
    first = flights(1000, seed=10)
    later = flights(300, seed=11).assign(temp=first["temp"].median())
    earlier = make_baseline(first, SCHEMA, scores=[0.2] * 1000, labels=["late"] * 400 + ["on_time"] * 600)
    bins = {name: histogram.bins for name, histogram in earlier.features.items()}
    found = make_baseline(later, SCHEMA, scores=[0.2] * 300, labels=["late"] * 100 + ["on_time"] * 200, bins=bins)
    assert {name: histogram.bins for name, histogram in found.features.items()} == bins
    assert found.features["temp"].counts.max() == 300
    assert found.label.counts.tolist() == [0, 200, 100, 0]
    assert found.score.total == 300
    assert Baseline.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_policy_of_the_data_plane_is_written_as_one_writes_yaml() -> None:
    written = yaml.safe_load("{guard: off, hold: true, stretch: 1}")
    policy = ValidationPolicy.model_validate(written)
    assert (policy.guard_policy, policy.hold) == (GuardPolicy(mode="off", stretch=1.0), True)
    assert (ValidationPolicy().guard_policy, ValidationPolicy().hold) == (GuardPolicy(), False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            [float(number) for number in range(11)],
            (-22.5, 32.5),
        ),  # edges -0.5 to 10.5, and twice their 11 on both sides
        ([5.0] * 10, None),
        ([5.0, 6.0], (0.5, 10.5)),
        ([], None),
        ([-1.7e308, 0.0, 1.0, 1.7e308], None),
    ],
)
def test_a_range_is_as_wide_as_what_is_known_allows(values: list[float], expected: tuple[float, float] | None) -> None:
    finite = (-sys.float_info.max, sys.float_info.max)
    reference = Histogram.of(NumericBins.fit(values), values)
    assert usual_range(reference, 2.0) == (expected or finite)


def test_what_was_null_in_training_may_be_null_and_little_more() -> None:
    """Golden: 30 % of the training rows lack `tip`, so 35 % may; none lacked `fare`, so 5 % may."""
    schema = ModelSchema(
        features=(Feature(name="tip", kind="numeric"), Feature(name="fare", kind="numeric")),
        task=Classification(classes=("a", "b")),
    )

    def rows(tip: int, fare: int) -> pd.DataFrame:
        values = np.arange(10_000.0)
        return pd.DataFrame({"tip": values, "fare": values}).assign(
            tip=lambda frame: frame["tip"].where(frame.index >= tip),
            fare=lambda frame: frame["fare"].mask(frame.index < fare),
        )

    baseline = make_baseline(rows(3000, 0), schema, scores=[0.5], labels=["a"] * 10_000)
    suite = suite_for(schema, baseline)
    assert validate(rows(3400, 400), suite).failures == ()
    first, second = validate(rows(4000, 1000), suite).failures
    assert first.startswith("tip: 4000 of 10000 values are missing; at most 35.0% may be, by chance ")
    assert first.endswith(" (`validation: {max_missing: 0.05}`, 0.1 would allow it)")
    assert validate(rows(4000, 0), suite_for(schema, baseline, policy=ValidationPolicy(max_missing=0.1))).passed
    assert second.startswith("fare: 1000 of 10000 values are missing; at most 5.0% may be")
    labelled = rows(9_000, 0).assign(label="a")
    assert validate(labelled, suite_for(schema), "training_set").failures == ()  # which is where it is learnt
    assert validate(rows(9_000, 0), suite_for(schema)).failures[0].startswith("tip: 9000 of 10000 values are missing")
