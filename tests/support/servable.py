"""Versions that pass their trial: models of next to nothing, and files that passed it on another machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sklearn.dummy import DummyClassifier

from mlops_dagster.schema import ModelSchema
from mlops_dagster.trial import Report, Trials, Verdict
from mlops_dagster.trial.process import TrialProcess


def constant(schema: ModelSchema) -> DummyClassifier:
    """Return a classifier that finds all classes of `schema` equally probable, whatever it is given."""
    return DummyClassifier(strategy="prior").fit([[0.0]] * len(schema.task.truths), schema.task.truths)


@contextmanager
def tried_before() -> Iterator[None]:
    """Register in here what passed its trial on this machine: tests of something else need not wait for it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialProcess, "run", lambda *_: Report(Verdict.PASSED))
        yield


@contextmanager
def elsewhere() -> Iterator[None]:
    """Register in here as on a machine where every version passes; this one learns nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "prove", lambda *_: Report(Verdict.PASSED))
        yield
