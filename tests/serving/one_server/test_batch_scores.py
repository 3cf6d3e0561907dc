"""A row scored in a batch gets the answer that the data plane gives."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.retraining import batch_scores
from mlops_dagster.retraining.batch_scores import BatchFiles, score_batch
from mlops_dagster.storage.files import open_files
from tests.support.serving.data_plane import CARRIERS, Models, Server

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def rows(number: int) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    delay = np.where(generator.random(number) < 0.1, np.nan, generator.normal(15, 10, number))
    return pd.DataFrame(
        {
            "flight": [f"F{each}" for each in range(number)],
            "delay": delay,
            "distance": generator.normal(900, 100, number),
            "carrier": generator.choice(CARRIERS, number),
            "event_time": pd.date_range(DAY, periods=number, freq="s"),
        }
    )


def test_a_batch_has_the_numbers_of_the_endpoint(
    models: Models, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = models.champion("batches")
    frame = rows(250)
    monkeypatch.setattr(batch_scores, "_ROWS_AT_ONCE", 100)
    files = BatchFiles(open_files(str(tmp_path), "batch_scores"), "batches", DAY)
    files.keep(frame)
    assert score_batch(files, champion, models.stores.registry.load(champion)) == (250, 0)
    scored = pd.read_parquet(files.link)

    server.wait_ready("batches")
    inputs = [
        {"name": name, "shape": [250], "datatype": kind, "data": frame[name].replace({np.nan: None}).tolist()}
        for name, kind in (("delay", "FP64"), ("distance", "FP64"), ("carrier", "BYTES"))
    ]
    outputs = {
        each["name"]: each["data"]
        for each in server.post("/v2/models/batches/infer", {"inputs": inputs}).json()["outputs"]
    }
    assert scored["prediction"].tolist() == outputs["label"]
    np.testing.assert_allclose(scored["score"], outputs["score"], rtol=0, atol=1e-12)
    assert set(scored["prediction"]) == {"late", "on_time"}

    pd.testing.assert_frame_equal(scored[list(frame.columns)], frame)  # the rest of a row is kept, its time too
    assert set(scored["version"]) == {"1.0.0"}
    assert set(scored["digest"]) == {champion.digest}


class Finite:
    """The estimator, as most of scikit-learn's are: it refuses all rows together with one that is infinite."""

    def __init__(self, estimator: Estimator) -> None:
        self.classes_ = estimator.classes_
        self._estimator = estimator

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        if np.isinf(X[["delay", "distance"]].to_numpy(np.float64)).any():
            raise ValueError("Input X contains infinity")
        return self._estimator.predict_proba(X)


def test_a_row_with_an_infinite_number_has_the_answer_of_an_estimator_that_takes_it(
    models: Models, tmp_path: Path
) -> None:
    champion = models.champion("infinities")
    estimator = models.stores.registry.load(champion)
    files = BatchFiles(open_files(str(tmp_path), "batch_scores"), "infinities", DAY)
    frame = rows(25)
    frame.loc[[0, 7], "delay"] = [np.inf, -np.inf]
    files.keep(frame)
    assert score_batch(files, champion, estimator) == (25, 0)
    scored = pd.read_parquet(files.link)
    assert scored["prediction"].tolist() == estimator.predict(frame).tolist()  # type: ignore[attr-defined]
    assert scored.loc[[0, 7], "prediction"].tolist() == ["late", "on_time"]


def test_a_row_with_an_infinite_number_that_is_refused_has_no_prediction_and_takes_it_from_no_other(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = models.champion("infinite")
    estimator = Finite(models.stores.registry.load(champion))
    monkeypatch.setattr(batch_scores, "_ROWS_AT_ONCE", 5)
    files = BatchFiles(open_files(str(tmp_path), "batch_scores"), "infinite", DAY)
    files.keep(rows(25))
    assert score_batch(files, champion, estimator) == (25, 0)
    sound = pd.read_parquet(files.link)
    odd = [0, 7, *range(10, 15), 24]  # first, last, and all of some thousands
    frame = rows(25)
    frame.loc[odd, "delay"] = [np.inf, -np.inf] * 4
    files.keep(frame)
    assert score_batch(files, champion, estimator) == (25, 8)
    scored = pd.read_parquet(files.link)
    assert list(scored.index[scored["prediction"].isna()]) == odd
    assert list(scored.index[scored["score"].isna()]) == odd
    pd.testing.assert_frame_equal(scored.drop(odd), sound.drop(odd))


def test_what_cannot_be_scored_leaves_no_scores(models: Models, tmp_path: Path) -> None:
    champion = models.champion("unscored")
    store = open_files(str(tmp_path), "batch_scores")
    files = BatchFiles(store, "unscored", DAY)
    estimator = models.stores.registry.load(champion)
    files.keep(rows(10))
    score_batch(files, champion, estimator)
    files.keep(rows(10).assign(carrier="XX"))
    assert not Path(files.link).exists()  # those of other rows
    with pytest.raises(ModelFailedError, match="version 1.0.0 raised ValueError: Found unknown categories"):
        score_batch(files, champion, estimator)
    assert store.names("unscored") == ["unscored/2026-01-01.input.parquet"]
    with pytest.raises(InvalidInputError, match="columns called score"):
        files.keep(rows(10).assign(score=1.0))
