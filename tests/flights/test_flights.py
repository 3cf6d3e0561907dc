"""The example's data: what is known when, held against the files as they are."""

import csv
import io
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import skops.io

from flights import trainer as flights
from mlops_dagster.errors import TrainingDataError
from mlops_dagster.inference import features_frame
from mlops_dagster.registry import estimators
from mlops_dagster.statistics import classification_metrics

NEW_YORK = ZoneInfo("America/New_York")


def day(month: int, number: int = 1) -> datetime:
    return datetime(2013, month, number, tzinfo=UTC)


def test_who_departed_and_who_never_gets_a_label() -> None:
    everything = flights.load_flights()
    assert len(everything) == 328_521
    diverted = everything["label"].isna()
    assert diverted.sum() == 1_175
    assert everything["known_at"].isna().equals(diverted)
    assert everything["event_time"].is_monotonic_increasing
    assert len(flights.recorded_traffic(day(3), day(5, 11))) > 60_000


@pytest.mark.slow
@pytest.mark.parametrize("month_and_day", [("3", "10"), ("7", "4"), ("12", "31")])  # the clocks change; summer; the end
def test_times_and_weather_are_those_of_the_files(month_and_day: tuple[str, str]) -> None:
    """All flights of a local day, worked out again with the standard library."""
    folder = flights._data_folder()
    with (folder / "weather.csv").open() as file:
        weather = {(w["origin"], w["month"], w["day"], w["hour"]): w["visib"] for w in csv.DictReader(file)}
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        lines = [row for row in csv.DictReader(io.TextIOWrapper(file)) if (row["month"], row["day"]) == month_and_day]
    expected = Counter()
    for row in lines:
        if row["dep_time"] == "NA":
            continue
        local = datetime(
            2013, int(row["month"]), int(row["day"]), int(row["hour"]), int(row["minute"]), tzinfo=NEW_YORK
        )
        departed = local.astimezone(UTC) + timedelta(minutes=int(row["dep_delay"]))
        known = departed + timedelta(minutes=int(row["air_time"]) + 60) if row["air_time"] != "NA" else None
        label = ("late" if int(row["arr_delay"]) > 15 else "on_time") if row["arr_delay"] != "NA" else None
        visib = weather.get((row["origin"], row["month"], row["day"], row["hour"]))
        expected[
            departed, known, label, row["carrier"], row["origin"], float(row["distance"]), visib and float(visib)
        ] += 1

    start = min(key[0] for key in expected)
    found = flights.recorded_traffic(start, start + timedelta(days=2)).astype(object)
    columns = ["event_time", "known_at", "label", "carrier", "origin", "distance", "visib"]
    found = found[columns].where(found[columns].notna(), None)
    assert expected <= Counter(found.itertuples(index=False, name=None))


def test_a_training_set_knows_no_more_than_was_known() -> None:
    start, end = day(1), day(2, 15)
    rows = flights.training_set(start, end)
    assert list(rows.columns) == [*flights.SCHEMA.names, "label", "event_time"]
    assert rows["label"].isin(flights.SCHEMA.task.truths).all()
    assert rows["event_time"].min() >= start
    traffic = flights.recorded_traffic(start, end)
    in_the_air = traffic["known_at"] > end
    assert in_the_air.sum() > 50  # departed before the end, landed after it
    assert len(rows) == len(traffic) - in_the_air.sum() - traffic["label"].isna().sum()
    with pytest.raises(TrainingDataError, match="2013"):
        flights.training_set(day(1) - timedelta(days=30), day(1))


def test_the_classifier_converts_to_onnx_and_answers_the_same(tmp_path: Path) -> None:
    """With nulls in the weather: protobuf 7 refuses what skl2onnx makes of a tree that has seen them."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    rows = features_frame(flights.SCHEMA, flights.training_set(day(1), day(1, 15)))
    labels = flights.training_set(day(1), day(1, 15))["label"]
    assert rows["wind_speed"].isna().any()
    model = flights.estimator().fit(rows, labels)
    kinds = {"numeric": FloatTensorType([None, 1]), "categorical": StringTensorType([None, 1])}
    columns = [(feature.name, kinds[feature.kind]) for feature in flights.SCHEMA.features]
    (tmp_path / "model.onnx").write_bytes(to_onnx(model, initial_types=columns).SerializeToString())
    converted = estimators.load(tmp_path / "model.onnx")
    unseen = features_frame(flights.SCHEMA, flights.training_set(day(1, 15), day(1, 20)))
    np.testing.assert_allclose(converted.predict_proba(unseen), model.predict_proba(unseen), atol=1e-5)


def test_the_classifier_is_as_good_as_the_design_says_and_survives_skops() -> None:
    columns = list(flights.SCHEMA.names)
    fitted_on, judged_on = flights.training_set(day(1), day(2, 15)), flights.training_set(day(2, 15), day(3))
    model = flights.estimator().fit(fitted_on[columns], fitted_on["label"])
    found = classification_metrics(judged_on["label"].to_list(), model.predict(judged_on[columns]))
    assert found.accuracy == pytest.approx(0.900, abs=0.005)
    assert found.macro_f1 == pytest.approx(0.848, abs=0.005)

    saved = skops.io.dumps(model)
    others = skops.io.get_untrusted_types(data=saved)
    assert all(name.startswith("sklearn.") for name in others)
    restored = skops.io.loads(saved, trusted=others)
    odd = judged_on[columns].head(3).assign(carrier=["ZZ", "UA", None], temp=float("nan"))
    for rows in (judged_on[columns].head(500), odd):
        assert (restored.predict_proba(rows) == model.predict_proba(rows)).all()
