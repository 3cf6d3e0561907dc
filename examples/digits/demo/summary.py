"""What has happened, read back from the stores, from Dagster and from the clients; and whether it should have."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from rich.console import Console
from rich.markup import escape

from demo.dagster_dev import Dagster
from demo.load import Load
from mlops_dagster.predictions import audit
from mlops_dagster.registry import Event
from mlops_dagster.rollout import Decision, Outcome, Phase, Rollout
from mlops_dagster.stores import Stores


@dataclass(frozen=True)
class Summary:
    """Rows to show, and in words what is not as it should be."""

    rows: list[tuple[str, str]]
    problems: list[str]

    @classmethod
    def read(cls, model: str, stores: Stores, load: Load, dagster: Dagster, *, seconds: float) -> "Summary":
        good, bad = stores.rollouts.list(model)
        events = stores.registry.history(model)
        decisions = {rollout.id: stores.rollouts.decisions(rollout.id) for rollout in (good, bad)}
        counts = Counter(decision.outcome.value for found in decisions.values() for decision in found)
        found = audit(stores.spool, stores.log, stores.rollups)
        runs = dagster.runs()
        failed_runs = [run for run in runs if run.is_failure]
        rows = [
            ("requests, answered, logged", f"{load.requests:,} / {found.answered:,} / {found.logged:,}"),
            ("failed requests, labels", f"{load.failed} / {load.labelled:,}"),
            (f"{good.challenger} promoted", f"{_steps(good, events)}; {_minutes(good)} from shadow to all traffic"),
            (f"{bad.challenger} rolled back", f"{_steps(bad, events)}; by {_rollback(events).actor}"),
            *_times(bad, decisions[bad.id], events, load),
            ("decisions", ", ".join(f"{outcome.value} {counts[outcome.value]}" for outcome in Outcome)),
            ("Dagster runs", f"{len(runs)} ({len(failed_runs)} failed)"),
            ("wall time", f"{seconds:.0f} s"),
        ]
        champion = stores.registry.deployment(model).champion
        broken = {
            f"{champion} is champion, not {good.challenger}": champion != good.challenger,
            f"{good.challenger} took the steps {_weights(good, events)}": _weights(good, events)
            != [*good.policy.steps],
            f"{bad.challenger} ended as {bad.phase}": bad.phase is not Phase.ROLLED_BACK,
            f"of {load.requests} requests {found.answered} were answered and {found.logged} logged": not (
                load.requests == found.answered == found.logged and found.complete
            ),
            f"{len(failed_runs)} Dagster runs failed": bool(failed_runs),
        }
        return cls(rows, [problem for problem, is_so in broken.items() if is_so])

    def show(self, console: Console) -> None:
        console.print("\n[bold]What happened[/bold]")
        for name, value in self.rows:
            console.print(f"{name:36}  {escape(value)}", soft_wrap=True, highlight=False)
        for problem in self.problems:
            console.print(f"[red]not as it should be:[/red] {escape(problem)}", soft_wrap=True)


def _weights(rollout: Rollout, events: list[Event]) -> list[float]:
    """The shares that the challenger was given as a canary."""
    given = [event.deployment.canary_weight for event in events if event.deployment.canary == rollout.challenger]
    return given[:1] + [after for before, after in pairwise(given) if after != before]


def _steps(rollout: Rollout, events: list[Event]) -> str:
    return "shadow, " + ", ".join(f"{weight:.0%}" for weight in _weights(rollout, events))


def _minutes(rollout: Rollout) -> str:
    ended = rollout.promoted_at or rollout.ended_at
    return "?" if ended is None else f"{(ended - rollout.started_at).total_seconds() / 60:.1f} minutes"


def _rollback(events: list[Event]) -> Event:
    return next(event for event in events if event.kind == "rollback")


def _times(rollout: Rollout, decisions: Sequence[Decision], events: list[Event], load: Load) -> list[tuple[str, str]]:
    """Of the bad release: from the first request that it failed on, by the clocks of one machine."""
    event, bad = _rollback(events), rollout.challenger
    decision = next(found for found in decisions if found.outcome is Outcome.ROLLBACK)
    # The fuse proves and acts in one; what is decided in a sensor is recorded before it acts.
    proven_at = event.recorded_at if decision.origin == "deployment" else decision.recorded_at or decision.at
    last_answer = max(filter(None, (load.last_answer_of.get(bad), load.last_failure_at)), default=None)
    return [
        ("  first bad request to proof", _seconds(load.first_blank_at, proven_at)),
        ("  first bad request to its last answer", _seconds(load.first_blank_at, last_answer)),
        ("  proof", decision.reason),
    ]


def _seconds(begin: datetime | None, end: datetime | None) -> str:
    return "?" if begin is None or end is None else f"{(end - begin).total_seconds():.1f} s"
