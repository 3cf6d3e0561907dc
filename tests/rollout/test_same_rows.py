"""Which rows of the log judge two versions, and what each says of them: on real artifacts and a real log."""

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.predictions import PairedCounts
from mlops_dagster.registry import ModelVersion, Provenance
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.comparison.comparison import Comparison, Standing
from mlops_dagster.rollout.comparison.same_rows import ROWS_A_DAY, compare_on_log, trained_until
from mlops_dagster.schema import Feature
from tests.support.two_versions import MARCH, MODEL, SCHEMA, days, estimator, house_at, register, serve

POLICY = RolloutPolicy(min_step_paired=50, rows_per_observation=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """1.0.0 with the threshold 0.4, trained on the first day; 1.1.0 with 0, which is right, on the first two days."""
    register(tmp_path, "1.0.0", estimator(0.4), trained_until=days(1), at=days(1), champion=True)
    register(tmp_path, "1.1.0", estimator(0), trained_until=days(2), at=days(2))
    return tmp_path


def held(home: Path, until: float = 5, rows_a_day: int = ROWS_A_DAY, **changes: str) -> Comparison:
    stores = house_at(home, days(until))
    versions = {"champion": "1.0.0", "challenger": "1.1.0", **changes}
    old, new = (stores.registry.get(MODEL, versions[role]) for role in ("champion", "challenger"))
    return compare_on_log(stores.registry, stores.log, old, new, POLICY, until=days(until), rows_a_day=rows_a_day)


def test_both_are_scored_on_the_rows_that_neither_was_fitted_on(home: Path) -> None:
    """Rows of the training window have another truth, on which the old one would win: none of them is used."""
    serve(home, days(0), 300, answers=0.4, truth=0.4)
    serve(home, days(1), 300, answers=0.4, truth=0.4)
    serve(home, days(2), 1, answers=0.4, truth=0.4, hours=0)  # the last row of the training data itself
    serve(home, days(2) + timedelta(hours=1), 300, answers=0.4)
    serve(home, days(3), 300, answers=0.4)
    serve(home, days(4), 100, answers=0.4, labelled=False)
    found = held(home)
    assert found.sample.since == days(2) + timedelta(microseconds=1)
    assert (found.sample.served, found.sample.unlabelled, found.sample.compared) == (700, 100, 600)
    assert found.overall.pairs.losses == 0
    assert found.overall.challenger is not None
    assert (found.overall.challenger.value("accuracy"), found.overall.challenger.failed) == (1.0, 0)
    assert found.overall.champion is not None
    assert found.overall.champion.value("accuracy") == pytest.approx(1 - found.overall.pairs.wins / 600)
    assert found.overall.champion.value("accuracy") == pytest.approx(0.9, abs=0.03)
    assert found.verdict is Standing.SUPERIOR
    assert [(part.name, part.pairs.total) for part in found.slices] == [("carrier=AA", 300), ("carrier=UA", 300)]
    assert sum((part.pairs for part in found.slices), PairedCounts()) == found.overall.pairs


def test_training_ends_with_the_latest_that_is_known(home: Path) -> None:
    version = house_at(home, MARCH).registry.get(MODEL, "1.1.0")

    def ends(end: float | None, **lineage: str) -> float:
        data = None if end is None else Provenance(dataset="d", digest="0", start=MARCH, end=days(end), rows=1)
        assert version.card is not None
        card = version.card.model_copy(update={"provenance": data})
        changed = ModelVersion(**{**vars(version), "card": card, "lineage": lineage})
        return (trained_until(changed) - MARCH) / timedelta(days=1)

    assert ends(1, as_of=days(3).isoformat()) == 3
    assert ends(4, as_of=days(3).isoformat()) == pytest.approx(4)
    assert ends(4, as_of="last week") == pytest.approx(4)
    assert ends(None) == 2  # when it was registered


def test_labels_known_later_and_other_roles_are_left_out(home: Path) -> None:
    serve(home, days(3), 200, hours=24)
    serve(home, days(3) + timedelta(hours=1), 200, version="1.1.0", role="shadow")
    found = held(home, until=3.5 + 0.5 / 24 / 60)
    assert found.sample.served == 101
    assert found.sample.compared == 100  # the last one is half a minute old, and its label will take a minute


def test_a_row_that_a_version_fails_on_is_a_row_it_got_wrong(home: Path) -> None:
    register(home, "1.2.0", estimator(0, carriers=["AA", "B6"]), trained_until=days(2), at=days(2))
    serve(home, days(3), 60)
    found = held(home, challenger="1.2.0", champion="1.1.0")
    assert found.overall.challenger is not None
    assert found.overall.challenger.failed == 30
    assert found.overall.pairs == PairedCounts(wins=0, losses=30, ties=30)
    assert found.verdict is Standing.WORSE


def test_rows_without_a_feature_that_one_asks_for_judge_nobody(home: Path) -> None:
    wider = SCHEMA.model_copy(update={"features": (*SCHEMA.features, Feature(name="wind", kind="numeric"))})
    register(home, "1.2.0", estimator(0), trained_until=days(2), at=days(2), schema=wider)
    serve(home, days(3), 200)
    found = held(home, challenger="1.2.0")
    assert (found.sample.served, found.sample.not_given, found.sample.compared) == (200, 200, 0)
    assert (found.verdict, found.overall.champion) == (Standing.INCONCLUSIVE, None)


def test_of_a_day_with_too_many_rows_the_same_share_of_each_hour_is_taken(home: Path) -> None:
    serve(home, days(3), 2400)
    serve(home, days(4), 480)
    found = held(home, rows_a_day=480)
    assert (found.sample.served, found.sample.thinned_days) == (2880, 1)
    assert found.sample.compared == 480 + 480
    assert held(home, until=4, rows_a_day=480).sample.compared == 480
