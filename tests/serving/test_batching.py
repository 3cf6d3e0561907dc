"""Batches: one piece of work for many, and no harm from a bad neighbour."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel, Scores
from mlops_dagster.serving.plane.abandonable import MOST_STUCK, AbandonableWorker
from mlops_dagster.serving.plane.batching import Batcher, score_together
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(features=(Feature(name="a", kind="numeric"),), task=Classification(classes=("no", "yes")))


class Picky:
    """Says yes to positive numbers and raises if one is 13. Its classes stand in the order of the alphabet."""

    classes_ = np.array(["no", "yes"])

    def __init__(self) -> None:
        self.calls = 0

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        self.calls += 1
        if (X["a"] == 13).any():
            raise ValueError("thirteen")
        positive = (X["a"] > 0).to_numpy().astype(float)
        return np.column_stack([1 - positive, positive])


def batcher(
    score: Callable[[list[int]], Sequence[int]],
    settle: Callable[[list[int], Sequence[int]], Sequence[int | Exception]] = lambda _jobs, outcomes: outcomes,
    patience: float = 30.0,
) -> Batcher[int, int, int]:
    return Batcher(AbandonableWorker("test"), score, settle, late=-1, patience=patience)


def test_jobs_that_come_while_a_batch_is_at_work_make_one_batch() -> None:
    batches: list[list[int]] = []
    go_on = threading.Event()

    def score(jobs: list[int]) -> list[int]:
        batches.append(jobs)
        go_on.wait(10)
        return [job * 2 for job in jobs]

    async def run() -> list[int]:
        work = batcher(score)
        first = asyncio.create_task(work.submit(0))
        while not batches:
            await asyncio.sleep(0)
        rest = [asyncio.create_task(work.submit(job)) for job in range(1, 10)]
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(run()) == [job * 2 for job in range(10)]
    assert batches == [[0], list(range(1, 10))]


def test_an_error_goes_to_its_own_caller_and_one_of_the_work_to_all() -> None:
    def settle(jobs: list[int], outcomes: Sequence[int]) -> Sequence[int | Exception]:
        if 0 in jobs:
            raise OSError("disk")
        return [ValueError(job) if job == 2 else job for job in jobs]

    async def run(jobs: list[int]) -> list[int | str]:
        work = batcher(lambda jobs: jobs, settle)

        async def ask(job: int) -> int | str:
            try:
                return await work.submit(job)
            except (ValueError, OSError) as error:
                return f"raised {error}"

        return await asyncio.gather(*map(ask, jobs))

    assert asyncio.run(run([1, 2, 3])) == [1, "raised 2", 3]
    assert asyncio.run(run([0, 1])) == ["raised disk", "raised disk"]


def test_work_that_hangs_is_given_up_settled_once_and_makes_no_other_wait() -> None:
    """The second batch is answered while the first still hangs; when that ends after all, nobody hears of it."""
    go_on = threading.Event()
    settled: list[tuple[list[int], list[int]]] = []

    def score(jobs: list[int]) -> list[int]:
        if jobs == [13]:
            go_on.wait(30)
        return [job * 2 for job in jobs]

    def settle(jobs: list[int], outcomes: Sequence[int]) -> Sequence[int]:
        settled.append((jobs, list(outcomes)))
        return outcomes

    async def run() -> None:
        work = batcher(score, settle, patience=0.1)
        assert await work.submit(13) == -1
        assert await work.submit(1) == 2
        go_on.set()
        assert await work.submit(2) == 4

    asyncio.run(run())
    assert settled == [([13], [-1]), ([1], [2]), ([2], [4])]


def test_while_too_many_pieces_of_work_hang_no_more_are_begun() -> None:
    go_on = threading.Event()
    begun: list[int] = []

    def score(jobs: list[int]) -> list[int]:
        begun.extend(jobs)
        go_on.wait(30)
        return jobs

    async def run() -> None:
        work = batcher(score, patience=0.05)
        for job in range(MOST_STUCK + 2):
            assert await work.submit(job) == -1
        assert begun == list(range(MOST_STUCK))
        go_on.set()
        while await work.submit(100) == -1:
            await asyncio.sleep(0.01)  # until the threads have ended

    asyncio.run(run())


def test_an_estimator_is_given_a_matrix_only_if_it_answers_the_same_to_it() -> None:
    given: list[type] = []

    class ByPosition(Picky):
        feature_names_in_ = np.array(["a"])

        def predict_proba(self, X: pd.DataFrame | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # noqa: N803
            given.append(type(X))
            positive = (np.asarray(X)[:, 0] > 0).astype(float)
            return np.column_stack([1 - positive, positive])

    class ByName(ByPosition):
        def predict_proba(self, X: pd.DataFrame | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # noqa: N803
            return super().predict_proba(pd.DataFrame(X)[["a"]])

    class Otherwise(ByPosition):
        def predict_proba(self, X: pd.DataFrame | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # noqa: N803
            answer = super().predict_proba(X)
            return answer if isinstance(X, pd.DataFrame) else answer[:, ::-1]

    for estimator, kind in ((ByPosition(), np.ndarray), (ByName(), pd.DataFrame), (Otherwise(), pd.DataFrame)):
        model = LoadedModel("1.0.0", SCHEMA, estimator)
        assert model.predict({"a": [1.0, None, -1.0]}).labels == ["yes", "no", "no"]
        assert given[-1] is kind


@given(st.lists(st.lists(st.sampled_from([-1.0, 1.0, 13.0]), min_size=1, max_size=3), min_size=1, max_size=12))
def test_a_poisoned_request_fails_alone(requests: list[list[float]]) -> None:
    estimator = Picky()
    outcomes = score_together(LoadedModel("1.0.0", SCHEMA, estimator), [{"a": values} for values in requests])
    for values, outcome in zip(requests, outcomes, strict=True):
        if 13.0 in values:
            assert isinstance(outcome, ModelFailedError)
            assert "thirteen" in str(outcome)
        else:
            assert outcome == Scores(
                ["yes" if v > 0 else "no" for v in values],
                [float(v > 0) for v in values],
                {"probabilities": [[float(v <= 0), float(v > 0)] for v in values]},
            )
    poisoned = sum(13.0 in values for values in requests)
    assert estimator.calls <= 1 + 2 * poisoned * (len(requests).bit_length())


def test_the_score_is_that_of_the_last_class_of_the_schema_whatever_the_order_of_the_estimator() -> None:
    turned = ModelSchema(features=SCHEMA.features, task=Classification(classes=("yes", "no")))
    assert LoadedModel("1.0.0", turned, Picky()).predict({"a": [1.0]}) == Scores(
        ["yes"], [0.0], {"probabilities": [[1.0, 0.0]]}
    )


def test_a_model_that_returns_the_wrong_shape_has_failed() -> None:
    class Short(Picky):
        def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
            return super().predict_proba(X)[1:]

    with pytest.raises(ModelFailedError, match=r"returned \(1, 2\) probabilities for 2 rows"):
        LoadedModel("1.0.0", SCHEMA, Short()).predict({"a": [1.0, 2.0]})


def test_an_estimator_that_does_not_fit_its_schema_is_not_loaded() -> None:
    with pytest.raises(ModelFailedError, match="tells"):
        LoadedModel("1.0.0", ModelSchema(features=SCHEMA.features, task=Classification(classes=("a", "b"))), Picky())
    with pytest.raises(ModelFailedError, match="no predict_proba"):
        LoadedModel("1.0.0", SCHEMA, object())  # type: ignore[arg-type]  # on purpose
