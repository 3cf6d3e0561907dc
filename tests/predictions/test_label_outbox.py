"""Labels that wait in the home while the shared database is away know nothing of who was erased."""

from pathlib import Path

from mlops_dagster.predictions.labels.inbox import Batch, SentLabel
from mlops_dagster.predictions.labels.outbox import LabelOutbox


def test_a_label_that_waits_is_forgotten_to_the_last_byte(tmp_path: Path) -> None:
    outbox = LabelOutbox(tmp_path / "labels.sqlite", "process")
    sent = [
        SentLabel(Batch(model, None, 0, 0), name, "late", None)
        for model in ("flights", "other")
        for name in ("order-of-ada", "order-of-bob")
    ]
    outbox.add(sent)
    outbox.forget("flights", ["order-of-ada"])
    outbox.remove(1)
    assert [each.sent for each in outbox.read(9)] == sent[1:]
    outbox.forget("other", ["order-of-ada"])
    assert [each.sent for each in outbox.read(9)] == [sent[1], sent[3]]
    assert not [file for file in tmp_path.iterdir() if b"order-of-ada" in file.read_bytes()]
