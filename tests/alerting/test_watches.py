"""Watches come back as they were saved, on both databases; one that cannot be read hides no other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from mlops_dagster.alerting import Rule
from mlops_dagster.alerting.criteria import criteria
from mlops_dagster.alerting.judging import Counted, Seen, Watch, judge
from mlops_dagster.alerting.policy import AlertPolicy
from mlops_dagster.alerting.watches import Watches
from mlops_dagster.database import open_database, writing

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


def watched(model: str, looks: int) -> Watch:
    watch = Watch(model, Rule.ACCURACY)
    for look in range(looks):
        seen = Seen("1.0.0", counts={"": Counted(30, 100)}, kept=(1.0, 2.5))
        watch, _ = judge(criteria(AlertPolicy())[Rule.ACCURACY], watch, seen, NOW + look * timedelta(minutes=1))
    return watch


def test_watches_come_back_as_they_were(database: str) -> None:
    watches = Watches(database)
    first, other = watched("flights", 2), watched("trains", 5)
    watches.save([first, other])
    assert watches.all() == {("flights", "accuracy"): first, ("trains", "accuracy"): other}
    later = watched("flights", 4)
    watches.save([later], removed=[("trains", "accuracy")])
    assert watches.all() == {("flights", "accuracy"): later}
    assert watches.all("trains") == {}
    watches.save([other])
    engine = open_database(database)
    with writing(engine) as connection:
        connection.execute(text("UPDATE watches SET body = '{}' WHERE model = 'flights'"))
    engine.dispose()
    assert watches.all() == {("trains", "accuracy"): other}
    watches.save([later])
    assert watches.all("flights") == {("flights", "accuracy"): later}
    watches.close()
