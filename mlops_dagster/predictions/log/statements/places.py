"""Counts of a version's answers by the brackets of a calibration, whether they are labelled or not."""

import math
from typing import TYPE_CHECKING, Final

from mlops_dagster.clock import in_utc
from mlops_dagster.predictions.engine.engine import Engine, Source, Statement
from mlops_dagster.predictions.log.statements.labelled import Window
from mlops_dagster.tasks import Calibration, Places

if TYPE_CHECKING:
    import pyarrow as pa

PLACE_COLUMNS: Final = {
    "version": "version",
    "role": "role",
    "prediction": "prediction",
    "score": "score",
    "event_time": "event_time",
    "day": "date",
}

_COUNT: Final = """
SELECT prediction, place, count(*) AS n FROM rows LEFT JOIN brackets
ON prediction = said AND (low IS NULL OR score >= low) AND (high IS NULL OR score < high)
WHERE day >= ? AND day <= ? AND event_time >= ? AND event_time < ? AND role IN ({roles}) AND version = ?
    AND prediction IS NOT NULL AND score IS NOT NULL
GROUP BY prediction, place
"""


def count_places(engine: Engine, window: Window, rows: Source, version: str, calibration: Calibration) -> Places:
    """Count the answers of a version in `rows`, which have PLACE_COLUMNS, by prediction and bracket of the score.

    The bracket of a prediction that the calibration lacks is None. Raises as `Engine.run`.
    """
    brackets = _brackets(calibration)
    since, until = in_utc(window.since), in_utc(window.until)
    found = engine.run(
        Statement(
            _COUNT.format(roles=", ".join("?" * len(window.roles))),
            {"rows": rows, "brackets": Source(brackets, {name: name for name in brackets.column_names})},
            [since.date(), until.date(), since, until, *window.roles, version],
        )
    )
    return Places({(row["prediction"], row["place"]): row["n"] for row in found.to_pylist()})


def _brackets(calibration: Calibration) -> "pa.Table":
    """Return a row for each bracket, from `low`, which is part of it, up to `high`; null for no limit."""
    import pyarrow as pa

    rows = []
    for said, its in calibration.brackets.items():
        ends = [*(each.above for each in its[1:]), None]
        for place, (bracket, high) in enumerate(zip(its, ends, strict=True)):
            low = None if math.isinf(bracket.above) else bracket.above
            rows.append({"said": said, "place": place, "low": low, "high": high})
    ends_of = [(name, pa.float64()) for name in ("low", "high")]
    return pa.Table.from_pylist(rows, pa.schema([("said", pa.string()), ("place", pa.int64()), *ends_of]))
