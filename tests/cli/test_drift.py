"""`mlops drift`: any two, from counts alone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.monitoring import DriftPolicy, make_baseline
from mlops_dagster.monitoring.drift.recount import count_rows
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import Histogram, psi_from_counts
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification
from tests.support.predictions.records import a_record

SCHEMA = ModelSchema(
    features=(Feature(name="amount", kind="numeric"), Feature(name="country", kind="categorical")),
    task=Classification(classes=("stays", "leaves")),
)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def frame(mean: float, rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"amount": rng.normal(mean, size=rows), "country": rng.choice(["FR", "DE"], rows)})


def served(version: str, at: datetime, mean: float, score: float = 0.3, rows: int = 600) -> list[PredictionRecord]:
    name = f"{version} {at}"
    return [
        a_record(
            number,
            prediction_id=f"{name} {number}",
            model="churn",
            version=version,
            event_time=at + timedelta(seconds=number),
            features={"amount": float(row.amount), "country": str(row.country)},
            score=score,
        )
        for number, row in enumerate(frame(mean, rows, seed=number_of(name)).itertuples())
    ]


def number_of(name: str) -> int:
    return sum(map(ord, name))


@pytest.fixture
def counted(registry: ModelRegistry, add) -> Stores:
    """1.0.0 served on the first of March, at 10 and at 11; 1.1.0 on the second, larger amounts and scores."""
    rows = frame(0)
    baseline = make_baseline(rows, SCHEMA, scores=np.full(500, 0.3), labels=["stays"] * 3000 + ["leaves"] * 1000)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        add(version, schema=SCHEMA, baseline=baseline)
    add("2.0.0")
    stores = Stores()
    first = served("1.0.0", MARCH + timedelta(hours=10), 0)
    stores.spool.append([*first, *served("1.0.0", MARCH + timedelta(hours=11), 0)])
    stores.spool.append(served("1.1.0", MARCH + DAY, 2, score=0.8))
    stores.spool.feedback(
        ((row.prediction_id, "leaves" if n % 4 == 0 else "stays", MARCH) for n, row in enumerate(first)), model="churn"
    )
    bins = {**{name: each.bins for name, each in baseline.features.items()}, "score": baseline.score.bins}
    stores.local_rollups.catch_up(stores.spool, lambda _model, _version: bins)
    return stores


def test_two_versions_two_times_and_a_version_and_a_time(counted: Stores, mlops) -> None:
    def compare(reference: str, current: str) -> dict[str, dict[str, object]]:
        done = mlops("drift", "churn", "--reference", reference, "--current", current, "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        return json.loads(done.stdout)

    for reference, current in (
        ("1.0.0", "1.1.0"),
        ("2026-03-01", "2026-03-02"),
        ("1.0.0@training", "2026-03-02T00"),
        ("1.0.0@2026-03-01T10", "1.1.0@2026-03-01..2026-03-03"),
    ):
        found = compare(reference, current)
        features = found["features"]
        assert (features["drifted"], features["score_elevated"], features["ks"]) == (["amount"], True, 1.0)
        assert (found["reference"]["side"], found["current"]["rows"], found["left_out"]) == (reference, 600, {})
    for reference, current in (("2026-03-01T10", "2026-03-01T11"), ("1.1.0@training", "1.0.0")):
        assert compare(reference, current)["features"]["verdict"] == "stable"
    labels = compare("1.0.0@training", "2026-03-01")["labels"]
    assert (labels["verdict"], labels["rows"], labels["shares"]) == (
        "stable",
        600,
        {name: {"baseline": share, "now": share} for name, share in (("stays", 0.75), ("leaves", 0.25))},
    )
    assert compare("1.0.0", "1.1.0")["labels"]["verdict"] == "inconclusive"  # nobody has labelled 1.1.0


def test_the_numbers_are_those_of_the_rows(counted: Stores, mlops) -> None:
    rows = [frame(0, 600, number_of(f"1.0.0 {MARCH + timedelta(hours=hour)}")) for hour in (10, 11)]
    bins = counted.registry.get("churn", "1.0.0").baseline.features["amount"].bins
    histograms = [Histogram.of(bins, each["amount"]) for each in rows]
    done = mlops("drift", "churn", "--reference", "2026-03-01T10", "--current", "2026-03-01T11", "--json")
    assert json.loads(done.stdout)["features"]["psi"]["amount"] == pytest.approx(psi_from_counts(*histograms), abs=1e-4)


def test_for_people(counted: Stores, mlops) -> None:
    shown = mlops("drift", "churn", "--reference", "1.0.0", "--current", "1.1.0").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert lines[0] == "churn: 1.1.0 (600 rows) against 1.0.0 (1,200 rows)"
    (amount,) = (line for line in lines if line.startswith("amount PSI"))
    assert amount.endswith("retrain")
    assert "(score) D 1.000 0.081 retrain PSI 14.864" in lines  # sqrt(ln(2 / 0.01) / 2 * (1/1200 + 1/600))
    asks = "Drift asks for a retraining: drift of the scores (KS D 1.000) and of amount. Labels are not looked at here."
    assert asks in " ".join(lines)
    assert "an hour (2013-03-01T10), a day" in " ".join(mlops("drift", "--help").stdout.split())


def test_no_row_is_read(counted: Stores, mlops, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no log here at all, and the spool is gone."""
    Path(counted.settings.spool_path).unlink()
    assert mlops("drift", "churn", "--reference", "1.0.0", "--current", "1.1.0").exit_code == 0
    assert not list(counted.settings.home.glob("**/_delta_log"))


@pytest.mark.parametrize(
    ("side", "code", "message"),
    [
        ("9.9.9", "version_not_found", "9.9.9"),
        ("not a version", "invalid_version", "not a version"),
        ("1.2.0", "invalid_input", "churn has no counts of '1.2.0'; `1.2.0@training` is what it was trained on"),
        ("1.0.0@2026-03-02", "invalid_input", "no counts of '1.0.0@2026-03-02'"),
        ("2.0.0", "invalid_input", "2.0.0 has no baseline"),
        ("2026-02-01", "invalid_input", "no counts of '2026-02-01'"),
        ("2999-01-01", "invalid_input", "nothing was served in '2999-01-01' yet: it is 20"),
        ("2026-03-01T10:30", "invalid_input", "'2026-03-01T10:30' is not a time; write an hour"),
        ("2026-02-30", "invalid_input", "'2026-02-30' is not a time (day is out of range"),
        ("9999-12-31", "invalid_input", "'9999-12-31' is not a time (date value out of range)"),
        ("2026-03-02..2026-03-01", "invalid_input", "ends before it begins"),
        ("2026-03-01T10..2026-03-01T10", "invalid_input", "is empty"),
        ("2026-03-01..", "invalid_input", "'' is not a time"),
        ("1.0.0@yesterday", "invalid_input", "'yesterday' is not a time"),
    ],
)
def test_what_cannot_be_compared_is_said(counted: Stores, mlops, side: str, code: str, message: str) -> None:
    done = mlops("drift", "churn", "--reference", "1.0.0", "--current", side)
    assert done.exit_code == 1
    assert f"({code})" in done.stderr
    assert message in done.stderr


def test_versions_of_other_bins_have_nothing_in_common(counted: Stores, add, mlops) -> None:
    other = make_baseline(frame(5, seed=9), SCHEMA, scores=np.full(500, 0.3), labels=["stays"] * 4000)
    add("3.0.0", schema=SCHEMA, baseline=other)
    found = json.loads(mlops("drift", "churn", "--reference", "3.0.0@training", "--current", "1.0.0", "--json").stdout)
    assert found["left_out"] == {"amount": "counted in different bins"}  # the countries are the same
    assert list(found["features"]["psi"]) == ["country"]
    assert mlops("drift", "unknown", "--reference", "1.0.0", "--current", "1.0.0").exit_code == 1


def test_a_time_in_which_a_schema_changed_is_compared_in_what_adds_up(counted: Stores, add, mlops) -> None:
    """3.0.0 has other bins for the amount, no country and an age; nobody is missing a country for that."""
    features = tuple(Feature(name=name, kind="numeric") for name in ("amount", "age"))
    schema = ModelSchema(features=features, task=SCHEMA.task)
    rows = frame(0, seed=9).assign(age=np.arange(4000.0))
    other = make_baseline(rows, schema, scores=np.full(500, 0.3), labels=["stays"] * 4000)
    add("3.0.0", schema=schema, baseline=other)
    late = [
        row._replace(features={"amount": row.features["amount"], "age": 30.0})
        for row in served("3.0.0", MARCH + timedelta(hours=12), 0)
    ]
    counted.spool.append(late)
    bins = {**{name: each.bins for name, each in other.features.items()}, "score": other.score.bins}
    counted.local_rollups.catch_up(counted.spool, lambda _model, _version: bins)
    counted.log.ship(counted.spool)

    def compare(reference: str, *more: str) -> dict[str, object]:
        done = mlops("drift", "churn", "--reference", reference, "--current", "2026-03-01", "--json", *more)
        assert (done.exit_code, done.stderr) == (0, "")
        found: dict[str, object] = json.loads(done.stdout)
        return found

    why = "counted in different bins during 2026-03-01"
    found = compare("1.0.0@training")
    assert found["left_out"] == {"amount": why, "age": "only one side has it"}
    assert found["features"]["verdicts"] == {"country": "stable"}
    assert compare("3.0.0@training")["left_out"] == {"amount": why, "country": "only one side has it"}
    again = compare("1.0.0@training", "--rows")
    assert (again["left_out"], again["current"]["rows"]) == ({}, 1800)
    assert again["features"]["verdicts"] == {"amount": "stable", "country": "stable"}


def test_a_leading_v_is_accepted(counted: Stores, mlops) -> None:
    counted.log.ship(counted.spool)
    for more in ((), ("--rows",)):
        found = [
            json.loads(
                mlops("drift", "churn", "--reference", f"{v}1.1.0", "--current", f"{v}1.0.0", "--json", *more).stdout
            )
            for v in ("v", "")
        ]
        assert found[0]["labels"] == found[1]["labels"]
        assert (found[0]["features"], found[0]["current"]["version"]) == (found[1]["features"], "1.0.0")


def test_rows_are_counted_again_in_the_bins_of_another_schema(counted: Stores, add, mlops) -> None:
    """A new version is held against the traffic before it: from the log, since the rollups have other bins."""
    other = make_baseline(frame(0, seed=9), SCHEMA, scores=np.full(500, 0.3), labels=["stays"] * 4000)
    add("3.0.0", schema=SCHEMA, baseline=other)
    counted.log.ship(counted.spool)

    def compare(reference: str, current: str) -> dict[str, object]:
        done = mlops("drift", "churn", "--reference", reference, "--current", current, "--rows", "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        found: dict[str, object] = json.loads(done.stdout)
        return found

    found = compare("3.0.0@training", "2026-03-01..2026-03-03")
    assert (found["left_out"], found["current"]["rows"], found["features"]["drifted"]) == ({}, 1800, ["amount"])
    assert compare("3.0.0@training", "1.0.0@2026-03-01T10")["current"]["rows"] == 600
    again, before = (
        compare("1.0.0@training", "1.1.0"),
        mlops("drift", "churn", "--reference", "1.0.0@training", "--current", "1.1.0", "--json"),
    )
    assert again["features"] == json.loads(before.stdout)["features"]
    empty = mlops("drift", "churn", "--reference", "1.0.0@training", "--current", "2026-02-01", "--rows")
    assert "no rows of '2026-02-01' in its log" in empty.stderr


def test_a_recount_is_what_the_rollups_have(counted: Stores) -> None:
    odd = [
        a_record(1, prediction_id="a", model="churn", features={"amount": None, "country": "XX"}, score=0.9),
        a_record(2, prediction_id="b", model="churn", features={"country": None}, status="failed", score=None),
        a_record(3, prediction_id="c", model="churn", role="shadow"),
    ]
    counted.spool.append(odd)
    baseline = counted.registry.get("churn", "1.0.0").baseline
    bins = {**{name: each.bins for name, each in baseline.features.items()}, "score": baseline.score.bins}
    counted.local_rollups.catch_up(counted.spool, lambda _model, _version: bins)
    counted.log.ship(counted.spool)
    since, until = datetime(2013, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    expected = counted.rollups.feature_counts("churn", None, since, until)
    found = count_rows(counted.log, "churn", since, until, bins)
    assert {name: each.tolist() for name, each in found.items()} == {
        name: each.tolist() for name, each in expected.items()
    }
    assert found["amount"][0] == 2


def test_what_was_not_there_then_is_left_out_of_a_recount_and_is_not_missing(counted: Stores, add, mlops) -> None:
    """2.1.0 has a feature more, and calls the country by a number; 1.0.0, before it, had neither."""
    rows = frame(0).assign(country=1.0, age=np.arange(4000.0))
    kinds = {"amount": "numeric", "country": "numeric", "age": "numeric"}
    features = tuple(Feature(name=name, kind=kind) for name, kind in kinds.items())
    schema = ModelSchema(features=features, task=Classification(classes=("stays", "leaves")))
    add("2.1.0", schema=schema, baseline=make_baseline(rows, schema, scores=[0.3] * 500, labels=["stays"] * 4000))
    counted.log.ship(counted.spool)
    asked = ("drift", "churn", "--reference", "2.1.0@training", "--rows", "--json", "--current")
    by_time = {"age": "the log has no values of it, or of another kind"}
    reasons = {
        "country": "it is numeric in the reference, and was categorical then",
        "age": "no version of that time had it",
    }
    found = json.loads(mlops(*asked, "1.0.0").stdout)
    assert (found["left_out"], list(found["features"]["psi"])) == (reasons, ["amount"])
    # By then somebody had registered what could have had them: the log says that nothing did.
    found = json.loads(mlops(*asked, "2026-03-01").stdout)
    assert found["left_out"] == {**by_time, "country": by_time["age"]}
    late = a_record(1, prediction_id="late", model="churn", version="2.1.0", features={"amount": 0.0, "age": 3.0})
    counted.spool.append([late])
    counted.log.ship(counted.spool)
    assert json.loads(mlops(*asked, "1.0.0").stdout)["left_out"] == reasons  # the log has an age now, of another time


def test_the_policy_is_the_one_that_was_published(counted: Stores, mlops) -> None:
    asked = ("drift", "churn", "--reference", "1.0.0", "--current", "1.1.0")
    found = json.loads(mlops(*asked, "--json").stdout)
    assert (found["policy"]["from"], found["policy"]["retrain"]) == ("the defaults", 0.25)
    assert found["features"]["verdicts"] == {"amount": "retrain", "country": "stable"}

    policy = DriftPolicy(report_only=("amount",), ks=0.99, min_rows=50)
    counted.registry.publish_policies("churn", {"drift": policy}, location="shop")
    found = json.loads(mlops(*asked, "--json").stdout)
    origin = counted.registry.policies("churn").origin
    assert origin.startswith("published by the code location 'shop', 20")
    assert (found["policy"]["from"], found["policy"]["min_rows"]) == (origin, 50)
    assert (found["features"]["report_only"], found["features"]["drifted"]) == (["amount"], [])
    assert f"PSI 0.1 and 0.25, D 0.99: {origin}" in mlops(*asked).output

    counted.registry.publish_policies("churn", {"drift": {"retrian": 1}}, location="shop")
    refused = mlops(*asked)
    assert (refused.exit_code, "the policy `drift` of churn (event" in refused.stderr) == (1, True)
