"""The example's data: what is known when, held against the files as they are."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import skops.io

from mlops_dagster.defs.flights_delay import flights
from mlops_dagster.errors import TrainingDataError
from mlops_dagster.statistics import classification_metrics


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


def test_times_and_weather_are_those_of_the_files() -> None:
    """One flight in a hundred, worked out again with the standard library."""
    folder = flights._data_folder()
    with (folder / "weather.csv").open() as file:
        weather = {(w["origin"], w["month"], w["day"], w["hour"]): w for w in csv.DictReader(file)}
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        sample = [row for row in csv.DictReader(io.TextIOWrapper(file)) if row["dep_time"]][::100]
    everything = flights.load_flights()
    keys = ["event_time", "carrier", "origin", "distance", "sched_arr_time"]
    found = everything.set_index(keys).sort_index()
    for row in sample:
        scheduled = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
        departed = scheduled + timedelta(minutes=int(row["dep_delay"]))
        arrival = int(row["sched_arr_time"][:-2] or 0) * 60 + int(row["sched_arr_time"][-2:])
        rows = found.loc[[(pd.Timestamp(departed), row["carrier"], row["origin"], float(row["distance"]), arrival)]]
        assert (rows["dep_delay"] == int(row["dep_delay"])).any()
        match = rows[rows["dep_delay"] == int(row["dep_delay"])].iloc[0]
        if row["air_time"]:
            assert match["known_at"] == departed + timedelta(minutes=int(row["air_time"]) + 60)
            assert match["label"] == ("late" if int(row["arr_delay"]) > 15 else "on_time")
        report = weather.get((row["origin"], row["month"], row["day"], row["hour"]))
        assert pd.isna(match["visib"]) if report is None else match["visib"] == float(report["visib"])


def test_a_training_set_knows_no_more_than_was_known() -> None:
    start, end = day(1), day(2, 15)
    rows = flights.training_set(start, end)
    assert list(rows.columns) == [*flights.SCHEMA.names, "label", "event_time"]
    assert rows["label"].isin(flights.SCHEMA.classes).all()
    assert rows["event_time"].min() >= start
    traffic = flights.recorded_traffic(start, end)
    in_the_air = traffic["known_at"] > end
    assert in_the_air.sum() > 50  # departed before the end, landed after it
    assert len(rows) == len(traffic) - in_the_air.sum() - traffic["label"].isna().sum()
    with pytest.raises(TrainingDataError, match="2013"):
        flights.training_set(day(1) - timedelta(days=30), day(1))


def test_the_classifier_is_as_good_as_the_design_says_and_survives_skops() -> None:
    columns = list(flights.SCHEMA.names)
    fitted_on, judged_on = flights.training_set(day(1), day(2, 15)), flights.training_set(day(2, 15), day(3))
    model = flights.estimator().fit(fitted_on[columns], fitted_on["label"])
    found = classification_metrics(judged_on["label"].to_list(), model.predict(judged_on[columns]))
    assert found.accuracy == pytest.approx(0.900, abs=0.005)
    assert found.macro_f1 == pytest.approx(0.848, abs=0.005)

    saved = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=saved) == []
    restored = skops.io.loads(saved)
    odd = judged_on[columns].head(3).assign(carrier=["ZZ", "UA", None], temp=float("nan"))
    for rows in (judged_on[columns].head(500), odd):
        assert (restored.predict_proba(rows) == model.predict_proba(rows)).all()
