"""Performance, from rows as the log has them."""

from dataclasses import asdict

import orjson
import pyarrow as pa
import pytest

from mlops_dagster.monitoring import performance
from mlops_dagster.predictions import ByValue
from mlops_dagster.tasks import Classification
from tests.support.predictions.answers import counted


def test_each_version_in_each_role_has_its_figures() -> None:
    rows = [
        # version, role, status, prediction, label, latency
        *[("1.0.0", "champion", "ok", "late", "late", 10.0)] * 6,
        *[("1.0.0", "champion", "ok", "on_time", "late", 20.0)] * 2,
        *[("1.0.0", "champion", "ok", "late", None, 30.0)] * 1,  # not landed yet
        *[("1.0.0", "champion", "failed", None, "late", 400.0)] * 1,
        *[("1.1.0", "canary", "ok", "late", "late", 5.0)] * 3,
        *[("1.1.0", "paired", "ok", "on_time", "on_time", 5.0)] * 4,
        *[("", "none", "rejected", None, None, 1.0)] * 5,
    ]
    names = ("version", "role", "status", "prediction", "label", "latency_ms")
    report = performance(
        counted(pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}))
    )

    champion, canary, paired = report.versions
    assert (champion.version, champion.role, champion.requests, champion.errors) == ("1.0.0", "champion", 10, 1)
    assert champion.error_rate == 0.1
    assert (champion.labelled, champion.value("accuracy"), champion.value("micro_f1")) == (8, 0.75, 0.75)
    assert champion.value("macro_f1") == pytest.approx((12 / 14 + 0) / 2)
    assert champion.p50_ms == 10.0
    assert champion.p99_ms == pytest.approx(400 - 0.09 * 370)  # between the two slowest
    assert (canary.role, canary.value("accuracy"), paired.role, paired.value("accuracy")) == (
        "canary",
        1.0,
        "paired",
        1.0,
    )
    assert report.rows == 17
    assert orjson.loads(orjson.dumps(asdict(champion)))["measures"]["accuracy"]["value"] == 0.75
    assert report.metadata()["labelled"] == 15
    assert report.headline() == {
        "accuracy": 0.75,
        "error_rate": 0.1,
        "p50_ms": 10.0,
        "p95_ms": pytest.approx(30 + 0.55 * 370),
        "p99_ms": champion.p99_ms,
        "requests": 10,
    }
    first = report.table()[0]
    assert (first["version"], first["role"], first["labelled"]) == ("1.0.0", "champion", 8)
    assert first["accuracy"] == "0.750 (0.409–0.929)"
    assert [first[name] for name in ("requests", "failed", "P50 ms", "P95 ms", "P99 ms")] == [
        10,
        "10.00%",
        10.0,
        233.5,
        366.7,
    ]


def test_a_label_that_is_no_class_of_the_version_is_a_wrong_answer_and_no_class() -> None:
    truths = ["late"] * 49 + ["on_time"] * 49 + ["Late"] * 2
    columns = {"version": ["1"] * 100, "role": ["champion"] * 100, "status": ["ok"] * 100, "latency_ms": [1.0] * 100}
    answers = ["late"] * 49 + ["on_time"] * 49 + ["late"] * 2
    table = pa.table({**columns, "prediction": answers, "label": truths})
    (found,) = performance(counted(table), tasks={"1": Classification(classes=("late", "on_time"))}).versions
    assert (found.value("accuracy"), found.value("macro_f1")) == (0.98, pytest.approx((98 / 100 + 1) / 2))
    assert found.measures["macro_f1"].interval is not None
    assert found.measures["macro_f1"].interval[0] > 0.9
    (unknown,) = performance(counted(table)).versions
    assert unknown.value("macro_f1") == pytest.approx((98 / 100 + 1 + 0) / 3)


def test_without_labels_there_is_no_accuracy_and_without_rows_no_version() -> None:
    columns = {"version": ["1"], "role": ["champion"], "status": ["ok"], "prediction": ["late"], "latency_ms": [1.0]}
    table = pa.table({**columns, "label": pa.nulls(1, pa.string())})
    (only,) = performance(counted(table)).versions
    assert (only.labelled, only.value("accuracy"), only.value("macro_f1")) == (0, None, None)
    assert "accuracy" not in performance(counted(table)).headline()
    (row,) = performance(counted(table)).table()
    assert (row["labelled"], row["accuracy"], row["macro-F1"]) == (0, "-", "-")
    nothing = performance(counted(table.slice(0, 0)))
    assert (nothing.versions, nothing.headline()) == ((), {})


def test_slices_and_intervals_are_of_the_labelled_rows() -> None:
    rows = pa.table(
        {
            "version": ["1.0.0"] * 12,
            "role": ["champion"] * 12,
            "status": ["ok"] * 12,
            "prediction": ["late"] * 12,
            "label": ["late"] * 9 + ["ok", "ok", None],
            "latency_ms": [1.0] * 12,
            "feature_carrier": ["AA"] * 8 + ["UA"] * 4,
        }
    )
    counts = counted(rows, [ByValue("carrier"), ByValue("unheard")])
    (found,) = performance(counts, ["carrier=AA", "carrier=UA", "carrier=HA", "unheard=of"]).versions
    assert [(part.name, part.labelled, part.merit) for part in found.slices] == [
        ("carrier=AA", 8, 1.0),
        ("carrier=UA", 3, 1 / 3),
    ]
    # Wilson's interval of 9 out of 11 and of 1 out of 3, by statsmodels' proportion_confint(method="wilson")
    assert found.measures["accuracy"].interval == pytest.approx((0.5230, 0.9486), abs=1e-4)
    assert found.slices[1].interval == pytest.approx((0.0615, 0.7923), abs=1e-4)
    worst = performance(counts, ["carrier=UA"]).slice_table()[0]
    assert (worst["slice"], worst["labelled"], worst["accuracy"]) == ("carrier=UA", 3, "0.333 (0.061–0.792)")
    assert found.measures["macro_f1"].interval is not None
    assert found.measures["macro_f1"].interval[0] < found.value("macro_f1") < found.measures["macro_f1"].interval[1]  # type: ignore[operator]
