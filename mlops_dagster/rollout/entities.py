"""Rollouts and the decisions about them. Both round-trip through JSON to the bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from mlops_dagster.registry.entities.semantic_version import final_of
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import DesignEffect
from mlops_dagster.tasks import UNKNOWN_TASK

# An e-value may be infinite, for which JSON has no number.
_JSON = ConfigDict(ser_json_inf_nan="strings")


class Phase(StrEnum):
    SHADOW = "shadow"
    CANARY = "canary"
    WATCH = "watch"
    """The bake: the challenger has been promoted, and the old champion goes on as a shadow."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    GIVEN_UP = "given_up"

    @property
    def ended(self) -> bool:
        return self not in (Phase.SHADOW, Phase.CANARY, Phase.WATCH)


class Outcome(StrEnum):
    ADVANCE = "advance"
    HOLD = "hold"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Rollout:
    """One challenger's way to all traffic, or out; a bake follows its promotion."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    id: int
    model: str
    champion: str
    challenger: str
    policy: RolloutPolicy
    phase: Phase
    step: int
    """0 in shadow; k in canary, where the weight is `policy.steps[k - 1]`; the last in the bake."""
    weight: float
    """The challenger's share of the traffic."""
    started_at: datetime
    canary_at: datetime | None
    step_at: datetime
    """The beginning of the present step (or of the shadow phase, or of the bake)."""
    paused: bool
    peaks: Mapping[str, float]
    """The highest e-value each test of `Decision.tests` ever had."""
    epoch: int
    """The deployment's epoch when this rollout was last found to agree with it."""
    ended_at: datetime | None = None
    reason: str = ""
    """The reason of the end."""
    promoted_at: datetime | None = None
    shared: DesignEffect | None = None
    """The number of rows of a day that count as one in the comparison, as the challenger's evaluation shows it."""
    strata: Mapping[str, float] = field(default_factory=dict)
    """The shares of the task's strata, such as classes, among the labels that the challenger was trained on.

    0 where they are not known.
    """
    merit: str = UNKNOWN_TASK.merit
    """The name of 1 - mean loss of the model's task, which labels compare."""
    truth_noun: str = UNKNOWN_TASK.truth_noun
    """The noun for a stratum in reasons."""
    paused_at: datetime | None = None
    """The beginning of the present pause."""
    paused_for: timedelta = timedelta()
    """The total length of the pauses that have ended."""

    def time_paused(self, now: datetime) -> timedelta:
        """Return the length of all pauses until `now`: paused time is not observed time, so it moves the deadline."""
        lasting = timedelta() if self.paused_at is None else max(now - self.paused_at, timedelta())
        return self.paused_for + lasting

    def deadline(self, now: datetime) -> datetime:
        """Return the time at which it is promoted or given up at the latest, as far as that is known at `now`."""
        return self.started_at + self.policy.deadline + self.time_paused(now)

    @property
    def final(self) -> str:
        """The version under which the challenger is promoted: for a pre-release, its release."""
        return final_of(self.challenger)

    def to_json(self) -> str:
        return _ROLLOUT.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Rollout":
        return _ROLLOUT.validate_json(text)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test with its arithmetic: the claim is proven once the e-value has reached `limit`."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON
    __test__: ClassVar[bool] = False  # pytest takes Test* for a class of tests

    name: str
    """`metric.question`, such as `paired.not_worse`."""
    claim: str
    observed: Mapping[str, float]
    e_value: float
    limit: float
    p: float
    """The anytime p-value: of the highest e-value so far."""
    verdict: Literal["proven", "open", "inconclusive"]
    """Inconclusive: evidence of this kind is not available; `needed` says what is missing."""
    needed: str | None = None
    """The further evidence needed, at the present rates; None if none is needed, or the test is not waited for."""
    more: Annotated[float | None, Field(exclude=True)] = field(default=None, compare=False)
    """`needed` as a number of requests or labels, infinite if more of the same prove nothing; None before the first.

    It is not stored: it follows from the evidence.
    """

    @property
    def proven(self) -> bool:
        return self.verdict == "proven"

    @property
    def metric(self) -> str:
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome with all that it rests on.

    `decide(rollout.policy, rollout, evidence, at)` returns the same decision, unless `origin` is not "evidence": then
    it returns the same tests.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    outcome: Outcome
    reason: str
    rollout: Rollout
    """The rollout as it was when this was decided."""
    evidence: Evidence
    tests: tuple[TestResult, ...]
    peaks: Mapping[str, float]
    at: datetime
    origin: Literal["evidence", "approval", "hand", "deployment"] = "evidence"
    """The origin of outcome and reason: the evidence, an approval, a person, or the deployment.

    `approval`: a promotion is proven and waits for a person's approval; `hand`: a person decided; `deployment`: the
    fuse or a person had already changed the deployment. The tests are always of the evidence.
    """
    id: int = field(default=0, compare=False)
    """The number given when the decision is recorded; 0 before."""
    recorded_at: datetime | None = field(default=None, compare=False)
    """The time by the machine's clock; `at` is by the controller's."""

    def test(self, name: str) -> TestResult:
        """Return the test called `name`; raises KeyError."""
        for test in self.tests:
            if test.name == name:
                return test
        raise KeyError(name)

    def summary(self) -> Mapping[str, object]:
        """Return the part that the registry's event keeps: the ids of rollout and decision, and the tests."""
        tests = json.loads(_DECISION.dump_json(self, include={"tests"}))["tests"]
        return {"rollout": self.rollout.id, "decision": self.id, "tests": tests}

    def to_json(self) -> str:
        return _DECISION.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Decision":
        return _DECISION.validate_json(text)


_ROLLOUT = TypeAdapter(Rollout)
_DECISION = TypeAdapter(Decision)


def outcome_of(before: Rollout, seen: Rollout) -> Outcome:
    """Return the outcome that would have brought the rollout from `before` to its end in `seen`."""
    return Outcome.ADVANCE if before.phase is Phase.WATCH and seen.phase is Phase.PROMOTED else _OUTCOMES[seen.phase]


_OUTCOMES = {
    Phase.PROMOTED: Outcome.PROMOTE,
    Phase.ROLLED_BACK: Outcome.ROLLBACK,
    Phase.GIVEN_UP: Outcome.GIVE_UP,
}
