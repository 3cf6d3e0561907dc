"""A feature that changed its kind is read from the right column of the log by everything that reads the log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.inference import Rescorer, column_of, features_frame, logged_value, text_column
from mlops_dagster.monitoring import day_of_answers, performance
from mlops_dagster.monitoring.concept.outcomes import parts_of
from mlops_dagster.monitoring.drift.recount import count_rows
from mlops_dagster.monitoring.pages.samples import sample_served
from mlops_dagster.monitoring.validation.hourly import _read
from mlops_dagster.predictions import PredictionLog, Spool
from mlops_dagster.predictions.encoded import encode_prediction
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.rollups.counting.cells import FeatureCounter
from mlops_dagster.predictions.rollups.counting.recounting import _predictions
from mlops_dagster.registry import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.replay import replay
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.tasks import Classification
from mlops_dagster.tasks.classification import SCORE_BINS
from tests.support.predictions.records import a_record

NUMBER, TEXT = Feature(name="gate", kind="numeric"), Feature(name="gate", kind="categorical")
DAY = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 2, tzinfo=UTC)

numbers = st.one_of(st.none(), st.floats(allow_nan=False))
texts = st.one_of(st.none(), st.text("xé7", max_size=3))


@given(
    st.lists(st.one_of(numbers, texts), min_size=1, max_size=6),
    st.sampled_from([{}, {"feature_gate": pa.float64()}, {"feature_gate": pa.string()}]),
)
def test_a_value_is_read_as_it_was_given(values: list[float | str | None], log_has: dict[str, pa.DataType]) -> None:
    entries = [orjson.loads(encode_prediction(a_record(0, features={"gate": each}))) for each in values]
    table = columns.prediction_table([(number, number, entry) for number, entry in enumerate(entries)], log_has)
    for feature, kind in ((NUMBER, float), (TEXT, str)):
        expected = [each if isinstance(each, kind) else None for each in values]
        found = column_of(table, feature)
        assert [None if each != each else each for each in found.tolist()] == expected
        assert found.dtype == (np.float64 if kind is float else np.object_)
        assert [logged_value(row, feature) for row in table.to_pylist()] == expected
    is_logged = any(name.startswith("feature_") for name in table.schema.names)
    as_texts = [None if each is None else str(each) for each in values]
    found = text_column(table, "gate")
    assert (None if found is None else found.tolist()) == (as_texts if is_logged else None)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    """Gates were numbers in 1.0.0, and are texts in 2.0.0, which answers half of them wrong: those of B4."""
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(tmp_path / "log")
    for version, gates in (("1.0.0", [7.0, 8.0] * 10), ("2.0.0", ["B4", "C1"] * 10)):
        at = DAY[0] + timedelta(hours=int(version[0]))
        records = [
            a_record(
                number, prediction_id=f"{version}-{number}", version=version, role="champion", event_time=at,
                received_at=at, prediction="ok", score=0.5, features={"gate": gate},
            )
            for number, gate in enumerate(gates)
        ]  # fmt: skip
        spool.append(records)
        wrong = {"B4", 7.0}
        spool.feedback(
            [(each.prediction_id, "late" if each.features["gate"] in wrong else "ok", at) for each in records],
            model=records[0].model,
        )
    log.ship(spool)
    return log


def test_reports_read_the_column_of_the_kind(log: PredictionLog) -> None:
    bins = CategoricalBins(("B4", "C1"))
    baseline = Baseline(
        {"gate": Histogram.of(bins, ["B4", "C1"] * 50)},
        Histogram.of(SCORE_BINS, [0.5]),
        Histogram.of(CategoricalBins(("ok", "late")), ["ok"]),
    )
    model = a_record(0).model
    rows = log.labelled(model, *DAY)
    assert {"feature_gate", "feature_gate__text"} <= set(rows.schema.names)

    slices = ["gate=B4", "gate=7.0", "gate=None"]
    counts = log.answers(model, *DAY, parts_of(slices, baseline))
    day = day_of_answers(counts, "2.0.0", slices=slices, baseline=baseline)
    assert day.slices == {"gate=B4": (10, 10), "gate=7.0": (0, 0), "gate=None": (0, 0)}
    assert sorted(day.groups["gate"].values()) == [(10, 0), (10, 10)]
    numeric = {"gate": Histogram.of(NumericBins((7.5,)), [7.0, 8.0])}
    before = Baseline(numeric, baseline.score, baseline.label)
    counts = log.answers(model, *DAY, parts_of(["gate=B4", "gate=8.0"], before))
    groups = day_of_answers(counts, "1.0.0", slices=[], baseline=before).groups["gate"]
    assert sorted(groups.values()) == [(10, 0), (10, 10)]

    found = {each.version: each for each in performance(counts, ["gate=B4", "gate=8.0"]).versions}
    assert [(part.name, part.labelled, part.merit) for part in found["2.0.0"].slices] == [("gate=B4", 10, 0.0)]
    assert [(part.name, part.labelled, part.merit) for part in found["1.0.0"].slices] == [("gate=8.0", 10, 1.0)]

    counts = count_rows(log, model, *DAY, {"gate": bins, "score": SCORE_BINS}, lacking={"gate": ["1.0.0"]})
    assert counts["gate"].tolist() == [0, 10, 10, 0]
    assert counts["score"].sum() == 40
    sample = sample_served(log, model, [TEXT], *DAY, most=40, seed=0)
    assert sorted(sample.rows["gate"].dropna()) == ["B4"] * 10 + ["C1"] * 10
    assert sample_served(log, model, [NUMBER], *DAY, most=40, seed=0).rows["gate"].sum() == 150.0


class Gates:
    """A classifier that says "ok" for the gates it knows, whatever their kind, and "late" for any other."""

    classes_ = np.array(["late", "ok"])

    def __init__(self, *known: float | str) -> None:
        self.known = known

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        ok = X["gate"].isin(self.known).to_numpy(dtype=np.float64)
        return np.column_stack([1 - ok, ok])


@pytest.mark.parametrize(
    ("feature", "known", "version", "features"),
    [
        (NUMBER, (7.0, 8.0), "1.0.0", [{"gate": 7.0}, {"gate": 8.0}]),
        (TEXT, ("B4", "C1"), "2.0.0", [{"gate": "B4"}, {"gate": "C1"}]),
    ],
)
def test_what_scores_rows_of_the_log_again_reads_the_column_of_the_kind(
    log: PredictionLog, feature: Feature, known: tuple[Any, ...], version: str, features: list[dict[str, object]]
) -> None:
    """Rescoring for a comparison, the replay of one row, the batches of an hour, and the recount of rollups."""
    schema, model = ModelSchema(features=(feature,), task=Classification(classes=("late", "ok"))), a_record(0).model
    entry = SimpleNamespace(model=model, version=version, schema=schema)
    registry = SimpleNamespace(load=lambda _version: Gates(*known), get=lambda _model, _version: entry)
    rows = log.labelled(model, *DAY)
    said = Rescorer(registry, entry).labels(rows)  # type: ignore[arg-type]  # as much of them as it needs
    assert {name for name, label in zip(rows["version"].to_pylist(), said, strict=True) if label == "ok"} == {version}

    found = [replay(SimpleNamespace(log=log, registry=registry), f"{version}-{row}", model) for row in (0, 1)]
    assert ([each.features for each in found], {each.again.label for each in found}) == (features, {"ok"})

    _, hours = _read(log, model, schema, *DAY)
    values = [hours[DAY[0] + timedelta(hours=hour)]["gate"].dropna().unique().tolist() for hour in (1, 2)]
    assert values[int(version[0]) - 1] == list(known)
    assert values[2 - int(version[0])] == []

    bins = NumericBins((7.5,)) if feature is NUMBER else CategoricalBins(("B4", "C1"))
    with log.prediction_rows(model) as dataset:
        (batch,) = dataset.to_table().combine_chunks().to_batches()
    counter = FeatureCounter({"gate": bins})
    for again in _predictions(model, batch, lambda _model, its: {"gate": bins} if its == version else None):
        if again.prediction()["version"] == version:
            counter.add(again.prediction(), 0)
    assert next(counter.cells()).counts.tolist()[:3] == [0, 10, 10]


def test_nulls_of_any_kind_are_one_null() -> None:
    schema = ModelSchema(
        features=(NUMBER.model_copy(update={"name": "x"}), TEXT), task=Classification(classes=("ok", "late"))
    )
    for null in (None, np.nan, pd.NA, pd.NaT):
        frame = features_frame(schema, {"x": [1, null], "gate": ["a", null]})
        assert frame.dtypes.tolist() == [np.float64, np.object_]
        assert np.isnan(frame["x"][1])
        assert type(frame["gate"][1]) is float
    assert features_frame(schema, frame.set_axis([7, 5])).index.tolist() == [7, 5]
    coded = pd.DataFrame({"x": pd.array([1, None], dtype="Int64"), "gate": pd.Categorical(["a", None])})
    pd.testing.assert_frame_equal(
        features_frame(schema, coded), features_frame(schema, {"x": [1, None], "gate": ["a", None]})
    )
