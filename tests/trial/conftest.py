"""Here each version is tried as often as the platform tries it."""

from inspect import unwrap

import pytest

from mlops_dagster.trial.process import TrialProcess
from tests.support.trials import PASSED_TRIALS


@pytest.fixture(autouse=True)
def _each_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrialProcess, "run", unwrap(TrialProcess.run))
    monkeypatch.delenv(PASSED_TRIALS)
