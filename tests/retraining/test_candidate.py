"""What a training set lacks is said before anything is fitted."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from mlops_dagster.errors import TrainingDataError
from mlops_dagster.retraining.candidate import fit_candidate
from mlops_dagster.retraining.trainer import Trainer
from tests.two_versions import MARCH, SCHEMA

ROWS = pd.DataFrame(
    {"x": 0.0, "carrier": "AA", "label": "ok", "event_time": [MARCH + timedelta(hours=n) for n in range(200)]}
)
NEVER_FITS = cast("Trainer", SimpleNamespace(SCHEMA=SCHEMA))


@pytest.mark.parametrize(
    ("attribute", "evaluate_from", "reason"),
    [
        ("airline", MARCH + timedelta(days=2), "names airline; the training set has x, carrier, label, event_time"),
        ("carrier", MARCH, "0 rows to fit on and 200 to evaluate on"),
        ("carrier", datetime(2014, 1, 1, tzinfo=UTC), "200 rows to fit on and 0 to evaluate on"),
    ],
)
def test_a_set_that_cannot_be_judged_is_not_fitted(attribute: str, evaluate_from: datetime, reason: str) -> None:
    with pytest.raises(TrainingDataError, match=reason):
        fit_candidate(NEVER_FITS, ROWS, dataset="", evaluate_from=evaluate_from, fairness_attributes=[attribute])
