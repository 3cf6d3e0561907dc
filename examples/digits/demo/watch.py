"""The eyes of the demonstration: follow what happens in the stores and tell it, line by line."""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console

from demo.dagster_dev import Dagster
from demo.load import Load
from mlops_dagster.registry import Deployment, Event
from mlops_dagster.rollout import Decision, Outcome
from mlops_dagster.stores import Stores

LOOK_SECONDS = 0.5
STATUS_SECONDS = 15
COLOURS = {Outcome.ROLLBACK: "red", Outcome.GIVE_UP: "red", Outcome.PROMOTE: "green", Outcome.ADVANCE: "cyan"}
CHANGES = ("transition", "weight", "rollback")


class DidNotHappenError(Exception):
    """Something that the demonstration is there to show has not come about."""


@dataclass
class Watch:
    """Tells of each decision, of each change of who serves, and now and then of the traffic."""

    model: str
    stores: Stores
    dagster: Dagster
    console: Console
    load: Load | None = None
    _begun: float = field(default_factory=time.monotonic)
    _told_at: float = 0.0
    _told: Counter[str] = field(default_factory=Counter)
    _decision: int = 0
    _event: int = 0
    _serving: str = ""

    def say(self, text: str) -> None:
        seconds = int(time.monotonic() - self._begun)
        self.console.print(f"[dim]{seconds // 60}:{seconds % 60:02}[/dim]  {text}", highlight=False, soft_wrap=True)

    def until(self, happened: Callable[[], bool], what: str, seconds: float) -> None:
        """Look on until it has happened. Raises DidNotHappenError after `seconds` and if a run fails, ServerError if
        a server ends."""
        deadline = time.monotonic() + seconds
        while True:
            done = happened()  # asked first: what led to it is then told before anything that follows it
            self._look()
            if done:
                return
            if time.monotonic() > deadline:
                raise DidNotHappenError(f"within {seconds:g} s it did not happen that {what}; see {self.dagster.url}")
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        self.dagster.check()
        for run in self.dagster.runs():
            if run.is_failure:
                raise DidNotHappenError(f"the run of {run.job_name} has failed: {self.dagster.url}/runs/{run.run_id}")
        if self.model in self.stores.registry.models():
            for rollout in self.stores.rollouts.list(self.model):
                for decision in self.stores.rollouts.decisions(rollout.id):
                    if decision.id > self._decision:
                        self._decision = decision.id
                        self._tell_decision(decision)
            for event in self.stores.registry.history(self.model):
                if event.id > self._event:
                    self._event = event.id
                    self._tell_event(event)
        if self.load is not None:
            self.load.check()
            self._tell_traffic(self.load)

    def _tell_decision(self, decision: Decision) -> None:
        colour = COLOURS.get(decision.outcome, "dim")
        pairs = decision.evidence.labels.paired
        counts = f" (paired labels: {pairs.wins} won, {pairs.losses} lost, {pairs.ties} tied)" if pairs.total else ""
        self.say(f"  [{colour}]{decision.outcome.value:8}[/{colour}] {_plain(decision.reason)}[dim]{counts}[/dim]")

    def _tell_event(self, event: Event) -> None:
        if event.kind == "registered":
            self.say(f"[bold]{self.model} {event.version} is registered[/bold] by {event.actor}")
        elif event.kind in CHANGES and (serving := _serving(event.deployment)) != self._serving:
            self._serving = serving
            self.say(f"[bold]{serving}[/bold], by {event.actor}")

    def _tell_traffic(self, load: Load) -> None:
        now = time.monotonic()
        if now - self._told_at < STATUS_SECONDS:
            return
        new = Counter(load.answered_by) + Counter({"failed": load.failed})
        recent = new - self._told
        if self._told and recent:
            shares = ", ".join(f"{who} {count / recent.total():.1%}" for who, count in sorted(recent.items()))
            rate = recent.total() / (now - self._told_at)
            self.say(f"[dim]{rate:.0f} requests/s: {shares}; {load.labelled:,} labels so far[/dim]")
        self._told, self._told_at = new, now


def _serving(deployed: Deployment) -> str:
    if deployed.champion is None:
        return "nobody serves"
    parts = [f"{deployed.champion} serves {1 - deployed.canary_weight:.0%}"]
    if deployed.canary is not None:
        parts.append(f"{deployed.canary} {deployed.canary_weight:.0%} as canary")
    parts += [f"{shadow} scores all of it as a shadow" for shadow in deployed.shadows]
    return ", ".join(parts)


def _plain(reason: str) -> str:
    """Without what rich would take for markup, and with the time of day alone: it is all today."""
    return re.sub(r"\d{4}-\d\d-\d\d (\d\d:\d\d)", r"\1", reason).replace("[", "(").replace("]", ")")
