"""The snapshot: all content of the control room at one time."""

from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.board.snapshot.entities.alerts import Alerts, Feed, Watching
from mlops_dagster.board.snapshot.entities.drift import DriftPanel
from mlops_dagster.board.snapshot.entities.figures import Figures
from mlops_dagster.board.snapshot.entities.policies import PolicyPanel
from mlops_dagster.board.snapshot.entities.rollouts import RolloutPanel
from mlops_dagster.board.snapshot.entities.section import Section
from mlops_dagster.board.snapshot.entities.versions import KpiRow, ModelRow, VersionRow


@dataclass(frozen=True, slots=True)
class Page:
    """The models that the tables are about, out of all of them; or the versions of one model."""

    number: int
    """From 1 on."""
    pages: int
    models: int
    """The number of all models."""
    of: str | None
    """The only model of the tables, alerts and feed; None if they are about all."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The control room at one time.

    Figures, alerts and feed are about all models, the tables about the models of the page.
    """

    name: str
    """The name of the installation (MLOPS_NAME)."""
    at: datetime
    """The time that everything is about; labels are those known at that time or since."""
    past: bool
    """True if `at` is over a minute before the time of the stores' clock: the page is a look back."""
    page: Page
    watching: Section[Watching]
    figures: Figures
    alerts: Section[Alerts]
    feed: Section[Feed]
    models: Section[tuple[ModelRow, ...]]
    versions: Section[tuple[VersionRow, ...]]
    kpis: Section[tuple[KpiRow, ...]]
    rollouts: Section[tuple[RolloutPanel, ...]]
    drift: Section[tuple[DriftPanel, ...]]
    policies: Section[tuple[PolicyPanel, ...]]
