"""Evidently reports: pages for people that show a window of served rows next to the training set.

A page shows a sample and says so. The numbers that decide are of all rows; they stand above the figures, and as JSON in
the page's element `exact-numbers`. A page is written once and is never an input to a decision.
"""

import functools
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from mlops_dagster.extras import require
from mlops_dagster.inference import feature_of
from mlops_dagster.monitoring.drift.report import DriftReport
from mlops_dagster.monitoring.pages.samples import rows_like, sample_served
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.registry import ModelVersion
from mlops_dagster.statistics import CategoricalBins
from mlops_dagster.storage.files import Files

if TYPE_CHECKING:
    from jinja2 import Template

SEED = 0


def publish_report(
    log: PredictionLog,
    champion: ModelVersion,
    report: DriftReport,
    since: datetime,
    until: datetime,
    *,
    rows: int,
    files: Files,
    source: str | None = None,
) -> str | None:
    """Draw at most `rows` of the rows served in [since, until) next to the champion's baseline; publish the page.

    `report` is of the same window, and `source` its address in Dagster's UI. Returns the link to open in a browser, or
    None when the log has no rows of the window. Raises StorageError, and any error of Evidently for rows that it cannot
    draw.
    """
    baseline = champion.baseline
    assert baseline is not None  # without a baseline there is no report
    features = [feature_of(name, its.bins) for name, its in baseline.features.items()]
    sample = sample_served(log, champion.model, features, since, until, most=rows, seed=SEED)
    if sample.served == 0:
        return None
    require("monitoring", "a drift page")
    # Imported only if there is something to draw: the import takes seconds.
    from mlops_dagster.monitoring.pages import evidently_page

    title = f"{champion.model}: drift, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    numbers = {
        "model": champion.model,
        "champion": champion.version,
        "since": since,
        "until": until,
        "sample": {"rows": len(sample.rows), "of": sample.served, "seed": SEED, "reference_rows": rows},
        **report.metadata(),
    }
    reference = rows_like(baseline, sample.rows, rows=rows, seed=SEED)
    categorical = tuple(name for name, its in baseline.features.items() if isinstance(its.bins, CategoricalBins))
    above = _template().render(
        title=title,
        numbers=numbers,
        report=report,
        by_psi=sorted(report.features, key=lambda each: -(each.psi or 0)),
        undrawn=evidently_page.undrawn(sample.rows, reference, categorical=categorical),
        evidently=evidently_page.LIBRARY,
        source=source,
        # A script must not contain its own end tag.
        json=orjson.dumps(numbers, option=orjson.OPT_INDENT_2).decode().replace("<", r"\u003c"),
    )
    page = evidently_page.draw(
        sample.rows,
        reference,
        categorical=categorical,
        title=title,
        above=above,
        source=f"../{evidently_page.LIBRARY}",
    ).encode()
    if not files.has(evidently_page.LIBRARY):
        files.add(evidently_page.LIBRARY, evidently_page.library())
    # An hour that is materialized again may have new numbers, and then gets a new page.
    name = f"{champion.model}/{since:%Y-%m-%dT%H}_{until:%Y-%m-%dT%H}-{hashlib.sha256(page).hexdigest()[:8]}.html"
    files.add(name, page)
    return files.link(name)


@functools.cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlops_dagster.monitoring.pages", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("exact_numbers.html.jinja")
