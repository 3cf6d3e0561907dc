"""The check that words of classification stand in `tasks/`: what it refuses, and that the package passes."""

import pytest

from checks.task_words import main, refused

WORDS = frozenset({"Classification", "metrics_from_confusion"})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from mlops_dagster.tasks import Classification, Task", "Classification"),
        ("from mlops_dagster.statistics import metrics_from_confusion as measured", "metrics_from_confusion"),
        ("def late() -> None:\n    from mlops_dagster.tasks.classification import asking", "asking"),
        ("import mlops_dagster.statistics.metrics.macro_f1", "mlops_dagster.statistics.metrics.macro_f1"),
        ("from mlops_dagster.statistics.metrics import expected_performance", "expected_performance"),
        ("from mlops_dagster.tasks import Task, task_of_kind", None),
        ("from mlops_dagster.statistics import wilson_interval", None),
        ("from elsewhere import Classification", None),
    ],
)
def test_an_import_of_classification_only_is_refused(source: str, name: str | None) -> None:
    line = source.count("\n") + 1
    expected = [] if name is None else [f"m.py:{line}: {name} is of classification only; ask the model's task"]
    assert list(refused(source, "m.py", WORDS)) == expected


def test_the_package_passes() -> None:
    assert main() == 0
