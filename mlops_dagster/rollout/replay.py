"""Replay of decisions from their evidence: by the same policy to the bit, or by another policy.

Both are pure. The decisions of another policy are certain only up to the first that differs: from there on the evidence
was still collected at the weights and times of the policy that was in force.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mlops_dagster.rollout.decide import decide, highest
from mlops_dagster.rollout.entities import Decision, Outcome, Phase, Rollout
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy

_OF_THE_TESTS = {
    "max_ratio",
    "cold_start",
    "loss",
    "margin",
    "rows_per_observation",
    "max_error_rate",
    "max_slow_rate",
    "paired",
    "answer_influences_label",
}
"""The fields on which e-values depend; alpha is only in the limit that they are compared with."""
_ENDS = (Outcome.PROMOTE, Outcome.ROLLBACK, Outcome.GIVE_UP)


@dataclass(frozen=True)
class Replay:
    """A stored decision, and the decision that the same function makes of the same inputs now."""

    stored: Decision
    again: Decision

    @property
    def differences(self) -> tuple[str, ...]:
        """The differences of the two, in words; empty if they are the same to the bit."""
        stored, again = self.stored, self.again
        if _bits(stored) == _bits(again):
            return ()
        found = [
            f"{name}: {one} stored, {other} now"
            for name, one, other in (
                ("outcome", stored.outcome, again.outcome),
                ("reason", stored.reason, again.reason),
                ("peaks", stored.peaks, again.peaks),
            )
            if one != other
        ]
        then, now = ({test.name: test for test in decision.tests} for decision in (stored, again))
        found += [
            f"{name}: {then.get(name, 'no such test')} stored, {now.get(name, 'no such test')} now"
            for name in {**then, **now}
            if then.get(name) != now.get(name)
        ]
        return tuple(found) or ("the same values in another order",)


@dataclass(frozen=True)
class Imagined:
    """One look of the history, as another policy would have decided."""

    stored: Decision
    imagined: Decision
    certain: bool
    """True if all earlier decisions were the same, so that the other policy would have had this evidence."""

    @property
    def same(self) -> bool:
        return self.stored.outcome is self.imagined.outcome


def replay(stored: Decision) -> Replay:
    """Make a decision again from its inputs; for one that did not come from evidence, only its tests are made again."""
    again = decide(stored.rollout.policy, stored.rollout, stored.evidence, stored.at)
    if stored.origin != "evidence":
        again = replace(again, outcome=stored.outcome, reason=stored.reason, origin=stored.origin)
    return Replay(stored, again)


def imagine(policy: RolloutPolicy, decisions: Sequence[Decision]) -> Iterator[Imagined]:
    """Yield the decision of `policy` at each recorded look of one rollout, oldest first.

    As long as `policy` decides as was decided, the rollout is in its recorded state. From the first difference on, the
    imagined rollout goes through phases and steps differently, over the evidence that was really collected. The least
    number of requests of a step is then counted at the weight that was in force. Acts of others (a pause, a person, the
    fuse) stay as they were. The sequence ends when `policy` ends the rollout otherwise than it ended, or when the
    history does.
    """
    peaks: Mapping[str, float] = {}
    own: _Way | None = None
    for stored in decisions:
        same_tests = _statistics(policy) == _statistics(stored.rollout.policy)
        if same_tests:  # their peaks count too, including those of looks that were not recorded
            peaks = stored.rollout.peaks if own is None else highest(peaks, stored.rollout.peaks)
        rollout = replace(stored.rollout if own is None else own.at(stored), policy=policy, peaks=peaks)
        evidence = stored.evidence if own is None else own.seen(stored.evidence)
        imagined = decide(policy, rollout, evidence, stored.at)
        if own is None and _not_by_evidence(stored, imagined):
            imagined = replace(imagined, outcome=stored.outcome, reason=stored.reason, origin=stored.origin)
        peaks = imagined.peaks
        yield Imagined(stored, imagined, certain=own is None)
        if own is None and imagined.outcome is stored.outcome:
            continue
        if imagined.outcome in _ENDS:
            return
        own = _Way.of(stored) if own is None else own
        if imagined.outcome is Outcome.ADVANCE:
            own = own.advanced(stored)


def untold(policy: RolloutPolicy, other: RolloutPolicy) -> tuple[str, ...]:
    """List the facts about `other` that a history made under `policy` cannot show, in words."""
    told = []
    if policy.steps != other.steps:
        told.append(f"the traffic went at {_shares(policy)}, never at {_shares(other)}")
    if _maturity(policy) != _maturity(other):
        told.append("labels counted as complete at other times")
    if policy.slow_ms != other.slow_ms:
        told.append(f"answers over {policy.slow_ms:g} ms were counted as slow, not over {other.slow_ms:g} ms")
    if other.uses_pairs and (policy.paired_share if policy.uses_pairs else 0) != other.paired_share:
        told.append("another share of the requests was scored by both versions")
    if _statistics(policy) != _statistics(other):
        told.append("its e-values are known at the looks that were kept; a peak between two of them is not")
    return (*told, "after the first other decision, evidence is still that of the way which was taken")


@dataclass(frozen=True)
class _Way:
    """The state of the imagined rollout, once it differs from the recorded one."""

    phase: Phase
    step: int
    canary_at: datetime | None
    step_at: datetime
    before: int
    """The number of labelled rows when this step began."""

    @staticmethod
    def of(stored: Decision) -> "_Way":
        rollout = stored.rollout
        before = stored.evidence.labels.rows - stored.evidence.labels.step
        return _Way(rollout.phase, rollout.step, rollout.canary_at, rollout.step_at, before)

    def at(self, stored: Decision) -> Rollout:
        """Return the imagined rollout at a recorded look, with the weight in force, the only one with evidence."""
        return replace(stored.rollout, phase=self.phase, step=self.step, canary_at=self.canary_at, step_at=self.step_at)

    def seen(self, evidence: Evidence) -> Evidence:
        labels = evidence.labels
        return replace(evidence, labels=replace(labels, step=labels.rows - self.before))

    def advanced(self, stored: Decision) -> "_Way":
        at = stored.at
        return _Way(Phase.CANARY, self.step + 1, self.canary_at or at, at, stored.evidence.labels.rows)


def _statistics(policy: RolloutPolicy) -> Mapping[str, object]:
    return policy.model_dump(include=_OF_THE_TESTS)


def _not_by_evidence(stored: Decision, imagined: Decision) -> bool:
    """Return whether others acted, or a promotion waited for approval, as under any policy that promotes here."""
    if stored.origin == "approval":
        return imagined.outcome is Outcome.PROMOTE
    return stored.origin != "evidence"


def _bits(decision: Decision) -> str:
    return replace(decision, id=0, recorded_at=None).to_json()


def _maturity(policy: RolloutPolicy) -> tuple[object, ...]:
    return policy.labels, policy.label_hours, policy.min_label_share


def _shares(policy: RolloutPolicy) -> str:
    return " -> ".join(f"{100 * share:g} %" for share in policy.steps)
