"""What a rollout is, and what is decided about it. Both round-trip through JSON to the bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from mlops_dagster.registry.entities.semantic_version import final_of
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import DesignEffect

# An e-value may be infinite; JSON has no word for that.
_JSON = ConfigDict(ser_json_inf_nan="strings")


class Phase(StrEnum):
    SHADOW = "shadow"
    CANARY = "canary"
    WATCH = "watch"
    """The challenger has been promoted, and the old champion goes on as a shadow."""
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
    """One challenger's way to all traffic, or out; after that it is watched for a while."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    id: int
    model: str
    champion: str
    challenger: str
    policy: RolloutPolicy
    phase: Phase
    step: int
    """0 in shadow; as canary k, the weight being `policy.steps[k - 1]`; in the watch the last."""
    weight: float
    """The challenger's share of the traffic."""
    started_at: datetime
    canary_at: datetime | None
    step_at: datetime
    """When the present step (or the shadow, or the watch) began."""
    paused: bool
    peaks: Mapping[str, float]
    """The highest e-value each test of `Decision.tests` ever had."""
    epoch: int
    """The deployment's epoch when this was last seen to agree with it."""
    ended_at: datetime | None = None
    reason: str = ""
    """Why it ended."""
    promoted_at: datetime | None = None
    shared: DesignEffect | None = None
    """How many rows of a day count as one where the two are compared, as the challenger's evaluation shows it."""
    classes: Mapping[str, float] = field(default_factory=dict)
    """The shares of the classes among the labels that the challenger was trained on; 0 where they are not known."""
    paused_at: datetime | None = None
    """When the pause began that lasts."""
    paused_for: timedelta = timedelta()
    """How long the pauses took that have ended."""

    def time_paused(self, now: datetime) -> timedelta:
        """All pauses together until `now`: time paused is not time watched, so it moves the deadline."""
        lasting = timedelta() if self.paused_at is None else max(now - self.paused_at, timedelta())
        return self.paused_for + lasting

    def deadline(self, now: datetime) -> datetime:
        """When it is promoted or given up at the latest, as far as that is known at `now`."""
        return self.started_at + self.policy.deadline + self.time_paused(now)

    @property
    def final(self) -> str:
        """The version that the challenger is promoted as: of a pre-release its release."""
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
    """Anytime p-value: of the highest e-value so far."""
    verdict: Literal["proven", "open", "inconclusive"]
    """Inconclusive: evidence of this kind cannot be had as things are; `needed` says what is missing."""
    needed: str | None = None
    """What more it would take, if things go on as they did; None where nothing is missing or nobody waits for it."""

    @property
    def proven(self) -> bool:
        return self.verdict == "proven"

    @property
    def metric(self) -> str:
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome with all it rests on: `decide(rollout.policy, rollout, evidence, at)` gives it again, unless its
    `origin` is another than the evidence: then its tests.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    outcome: Outcome
    reason: str
    rollout: Rollout
    """As it was when this was decided."""
    evidence: Evidence
    tests: tuple[TestResult, ...]
    peaks: Mapping[str, float]
    at: datetime
    origin: Literal["evidence", "approval", "hand", "deployment"] = "evidence"
    """Whose outcome and reason these are: `approval`, a promotion is proven and waits for a person's yes; `hand`, a
    person's; `deployment`, the fuse or a person had already changed the deployment. The tests are of the evidence."""
    id: int = field(default=0, compare=False)
    """Given when it is recorded; 0 before."""
    recorded_at: datetime | None = field(default=None, compare=False)
    """By the machine's clock; `at` is by the controller's."""

    def test(self, name: str) -> TestResult:
        """The test called `name`; raises KeyError."""
        for test in self.tests:
            if test.name == name:
                return test
        raise KeyError(name)

    def summary(self) -> Mapping[str, object]:
        """What the event in the registry keeps of it: the ids of the whole, and the tests."""
        tests = json.loads(_DECISION.dump_json(self, include={"tests"}))["tests"]
        return {"rollout": self.rollout.id, "decision": self.id, "tests": tests}

    def to_json(self) -> str:
        return _DECISION.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Decision":
        return _DECISION.validate_json(text)


_ROLLOUT = TypeAdapter(Rollout)
_DECISION = TypeAdapter(Decision)
