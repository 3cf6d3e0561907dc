"""Rows of each hour, by the bins that their features were counted in."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from mlops_dagster.predictions.records import from_microseconds
from mlops_dagster.predictions.rollups.counting.addition import digest_of
from mlops_dagster.predictions.rollups.counting.tally import HOUR
from mlops_dagster.predictions.rollups.queries import of_arms, served, within
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.rollups.tables import CELL_TYPE, cells
from mlops_dagster.statistics import Bins


def rows_by_hour(
    rollups: Rollups, model: str, since: datetime, until: datetime, bins: Mapping[str, Bins]
) -> dict[str, tuple[dict[datetime, int], dict[datetime, int]]]:
    """Return, for each of these features, the rows of every hour counted in these bins, and those in any bins."""
    wanted = {feature: digest_of(its) for feature, its in bins.items()}
    found: dict[str, tuple[Counter[datetime], Counter[datetime]]] = {
        feature: (Counter(), Counter()) for feature in bins
    }
    query = of_arms(cells, cells.c.feature, cells.c.bins, cells.c.hour, cells.c.counts).where(
        served(model, None), within(cells, since, until)
    )
    for feature, its, hour, counts in rollups.rows(query):
        if feature in found:
            rows, at = int(np.frombuffer(counts, dtype=CELL_TYPE).sum()), from_microseconds(hour * HOUR)
            found[feature][1][at] += rows
            if wanted[feature] == its:
                found[feature][0][at] += rows
    return {feature: (dict(counted), dict(rows)) for feature, (counted, rows) in found.items()}
