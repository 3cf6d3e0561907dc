"""The decision: one pure function from evidence to outcome, used by sensors, jobs, the fuse and the command line."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.rollout.claims.rare_strata import blind_to_a_stratum, unseen_stratum
from mlops_dagster.rollout.entities import Decision, Outcome, Phase, Rollout, TestResult
from mlops_dagster.rollout.evaluation import Tests, evaluate
from mlops_dagster.rollout.evidence import RECENT, Evidence, total
from mlops_dagster.rollout.policy import RolloutPolicy

_A_DAY, _AN_HOUR = timedelta(days=1), timedelta(hours=1)
_MANY_AGAIN = 3
"""The ratio of labelled rows to counted ones from which a decision mentions that the others were counted already."""


def decide(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence, now: datetime) -> Decision:
    """Decide about a running rollout at `now`, with the arithmetic behind the decision.

    In this order: proof that the challenger is bad, or that it cannot even be loaded, rolls back, in any phase, paused
    or not. After the promotion only the end of the bake can follow, which is ADVANCE: once its time is over and there
    is evidence, or, with too little evidence, once as much time as a rollout may take has passed. At the deadline the
    challenger is promoted if proven not worse in every respect (superior, if the policy asks for that), or else given
    up. At the last step, after its minimum time, proof that it is superior, and no worse in any other respect,
    promotes. A step that has soaked and has its minimum of evidence advances. Everything else holds, with the reason of
    what is missing. Evidence that leans to worse without proving it never advances nor promotes, nor does outdated
    evidence: a challenger that has scored nothing for two hours waits for traffic, at the deadline for a day; then it
    is given up.

    Pure: the same arguments give the same decision to the bit. Raises InvalidInputError if the rollout has ended.
    """
    if rollout.phase.ended:
        raise InvalidInputError(f"rollout {rollout.id} has ended ({rollout.phase}); there is nothing to decide")
    tests = evaluate(policy, rollout, evidence, forecast=_at_last_step(policy, rollout))
    outcome, reason = _judge(policy, rollout, evidence, tests, now)
    return Decision(
        outcome=outcome,
        reason=reason,
        rollout=rollout,
        evidence=evidence,
        tests=tests.all,
        peaks=highest(rollout.peaks, {test.name: test.e_value for test in tests.all}),
        at=now,
    )


def highest(peaks: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Return the higher of the two values for each test.

    >>> highest({"a": 3.0, "b": 1.0}, {"b": 2.0})
    {'a': 3.0, 'b': 2.0}
    """
    return {name: max(peaks.get(name, 0.0), other.get(name, 0.0)) for name in {**peaks, **other}}


def _judge(
    policy: RolloutPolicy, rollout: Rollout, evidence: Evidence, tests: Tests, now: datetime
) -> tuple[Outcome, str]:
    if tests.rollback.proven:
        return Outcome.ROLLBACK, f"proven worse: {_arithmetic(tests.rollback)}; most by {_loudest(tests)}"
    if evidence.not_loaded:
        return Outcome.ROLLBACK, f"not loadable: {evidence.not_loaded}"
    if rollout.paused:
        return Outcome.HOLD, "paused by hand"
    if rollout.phase is Phase.WATCH:
        return _judge_watch(policy, rollout, evidence, now)

    if refusal := blind_to_a_stratum(policy, rollout):
        return Outcome.GIVE_UP, refusal
    inconclusive = [] if tests.inconclusive is None else [tests.inconclusive]
    lacking = [*_lacking(policy, rollout, evidence, now), *inconclusive, *_leaning(tests)]
    quiet = _quiet(evidence)
    deadline = rollout.started_at + policy.deadline + rollout.time_paused(now)
    if now >= deadline:
        short = [] if _at_last_step(policy, rollout) else [f"got no further than {_position(policy, rollout)}"]
        missing = [*short, *lacking, *(f"{claim} is not proven" for claim in _unproven_at_deadline(policy, tests))]
        if missing:
            missing += _repeated(evidence)
            return Outcome.GIVE_UP, f"at the deadline {deadline:%Y-%m-%d %H:%M}: {'; '.join(missing)}"
        if quiet and now >= deadline + _A_DAY:
            return Outcome.GIVE_UP, f"a day after the deadline {deadline:%Y-%m-%d %H:%M}: {quiet}"
        if quiet:
            return Outcome.HOLD, f"at the deadline {deadline:%Y-%m-%d %H:%M} nothing is missing, but {quiet}"
        if policy.at_deadline == "promote_if_not_worse":
            return Outcome.PROMOTE, f"at the deadline proven not worse: {_all_arithmetic(tests.not_worse)}"
    if lacking or quiet:
        return Outcome.HOLD, f"{_position(policy, rollout)}: {'; '.join(lacking) or quiet}"
    if not _at_last_step(policy, rollout):
        return Outcome.ADVANCE, f"{_position(policy, rollout)} is done; nothing leans to worse"
    if not _unproven_superior(tests):
        return Outcome.PROMOTE, f"proven superior: {_arithmetic(tests.superior)}"
    return Outcome.HOLD, f"{_position(policy, rollout)}: {_wanted(tests)} (deadline {deadline:%Y-%m-%d %H:%M})"


def _judge_watch(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence, now: datetime) -> tuple[Outcome, str]:
    pairs, requests = total(evidence.labels.watch or {}).total, evidence.watch.requests
    found = f"{counted(requests, 'requests')} and {counted(pairs, 'paired labels')}"
    seen = f"nothing is proven against it in {found} since the promotion"
    promoted_at = rollout.promoted_at or rollout.step_at
    if watching := _until(promoted_at + policy.watch, now, "watch"):
        return Outcome.HOLD, f"{watching[0]}: {seen}"
    missing = missing_in_watch(policy, evidence)
    end = promoted_at + max(policy.watch, policy.deadline)
    if missing and now < end:
        return Outcome.HOLD, f"the watch goes on until {end:%Y-%m-%d %H:%M} for {' and '.join(missing)}: {seen}"
    if missing:
        return Outcome.ADVANCE, f"the watch ends inconclusive for want of {' and '.join(missing)}: {seen}"
    return Outcome.ADVANCE, f"the watch is over: {seen}"


def missing_in_watch(policy: RolloutPolicy, evidence: Evidence) -> list[str]:
    """List the evidence that the bake still needs to end as a success: no evidence is not a success."""
    pairs = total(evidence.labels.watch or {}).total
    return [
        *_more(policy.min_step_requests - evidence.watch.requests, "requests to the new champion"),
        *(["the first paired label"] if policy.uses_pairs and not pairs else []),
    ]


def _quiet(evidence: Evidence) -> str:
    """Return a note if the evidence is outdated; an empty text if it is recent."""
    if evidence.recent.requests:
        return ""
    return f"the challenger has scored nothing for {RECENT / _AN_HOUR:g} hours: its evidence is of another time"


def _lacking(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence, now: datetime) -> list[str]:
    """List the evidence and time that the present step still lacks."""
    if rollout.phase is Phase.SHADOW:
        missing = policy.min_shadow_requests - evidence.shadow.requests
        return [*_until(rollout.step_at + policy.shadow, now, "shadow"), *_more(missing, "requests scored in shadow")]
    canary = evidence.canary_at(rollout.weight)
    labels, of = _labels(policy, rollout, evidence)
    lacking = [
        *_until(rollout.step_at + policy.soak, now, "soak"),
        *_more(policy.min_step_requests - canary.requests, "requests to the canary"),
        *_more(policy.min_step_paired - labels, of),
        *(_incomplete(policy, evidence) if labels < policy.min_step_paired else []),
    ]
    if _at_last_step(policy, rollout):
        lacking += _until((rollout.canary_at or rollout.step_at) + policy.min_watch, now, "least watch")
        lacking += filter(None, [unseen_stratum(policy, rollout, evidence)])
    return lacking


def _labels(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> tuple[int, str]:
    """Return the number of labels, and its unit; where only complaints come, answers without one count too."""
    if policy.uses_pairs:
        return evidence.labels.step, "paired labels"
    canary = evidence.labels.canary_at(rollout.weight)
    if policy.labels == "complaints":
        return canary.units, "answers of the canary that somebody might complain of"
    return canary.unit_labels, "labels of the canary's answers"


def _incomplete(policy: RolloutPolicy, evidence: Evidence) -> list[str]:
    """List the labels lacking: they count once nearly all are known, as early ones tell nothing of the others."""
    share, needed = evidence.labels.share, policy.min_label_share
    if policy.labels in ("sampled", "complaints") or share is None or share >= needed:
        return []
    how = (
        " (`min_label_share` says so)"
        if policy.labels == "late"
        else " (`min_label_share` says so; `labels` whether they come late, of a sample, or as complaints only)"
    )
    return [f"labels of {share:.0%} are known, {needed:.0%} are needed{how}"]


def _repeated(evidence: Evidence) -> list[str]:
    """Note if most labelled rows are of returning users, which their number does not show."""
    pairs, rows = evidence.labels.paired.total, evidence.labels.rows
    if rows < _MANY_AGAIN * max(pairs, 1):
        return []
    return [f"{rows - pairs:,} of {rows:,} labelled rows are of keys or inputs that had counted on that day"]


def _is_superior(tests: Tests) -> bool:
    """Return whether superiority was proven, and has not been lost again since."""
    return tests.superior.proven and tests.superior.e_value >= 1


def _unproven_superior(tests: Tests) -> list[str]:
    """List the claims that a promotion still needs: besides superiority, no metric may be worse."""
    return [*([] if _is_superior(tests) else [tests.superior.claim]), *_unproven_not_worse(tests)]


def _unproven_not_worse(tests: Tests) -> list[str]:
    return [test.claim for test in tests.not_worse if not test.proven]


def _unproven_at_deadline(policy: RolloutPolicy, tests: Tests) -> list[str]:
    return _unproven_superior(tests) if policy.at_deadline == "give_up" else _unproven_not_worse(tests)


def _leaning(tests: Tests) -> list[str]:
    return [f"{test.name} leans to worse (E {test.e_value:.3g}) without proof" for test in tests.leaning]


def _at_last_step(policy: RolloutPolicy, rollout: Rollout) -> bool:
    return rollout.phase is Phase.CANARY and rollout.step >= len(policy.steps)


def _position(policy: RolloutPolicy, rollout: Rollout) -> str:
    if rollout.phase is Phase.SHADOW:
        return "shadow"
    return f"step {rollout.step} of {len(policy.steps)} ({rollout.weight:.3g})"


def _until(end: datetime, now: datetime, what: str) -> list[str]:
    return [f"{what} until {end:%Y-%m-%d %H:%M}"] if now < end else []


def _more(count: int, of: str) -> list[str]:
    return [f"{count} more {of}"] if count > 0 else []


def _wanted(tests: Tests) -> str:
    needed = tests.superior.needed or "back what has been lost since it was proven"
    superior = "superior is proven" if _is_superior(tests) else f"superior would take {needed}"
    open_tests = [f"{test.name} {test.needed}" for test in tests.not_worse if not test.proven]
    not_worse = f"not worse would take {', '.join(open_tests)}" if open_tests else "not worse is proven"
    return f"{superior}; {not_worse}"


def _loudest(tests: Tests) -> str:
    return _arithmetic(max(tests.worse, key=lambda test: test.e_value))


def _arithmetic(test: TestResult) -> str:
    observed = ", ".join(f"{name} {value:.4g}" for name, value in test.observed.items())
    return f"{test.name} E {test.e_value:.3g} of {test.limit:.3g}, p {test.p:.2g} ({observed})"


def _all_arithmetic(tests: tuple[TestResult, ...]) -> str:
    return "; ".join(_arithmetic(test) for test in tests)
