"""The figures of a rehearsal, as `summary.json` has them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from mlops_dagster.monitoring import Performance
from mlops_dagster.rehearsal.summary.feed import FeedLine


@dataclass(frozen=True)
class VersionSummary:
    """One version: its last stage, and the reason."""

    version: str
    digest: str
    final_stage: str
    why: str
    quality: float | None
    """The measure of the quality gate on its own evaluation rows, before it was registered."""


@dataclass(frozen=True)
class Refusal:
    """A version that was refused; `error` names the closed gates."""

    version: str
    error: str


@dataclass(frozen=True)
class BadReleaseSummary:
    """A release that the rehearsal made bad, and its fate."""

    what: str
    expected_loss: float | None
    """The expected loss of the share of right answers; None if not measured."""
    version: str | None
    quality: float | None
    """The measure of the quality gate on its own evaluation rows, which are spoilt as well."""
    fate: str


@dataclass(frozen=True)
class PromotionSummary:
    version: str
    at: str
    reason: str


@dataclass(frozen=True)
class RollbackSummary:
    """A version that was rolled back.

    `seconds_to_proof`: from its first bad evidence to the decision, simulated. `seconds_to_zero_traffic`: from the
    decision until the data plane served a deployment without it, by the machine's clock.
    """

    version: str
    at: str
    reason: str
    by: str
    """The actor that took it out: the data plane's fuse, or Dagster."""
    canary_weight: float
    first_bad_at: str | None
    seconds_to_proof: float | None
    seconds_to_zero_traffic: float | None


@dataclass(frozen=True)
class Retraining:
    version: str
    trigger: str
    when: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """The figures of a rehearsal. `recorded` counts the history's rows; all else is read from stores and instance."""

    model: str
    notes: tuple[str, ...]
    """Shortcomings of the history."""
    recorded: int
    requests: int
    answered: int
    logged: int
    labelled: int
    never_labelled: int
    versions: list[VersionSummary]
    bad_releases: list[BadReleaseSummary]
    refused: list[Refusal]
    promotions: list[PromotionSummary]
    rollbacks: list[RollbackSummary]
    prediction_batches: int
    quarantined_batches: int
    drift_reports: int
    drift_verdicts: dict[str, int]
    label_checks: int
    retrainings: list[Retraining]
    decisions: dict[str, int]
    alerts: list[FeedLine]
    performance: list[Performance]
    headings: Mapping[str, str]
    """The measures of performance that are shown, with their names for people."""
    quality: str
    """The name of the measure of the quality gate for people."""
    dagster_runs: int
    runs_by_job: dict[str, int]
    failed_runs: int
    wall_seconds: float

    def write(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n")
