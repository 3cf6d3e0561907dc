from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.rehearsal.traffic.labels import DueLabel, Labels

START = datetime(2013, 3, 1, tzinfo=UTC)
minutes = st.integers(min_value=0, max_value=600)


@given(known_at=st.lists(minutes), looks=st.lists(minutes))
def test_every_label_comes_once_in_order_and_never_early(known_at: list[int], looks: list[int]) -> None:
    labels = Labels()
    for number, minute in enumerate(known_at):
        labels.add(DueLabel(START + timedelta(minutes=minute), str(number), "late"))
    came: list[DueLabel] = []
    for look in [*sorted(looks), 600]:
        now = START + timedelta(minutes=look)
        due = list(labels.due(now))
        assert all(label.known_at <= now for label in due)
        came += due
    assert sorted(label.prediction_id for label in came) == sorted(str(number) for number in range(len(known_at)))
    assert [label.known_at for label in came] == sorted(label.known_at for label in came)
    assert len(labels) == 0
