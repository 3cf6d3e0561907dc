"""The taking of a snapshot."""

from datetime import datetime

from mlops_dagster.board.snapshot.entities import Snapshot
from mlops_dagster.board.snapshot.section import no_model, section
from mlops_dagster.board.snapshot.sections.alerts import alerts, nothing_fires
from mlops_dagster.board.snapshot.sections.drift import drift, no_report
from mlops_dagster.board.snapshot.sections.feed import feed, nothing_yet
from mlops_dagster.board.snapshot.sections.figures import figures
from mlops_dagster.board.snapshot.sections.models import models
from mlops_dagster.board.snapshot.sections.policies import policies
from mlops_dagster.board.snapshot.sections.rollouts import no_rollout, rollouts
from mlops_dagster.board.snapshot.sections.versions import kpis, versions
from mlops_dagster.board.snapshot.sections.watching import watching
from mlops_dagster.board.snapshot.view import LIVE, View
from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.stores import Stores


def snapshot(stores: Stores, at: datetime, *, page: int = 1, model: str | None = None) -> Snapshot:
    """Return the control room as of `at`. Nothing is written, and a store that fails takes only its sections away.

    Args:
        stores: the stores of the home.
        at: an aware time; labels of predictions until then count even if they came later.
        page: the page of models, from 1 on, the worst first; of one model, the page of its versions. A number that is
            too large is the last page.
        model: the only model of tables, alerts and feed, with all of its versions and features.

    Raises:
        InvalidInputError: if `at` is in the future.
        ModelNotFoundError: for an unknown `model`.
        NotKeptError: for a time of which records have been removed.
        ValueError: if `at` is naive.
    """
    if in_utc(at) > stores.clock.now() + LIVE:
        raise InvalidInputError(
            f"{in_utc(at):%Y-%m-%d %H:%M} UTC is in the future; leave it out for the control room of now"
        )
    view = View(stores, in_utc(at), page=page, only=model)
    return Snapshot(
        name=stores.settings.name,
        at=view.at,
        past=view.past,
        page=view.page,
        watching=section(view, watching),
        figures=figures(view),
        alerts=section(view, alerts, nothing_fires),
        feed=section(view, feed, nothing_yet),
        models=section(view, models, no_model),
        versions=section(view, versions, no_model),
        kpis=section(view, kpis, no_model),
        rollouts=section(view, rollouts, no_rollout),
        drift=section(view, drift, no_report),
        policies=section(view, policies, no_model),
    )
