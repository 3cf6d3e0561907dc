"""Choice of the first champion: without a champion to compare with, the gates alone decide."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_dagster.alerting import Alerts, Rule, Severity
from mlops_dagster.errors import ApprovalError, RefusedError
from mlops_dagster.registry import ModelRegistry, ModelVersion, Stage
from mlops_dagster.rollout.actions.approval import waits_for_approval

RULE = Rule.NO_CHAMPION
REASON = "the first version: no champion yet"


@dataclass(frozen=True)
class Candidate:
    """A registered version, and the gates that are closed to it, the gravest first."""

    version: ModelVersion
    closed: tuple[RefusedError, ...]

    @property
    def lacks_only_approval(self) -> bool:
        return bool(self.closed) and all(isinstance(gate, ApprovalError) for gate in self.closed)


def choose_first(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the newest candidate with every gate open; else the newest that lacks approval only; else the newest.

    None without candidates. Pure: the caller sees in `closed` of the result whether it may be promoted.
    """
    newest_first = sorted(candidates, key=lambda each: each.version.created_at, reverse=True)
    ready = [each for each in newest_first if not each.closed]
    waiting = [each for each in newest_first if each.lacks_only_approval]
    return next(iter([*ready, *waiting, *newest_first]), None)


def candidates_of(registry: ModelRegistry, versions: Sequence[ModelVersion]) -> list[Candidate]:
    """Return the versions that may become the first champion, with the gates closed to each now."""
    waiting = [version for version in versions if version.stage is Stage.REGISTERED and not version.rolled_back]
    return [Candidate(version, registry.closed_gates(version)) for version in waiting]


def is_asked_for(registry: ModelRegistry, candidate: Candidate) -> bool:
    """Return whether its approval was asked for and not refused; ask for it if that was not done yet."""
    return candidate.lacks_only_approval and waits_for_approval(registry, candidate.version, REASON)


def tell_refused(alerts: Alerts, candidate: Candidate) -> bool:
    """Open an alert that no version passes the gates, naming those closed to this one; return whether it is new."""
    version = candidate.version
    evidence = {"version": version.version, "gates": [gate.code for gate in candidate.closed]}
    known = any(alert.rule == RULE and alert.evidence == evidence for alert in alerts.list(version.model))
    alerts.report(
        version.model,
        RULE,
        Severity.WARNING,
        "; ".join(gate.told for gate in candidate.closed),
        version=version.version,
        since=version.created_at,
        done="nothing is served: the newest version that passes becomes champion as soon as its gates are open",
        evidence=evidence,
    )
    return not known


def tell_chosen(alerts: Alerts, model: str, version: str) -> None:
    """Resolve the alert of `tell_refused`, if it is open: `version` passes the gates, or is champion."""
    if any(alert.rule == RULE for alert in alerts.list(model)):
        alerts.resolve(model, RULE, f"{version} is let through")
