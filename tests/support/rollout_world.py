"""A world for rollouts: registry, rollups, a clock, and traffic as told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.predictions import Answered, PredictionRecord, Role, Rollups, Spool, speaking_row
from mlops_dagster.registry import (
    Baseline,
    Deployment,
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    ModelRegistry,
    ModelVersion,
    Provenance,
    Stage,
    Validation,
)
from mlops_dagster.rollout import Controller, Outcome, Rollout, RolloutPolicy, RolloutStore
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings
from tests.support.servable import constant

START = datetime(2013, 3, 1, tzinfo=UTC)
MODEL = "flights"
POLICY = RolloutPolicy(
    steps=(0.2, 0.5),
    shadow_hours=1,
    soak_hours=1,
    min_canary_hours=2,
    deadline_hours=10,
    bake_hours=2,
    min_shadow_requests=10,
    min_step_requests=5,
    min_step_paired=20,
    rows_per_observation=1,
    max_slow_rate=0.05,  # 1 % takes some 300 answers of the canary to prove
)
SCORES = {"accuracy": 0.95, "micro_f1": 0.95, "macro_f1": 0.9}
CARD = ModelCard(
    provenance=Provenance(dataset="flights", digest="0", start=START, end=START, rows=1),
    evaluation=(EvaluationSlice(name="overall", rows=1, metrics=SCORES),),
    intended_use="tests",
    failure_modes=("none known",),
    fairness=FairnessAudit(attribute="carrier", groups={"UA": SCORES}, max_gap=0),
    validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
    contacts=("team",),
)
Fate = Literal["win", "loss", "tie", "error", "champion_error", "both_fail"]


class World:
    """Everything in one home, at a time that only moves when told."""

    model = MODEL

    def __init__(
        self, home: Path, now: datetime = START, policy: RolloutPolicy = POLICY, database: str | None = None
    ) -> None:
        self.home = home
        self.policy = policy
        self.clock = ReplayedClock(now)
        self.settings = settings = Settings(home=home, database_url=database)
        self.registry = ModelRegistry(settings=settings, clock=self.clock, actor="test")
        self.rollouts = RolloutStore(settings.database)
        self.rollups = Rollups(f"sqlite:///{home}/rollups.sqlite")
        self.spool = Spool(home / "spool.sqlite")
        self.controller = Controller(self.registry, self.rollouts, self.rollups, lambda _: policy, self.clock)
        self._served = 0
        self._unlabelled: list[str] = []
        self.answered_by: dict[str, Role] = {}

    def close(self) -> None:
        for part in (self.registry, self.rollouts, self.rollups, self.spool):
            part.close()

    def register(
        self,
        version: str,
        card: ModelCard | None = CARD,
        baseline: Baseline | None = None,
        schema: ModelSchema | None = None,
    ) -> ModelVersion:
        artifact = self.home / f"{version}.txt"
        artifact.write_text(version)
        return self.registry.register(
            MODEL,
            artifact if schema is None else constant(schema),
            version,
            card=card,
            baseline=baseline,
            schema=schema,
        )

    def champion(self, version: str = "1.0.0") -> ModelVersion:
        return self.registry.transition(self.register(version), Stage.PRODUCTION)

    def later(self, hours: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(hours=hours))

    def serve(
        self,
        *,
        wins: int = 0,
        losses: int = 0,
        ties: int = 0,
        errors: int = 0,
        champion_errors: int = 0,
        both_fail: int = 0,
        hours: float = 1.5,
        labelled: bool = True,
        truth: str = "late",
        rows: int = 1,
        key: str | None = None,
        unit: str | None = None,
    ) -> None:
        """Requests with these fates of the challenger, their labels at once (or when told), then the time moves on.

        `rows` is how many each has, all of one fate; `unit` what they are evidence of, if not of themselves.
        """
        fates: list[Fate] = ["win"] * wins + ["loss"] * losses + ["tie"] * ties + ["error"] * errors
        fates += ["champion_error"] * champion_errors + ["both_fail"] * both_fail
        records, deployment = [], self.registry.deployment(MODEL)
        for fate in fates:
            self._served += 1
            name = f"{fate}.{truth}.{self._served}"
            answers = [self._whole(answer, rows, key, unit, truth) for answer in self._answers(name, fate, deployment)]
            records += [row for answer in answers for row in answer]
            self.answered_by[name] = answers[0][0].role
            self._unlabelled += [record.prediction_id for record in answers[0]]
        self.spool.append(records)
        if labelled:
            self.label()
        self.rollups.catch_up(self.spool, lambda _model, _version: None)
        self.later(hours)

    def label(self, where: Callable[[str, str, Role], bool] = lambda _fate, _truth, _role: True) -> None:
        """The labels of all that have none, or of those that are `where(fate, truth, role that answered)`."""
        now, known = self.clock.now(), {}
        for row in self._unlabelled:
            name = row.partition("/")[0]
            fate, truth, _ = name.split(".")
            if where(fate, truth, self.answered_by[name]):
                known[row] = truth
        self.spool.feedback([(row, truth, now) for row, truth in known.items()], model=MODEL)
        self._unlabelled = [row for row in self._unlabelled if row not in known]
        self.rollups.catch_up(self.spool, lambda _model, _version: None)

    def _whole(
        self, first: PredictionRecord, rows: int, key: str | None, unit: str | None, truth: str
    ) -> list[PredictionRecord]:
        """All rows of an answer, one of which speaks for the request."""
        speaker, other = speaking_row(first.request, rows), {"late": "on_time"}.get(truth, "late")
        prediction = first.prediction and (truth if first.prediction == "late" else other)
        return [
            first._replace(
                prediction_id=first.prediction_id if rows == 1 else f"{first.prediction_id}/{row}",
                row=row,
                key=key,
                prediction=prediction,
                unit=(unit or first.unit) if row == speaker else "",
            )
            for row in range(rows)
        ]

    def serve_equal(self) -> None:
        self.serve(wins=2, losses=2, ties=96)

    def serve_better(self) -> None:
        self.serve(wins=80, losses=10, ties=310)

    def serve_worse(self) -> None:
        self.serve(wins=2, losses=60, ties=138)

    def _answers(self, name: str, fate: Fate, deployment: Deployment) -> list[PredictionRecord]:
        """By turns the canary answers as many requests of a hundred as its weight says."""
        assert deployment.champion is not None
        canary, weight = deployment.canary, deployment.canary_weight
        if canary is None:
            arms: list[tuple[str, Role, float]] = [(deployment.champion, "champion", 1.0)]
        elif self._served * 37 % 100 < 100 * weight:
            arms = [(canary, "canary", weight), (deployment.champion, "paired", weight)]
        else:
            arms = [(deployment.champion, "champion", 1 - weight), (canary, "paired", weight)]
        arms = [arm for arm in arms if arm[1] != "paired" or self.policy.uses_pairs]
        arms += [(shadow, "shadow", weight) for shadow in deployment.shadows]
        old = deployment.previous if deployment.previous in deployment.shadows else deployment.champion
        records = [self._record(name, version, role, share, fate, old) for version, role, share in arms]
        answer = Answered(records[0].version, records[0].role, records[0].status)
        return [records[0], *(record._replace(beside=answer) for record in records[1:])]

    def _record(self, name: str, version: str, role: Role, weight: float, fate: Fate, old: str) -> PredictionRecord:
        failed = fate in (("champion_error", "both_fail") if version == old else ("error", "both_fail"))
        wrong = fate == ("win" if version == old else "loss")
        return PredictionRecord(
            prediction_id=name,
            request=name,
            model=MODEL,
            version=version,
            role=role,
            weight=weight,
            epoch=1,
            salt="salt",
            key=None,
            event_time=self.clock.now(),
            received_at=self.clock.now(),
            status="failed" if failed else "ok",
            error="it raised" if failed else None,
            features={},
            prediction=None if failed else "on_time" if wrong else "late",
            score=None if failed else 0.9,
            latency_ms=5.0,
            process="test",
            row=0,
            unit=name,
        )

    def tick(self) -> Outcome | None:
        decision = self.controller.tick(MODEL)
        return None if decision is None else decision.outcome

    def stage(self, version: str) -> Stage:
        return self.registry.get(MODEL, version).stage

    @property
    def deployment(self) -> Deployment:
        return self.registry.deployment(MODEL)

    @property
    def rollout(self) -> Rollout:
        """The latest."""
        return self.rollouts.list(MODEL)[-1]

    def reach(self, step: int) -> None:
        """Bring the newest version to a step (0: shadow) by way of equal evidence."""
        self.tick()
        while self.rollout.step < step:
            self.serve_equal()
            self.tick()

    def promote(self) -> None:
        """Bring the newest version into the watch."""
        self.reach(2)
        self.serve_better()
        assert self.tick() is Outcome.PROMOTE
