"""The decision as a function of its arguments: a table of situations, and what holds in all of them."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
    Decision,
    EventsSince,
    Evidence,
    Outcome,
    Phase,
    Rollout,
    RolloutPolicy,
    StepCounts,
    decide,
)
from tests.support.rollout_evidence import (
    CLASS,
    INDEPENDENT,
    LAST,
    START,
    a_rollout,
    arm,
    evidence,
    hour,
    labels_of,
    pairs_of,
)

POLICY = INDEPENDENT
ARMS = RolloutPolicy(answer_influences_label=True, rows_per_observation=1)
ONLY_SUPERIOR = RolloutPolicy(at_deadline="give_up", rows_per_observation=1)


WATCHED = a_rollout(LAST, phase=Phase.WATCH, weight=1.0, step_at=hour(77), promoted_at=hour(77))


def in_watch(pairs: tuple[int, int, int], requests: int = 700, errors: int = 0) -> Evidence:
    """After a trial of 6,000 pairs in which the two were as good; the old champion fails nowhere."""
    trial, since = evidence((150, 150, 5700)), pairs_of(pairs)
    (whole,) = trial.since
    both = BothScored(requests, challenger_failed=errors)
    labels = labels_of({CLASS: trial.labels.paired + PairedCounts(*pairs)}, whole.steps, step=500, watch=since)
    return replace(
        trial,
        watch=arm(requests, errors),
        since=(replace(whole, both=whole.both + both), EventsSince(77 * 60, (), both)),
        labels=labels,
    )


def quiet(pairs: tuple[int, int, int] = (20, 20, 960), weight: float = POLICY.steps[-1]) -> Evidence:
    """Plenty of everything, and nothing lately."""
    return replace(evidence(pairs, weight=weight), recent=arm(0))


@dataclass(frozen=True)
class Case:
    name: str
    outcome: Outcome
    reason: str
    rollout: Rollout = field(default_factory=lambda: a_rollout(LAST))
    evidence: Evidence = field(default_factory=evidence)
    hours: float = 100
    policy: RolloutPolicy = POLICY


CASES = [
    # shadow
    Case("shadow soaks", Outcome.HOLD, "shadow until 2026-03-01 01:00", a_rollout(0), hours=0.5),
    Case(
        "shadow needs requests",
        Outcome.HOLD,
        "9 more requests scored in shadow",
        a_rollout(0),
        evidence(shadow=arm(41)),
    ),
    Case("shadow is done", Outcome.ADVANCE, "shadow is done", a_rollout(0)),
    Case("nothing seen is no pass", Outcome.HOLD, "50 more", a_rollout(0), evidence((0, 0, 0), shadow=arm(0))),
    Case(
        "shadow fails",
        Outcome.ROLLBACK,
        "error.over_limit",
        a_rollout(0),
        evidence(shadow=arm(100, errors=50), both=BothScored(100, challenger_failed=50)),
        0.1,
    ),
    Case(
        "shadow fails where the champion does",
        Outcome.HOLD,
        "shadow until",
        a_rollout(0),
        evidence(shadow=arm(100, errors=50), both=BothScored(100, both_failed=50)),
        0.1,
    ),
    Case("shadow at the deadline", Outcome.GIVE_UP, "got no further than shadow", a_rollout(0), hours=168),
    # canary steps
    Case("a step soaks", Outcome.HOLD, "soak until 2026-03-05 06:00", a_rollout(2, hours_in_step=2)),
    Case("a step needs pairs", Outcome.HOLD, "60 more paired labels", a_rollout(LAST - 1), evidence(step_pairs=40)),
    Case(
        "a step needs requests",
        Outcome.HOLD,
        "95 more requests to the canary",
        a_rollout(1),
        evidence(canary=arm(5), weight=0.01),
    ),
    Case("other steps' requests do not count", Outcome.HOLD, "100 more requests", a_rollout(2), evidence(weight=0.01)),
    Case("a step is done", Outcome.ADVANCE, "step 3 of 4 (0.2) is done", a_rollout(3), evidence(weight=0.2)),
    Case(
        "worse but unproven",
        Outcome.HOLD,
        "paired.worse leans to worse",
        a_rollout(3),
        evidence((10, 50, 940), weight=0.2),
    ),
    # rollback
    Case("proven less accurate", Outcome.ROLLBACK, "most by paired.worse", a_rollout(1), evidence((5, 60, 400)), 2),
    Case(
        "fails more",
        Outcome.ROLLBACK,
        "most by error.worse",
        evidence=evidence(canary=arm(9000, 80), champion=arm(9000, 8)),
    ),
    Case(
        "slower", Outcome.ROLLBACK, "most by slow.worse", evidence=evidence(canary=arm(slow=80), champion=arm(slow=8))
    ),
    Case(
        "starts cold",
        Outcome.ADVANCE,
        "step 1 of 4",
        a_rollout(1),
        evidence(canary=arm(slow=40), champion=arm(99_000, slow=99), weight=0.01),
    ),
    Case(
        "does not get warm",
        Outcome.ROLLBACK,
        "most by slow.worse",
        a_rollout(1),
        evidence(canary=arm(slow=80), champion=arm(99_000, slow=99), weight=0.01),
    ),
    Case(
        "starts no second time",
        Outcome.ROLLBACK,
        "most by slow.worse",
        a_rollout(2),
        evidence(canary=arm(slow=40), champion=arm(19_000, slow=19), weight=0.05),
    ),
    Case(
        "as slow as twice the champion",
        Outcome.HOLD,
        "superior",
        evidence=evidence(canary=arm(slow=40), champion=arm(slow=21)),
    ),
    Case(
        "over the limit, as the champion is",
        Outcome.HOLD,
        "superior would take",
        evidence=evidence(
            canary=arm(errors=40),
            champion=arm(errors=40),
            both=BothScored(2000, challenger_failed=40, champion_failed=40),
        ),
    ),
    Case(
        "bad news outranks the deadline", Outcome.ROLLBACK, "proven worse", evidence=evidence((5, 60, 400)), hours=400
    ),
    Case(
        "pausing stops no rollback", Outcome.ROLLBACK, "proven worse", a_rollout(3, paused=True), evidence((5, 60, 400))
    ),
    Case("proven before, quiet now", Outcome.ROLLBACK, "proven worse", a_rollout(3, peaks={"rollback.worse": 20.0})),
    # the last step
    Case("superior", Outcome.PROMOTE, "proven superior", evidence=evidence((80, 30, 890))),
    Case(
        "superior, watched too briefly",
        Outcome.HOLD,
        "least watch until 2026-03-03 01:00",
        evidence=evidence((80, 30, 890)),
        hours=40,
    ),
    Case(
        "superior, not at the last step", Outcome.ADVANCE, "step 3", a_rollout(3), evidence((80, 30, 890), weight=0.2)
    ),
    Case("was superior once", Outcome.HOLD, "superior would take", a_rollout(LAST, peaks={"paired.superior": 50.0})),
    Case(
        "superior, but slow",
        Outcome.HOLD,
        "slow.worse leans",
        evidence=evidence((80, 30, 890), canary=arm(slow=35), champion=arm(slow=8)),
    ),
    Case(
        "superior, but its errors and slow answers are too few to judge",
        Outcome.HOLD,
        "superior is proven; not worse would take error.not_worse",
        evidence=evidence((80, 30, 890), canary=arm(120), shadow=arm(20)),
    ),
    Case("superior, but paused", Outcome.HOLD, "paused by hand", a_rollout(LAST, paused=True), evidence((80, 30, 890))),
    Case(
        "neither better nor worse yet",
        Outcome.HOLD,
        "not worse would take paired.not_worse about ",
        evidence=evidence((20, 20, 560)),
    ),
    # the deadline
    Case(
        "not worse at the deadline", Outcome.PROMOTE, "proven not worse", evidence=evidence((60, 60, 2880)), hours=168
    ),
    Case(
        "too little at the deadline",
        Outcome.GIVE_UP,
        "accuracy at most 0.02 under",
        evidence=evidence((20, 20, 560)),
        hours=168,
    ),
    Case(
        "one metric short",
        Outcome.GIVE_UP,
        "rate of slow",
        evidence=evidence((60, 60, 2880), canary=arm(100)),
        hours=168,
    ),
    Case(
        "no labels at all",
        Outcome.GIVE_UP,
        "100 more paired labels",
        evidence=evidence((0, 0, 0), step_pairs=0),
        hours=168,
    ),
    Case(
        "not at the last step in time",
        Outcome.GIVE_UP,
        "got no further than step 3 of 4",
        a_rollout(3),
        evidence((60, 60, 2880)),
        168,
    ),
    Case(
        "not worse is not enough at the deadline",
        Outcome.GIVE_UP,
        "accuracy over the champion's is not proven",
        evidence=evidence((60, 60, 2880)),
        hours=168,
        policy=ONLY_SUPERIOR,
    ),
    Case(
        "superior at the deadline",
        Outcome.PROMOTE,
        "proven superior",
        evidence=evidence((80, 30, 890)),
        hours=168,
        policy=ONLY_SUPERIOR,
    ),
    Case(
        "was superior once, at the deadline",
        Outcome.GIVE_UP,
        "accuracy over the champion's is not proven",
        a_rollout(LAST, peaks={"paired.superior": 50.0}),
        hours=168,
        policy=ONLY_SUPERIOR,
    ),
    Case("paused at the deadline", Outcome.HOLD, "paused", a_rollout(LAST, paused=True), hours=500),
    # traffic that has stopped
    Case(
        "no traffic, no step",
        Outcome.HOLD,
        "(0.2): the challenger has scored nothing for 2",
        a_rollout(3),
        quiet(weight=0.2),
    ),
    Case("no traffic, no promotion", Outcome.HOLD, "nothing for 2 hours", evidence=quiet((90, 10, 900))),
    Case(
        "a night at the deadline", Outcome.HOLD, "nothing is missing, but the challenger", evidence=quiet(), hours=180
    ),
    Case("a day past the deadline", Outcome.GIVE_UP, "a day after the deadline", evidence=quiet(), hours=192),
    Case("worse is worse", Outcome.ROLLBACK, "paired.worse", evidence=quiet((5, 60, 400))),
    # the watch
    Case("the watch goes on", Outcome.HOLD, "watch until 2026-03-05 05:00", WATCHED, hours=100),
    Case(
        "the watch is over", Outcome.ADVANCE, "in 700 requests and 90 paired labels", WATCHED, in_watch((1, 2, 87)), 101
    ),
    Case(
        "nothing seen in the watch",
        Outcome.HOLD,
        "the watch goes on until 2026-03-11 05:00 for 100 more requests to the new champion and the first paired label",
        WATCHED,
        in_watch((0, 0, 0), 0),
        101,
    ),
    Case(
        "no label in the watch",
        Outcome.HOLD,
        "the watch goes on until 2026-03-11 05:00 for the first paired label: nothing is proven",
        WATCHED,
        in_watch((0, 0, 0)),
        200,
    ),
    Case(
        "nothing seen in a week",
        Outcome.ADVANCE,
        "the watch ends inconclusive for want of 100 more requests",
        WATCHED,
        in_watch((0, 0, 0), 0),
        77 + 168,
    ),
    Case(
        "no label is waited for where answers influence them",
        Outcome.ADVANCE,
        "the watch is over",
        WATCHED,
        in_watch((0, 0, 0)),
        101,
        ARMS,
    ),
    Case("paused in the watch", Outcome.HOLD, "paused", replace(WATCHED, paused=True), hours=200),
    Case(
        "less accurate since the promotion",
        Outcome.ROLLBACK,
        "most by paired.worse_in_watch",
        WATCHED,
        in_watch((10, 60, 500)),
        90,
    ),
    Case(
        "fails since the promotion",
        Outcome.ROLLBACK,
        "most by error.over_limit",
        replace(WATCHED, paused=True),
        in_watch((0, 0, 0), errors=35),
        300,
    ),
    Case(
        "arms: fails since the promotion",
        Outcome.ROLLBACK,
        "most by error.over_limit",
        replace(WATCHED, policy=ARMS),
        in_watch((0, 0, 0), errors=35),
        policy=ARMS,
    ),
    Case("the deadline ends no watch", Outcome.HOLD, "watch until", replace(WATCHED, promoted_at=hour(160)), hours=170),
    # separate arms
    Case(
        "arms: pairs prove nothing",
        Outcome.HOLD,
        "superior would take",
        evidence=evidence((500, 0, 0), canary=arm(labelled=900, wrong=90), champion=arm(labelled=900, wrong=90)),
        policy=ARMS,
    ),
    Case(
        "arms: superior",
        Outcome.PROMOTE,
        "wrong.superior",
        evidence=evidence((0, 0, 0), canary=arm(labelled=900, wrong=50), champion=arm(labelled=900, wrong=120)),
        policy=ARMS,
    ),
    Case(
        "arms: worse",
        Outcome.ROLLBACK,
        "most by wrong.worse",
        evidence=evidence((0, 0, 0), canary=arm(labelled=900, wrong=150), champion=arm(labelled=900, wrong=50)),
        policy=ARMS,
    ),
    Case(
        "arms: labels of other steps do not count",
        Outcome.HOLD,
        "100 more labels of the canary's answers",
        a_rollout(3, policy=ARMS),
        replace(
            evidence((0, 0, 0), weight=0.2),
            labels=labels_of(
                {}, [StepCounts(0.05, arm(labelled=900, wrong=90), arm(17_100, labelled=17_100, wrong=1710))]
            ),
        ),
        policy=ARMS,
    ),
    Case("arms: labels are needed", Outcome.HOLD, "100 more labels of the canary's answers", policy=ARMS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(case: Case) -> None:
    decision = decide(case.policy, case.rollout, case.evidence, START + timedelta(hours=case.hours))
    assert (decision.outcome, case.reason in decision.reason) == (case.outcome, True), decision.reason


def test_an_ended_rollout_is_not_decided_again() -> None:
    with pytest.raises(InvalidInputError, match="has ended"):
        decide(POLICY, a_rollout(phase=Phase.PROMOTED), evidence(), START)


def test_a_test_carries_its_arithmetic() -> None:
    decision = decide(POLICY, a_rollout(LAST), evidence((5, 60, 400)), START + timedelta(hours=60))
    worse, combined = decision.test("paired.worse"), decision.test("rollback.worse")
    assert worse.observed == {"wins": 5, "losses": 60, "ties": 400, "rows_per_observation": 1}
    assert worse.limit == 100  # five e-values share one alpha of 5 %
    assert combined.limit == 20
    assert combined.e_value == pytest.approx(sum(combined.observed.values()) / 5)
    assert decision.peaks["rollback.worse"] == combined.e_value


def test_what_is_still_needed_is_enough_if_things_go_on_as_they_did() -> None:
    at, hours = a_rollout(LAST), timedelta(hours=100)
    needed = decide(POLICY, at, evidence((20, 20, 560)), START + hours).test("paired.not_worse").needed
    assert needed is not None
    number = re.fullmatch(r"about (\d+) more paired labels", needed)
    assert number is not None
    grown = 1 + 1.1 * int(number[1]) / 600  # a forecast has two digits
    assert 1.5 < grown < 4
    later = evidence((round(20 * grown), round(20 * grown), round(560 * grown)))
    assert decide(POLICY, at, later, START + hours).test("paired.not_worse").proven


def test_a_broken_key_counts_once_against_the_canary_but_fully_against_its_pass() -> None:
    """One key that fails 500 times is one independent event, and an error rate of half all the same."""
    broken = EventCounts(requests=1000, errors=500, bad_errors=1)
    decision = decide(POLICY, a_rollout(LAST), evidence((60, 60, 2880), canary=broken), START + timedelta(hours=168))
    assert decision.outcome is Outcome.GIVE_UP
    assert not decision.test("error.not_worse").proven


# What holds whatever is seen.


@st.composite
def arms(draw: st.DrawFn, most: int, times: int = 1) -> EventCounts:
    requests = draw(st.integers(90, 1000))
    labelled, wrong = draw(st.integers(90, requests)), draw(st.integers(5, 8))
    counts = requests, draw(st.integers(0, most)), draw(st.integers(0, most)), labelled, labelled * wrong // 100
    return arm(*(times * count for count in counts))


@st.composite
def pairs(draw: st.DrawFn, most: int) -> tuple[int, int, int]:
    """`most` more losses than wins in a hundred, or the other way round."""
    total, won = draw(st.integers(1000, 6000)), draw(st.integers(3, 6))
    lost = max(won + draw(st.integers(-most, most)), 0)
    return total * won // 100, total * lost // 100, total - total * won // 100 - total * lost // 100


@st.composite
def both(draw: st.DrawFn, most: int) -> BothScored:
    """Failures that either did not share, and some that both did."""
    alone = st.integers(0, most)
    return BothScored(draw(st.integers(300, 5000)), draw(alone), draw(alone), draw(st.sampled_from([0, 0, 100])))


@st.composite
def situations(draw: st.DrawFn) -> tuple[RolloutPolicy, Rollout, Evidence, datetime]:
    """In most of them all is quiet, else nearly every one would be a rollback; few are early, or short of evidence."""
    now, step = draw(st.floats(60, 200)), draw(st.sampled_from([*range(LAST + 1), LAST, LAST]))
    bad, lost = draw(st.sampled_from([(0, 2), (1, 2), (1, 4), (5, 4), (90, 6)]))
    watched = draw(st.booleans()) if step == LAST else False
    trial, since = PairedCounts(*draw(pairs(lost))), PairedCounts(*draw(pairs(lost))) if watched else PairedCounts()
    steps = tuple(
        StepCounts(weight, draw(arms(bad)), draw(arms(bad, round(1 / weight) - 1))) for weight in POLICY.steps[:step]
    )
    scored, later = draw(both(bad)), draw(both(bad))
    labels = labels_of(
        {CLASS: trial + since},
        steps,
        step=draw(st.integers(90, 300)),
        watch={CLASS: since} if watched else None,
    )
    seen = Evidence(
        through=hour(now),
        since=(EventsSince(0, steps, scored + later), EventsSince(draw(st.integers(1, 3000)), (), later)),
        shadow=draw(arms(bad)),
        watch=draw(arms(bad)) if watched else EventCounts(),
        recent=arm(draw(st.sampled_from([0, 1, 1, 1, 1]))),
        labels=replace(labels, units=round(labels.units / draw(st.sampled_from([1, 1, 0.9, 0.5])))),
        not_loaded=draw(st.sampled_from(["", "", "", "no such module"])),
    )
    peaks = draw(
        st.sampled_from([{}, {}, {"rollback.worse": 19.0}, {"rollback.worse": 20.0}, {"paired.superior": 30.0}])
    )
    at = a_rollout(step, draw(st.floats(2, 30)), now, paused=draw(st.sampled_from([False] * 5 + [True])), peaks=peaks)
    if watched:
        at = replace(at, phase=Phase.WATCH, weight=1.0, promoted_at=at.step_at)
    policy = draw(st.sampled_from([POLICY, ARMS, ONLY_SUPERIOR]))
    return policy, replace(at, policy=policy), seen, hour(now)


@given(situations())
@settings(max_examples=150)
def test_no_outcome_without_its_proof(situation: tuple[RolloutPolicy, Rollout, Evidence, datetime]) -> None:
    policy, running, seen, now = situation
    decision = decide(policy, running, seen, now)
    rolled_back = (
        max(decision.test("rollback.worse").e_value, running.peaks.get("rollback.worse", 0)) >= 1 / policy.alpha
    )
    assert (decision.outcome is Outcome.ROLLBACK) == (rolled_back or seen.not_loaded != "")

    not_worse = [test for test in decision.tests if test.name.endswith(".not_worse")]
    superior = next(test for test in decision.tests if test.name.endswith(".superior"))
    match decision.outcome:
        case Outcome.PROMOTE:
            assert running.step == LAST
            assert running.phase is Phase.CANARY
            assert not running.paused
            assert running.canary_at is not None
            assert now - running.canary_at >= policy.min_watch
            assert has_its_minimum(policy, running, seen)
            assert seen.recent.requests
            late = now - running.started_at >= policy.deadline and policy.at_deadline == "promote_if_not_worse"
            assert all(test.p <= policy.alpha for test in not_worse)
            assert late or superior.p <= policy.alpha
        case Outcome.ADVANCE if running.phase is Phase.WATCH:
            assert not running.paused
            assert running.promoted_at is not None
            assert now - running.promoted_at >= policy.watch
            assert seen.watch.requests or now - running.promoted_at >= policy.deadline
        case Outcome.ADVANCE:
            assert running.step < LAST
            assert not running.paused
            assert now - running.step_at >= (policy.soak if running.step else policy.shadow)
            assert seen.recent.requests
            assert has_its_minimum(policy, running, seen)
        case Outcome.GIVE_UP:
            assert running.phase is not Phase.WATCH
            assert now - running.started_at >= policy.deadline


def has_its_minimum(policy: RolloutPolicy, running: Rollout, seen: Evidence) -> bool:
    if running.phase is Phase.SHADOW:
        return seen.shadow.requests >= policy.min_shadow_requests
    answered = seen.canary_at(running.weight)
    labels = seen.labels.step if policy.uses_pairs else seen.labels.canary_at(running.weight).unit_labels
    return answered.requests >= policy.min_step_requests and labels >= policy.min_step_paired


RANK = [Outcome.ROLLBACK, Outcome.GIVE_UP, Outcome.HOLD, Outcome.ADVANCE, Outcome.PROMOTE]


@given(situations(), st.integers(0, 500))
@settings(max_examples=100)
def test_more_losses_never_help(situation: tuple[RolloutPolicy, Rollout, Evidence, datetime], more: int) -> None:
    policy, running, seen, now = situation
    lost, labels = PairedCounts(losses=more), seen.labels
    (whole,) = labels.since
    watch = None if labels.watch is None else {CLASS: labels.watch[CLASS] + lost}
    since = (replace(whole, outcomes={CLASS: labels.paired + lost}),)
    worse = replace(seen, labels=replace(labels, since=since, watch=watch))
    before, after = decide(policy, running, seen, now), decide(policy, running, worse, now)
    assert RANK.index(after.outcome) <= RANK.index(before.outcome)


@given(situations(), st.sampled_from(["error", "slow", "wrong"]), st.floats(0, 1), st.integers(0, LAST + 1))
@settings(max_examples=150)
def test_a_challenger_that_does_worse_is_never_treated_better(
    situation: tuple[RolloutPolicy, Rollout, Evidence, datetime], metric: str, turned: float, where: int
) -> None:
    """Some of what it answered well, at one of the steps, beside the champion or in its watch, it answers badly."""
    policy, running, seen, now = situation

    def worsened(counts: EventCounts) -> EventCounts:
        every = {"error": counts.errors, "slow": counts.slow, "wrong": counts.wrong}[metric]
        bad = int(turned * (counts.chances(metric) - every))  # type: ignore[arg-type]  # drawn from these
        return counts + replace(EventCounts(), **dict.fromkeys((PLURAL[metric], f"bad_{PLURAL[metric]}"), bad))

    def at_step(steps: tuple[StepCounts, ...]) -> tuple[StepCounts, ...]:
        return tuple(
            replace(step, canary=worsened(step.canary)) if number == where else step
            for number, step in enumerate(steps)
        )

    whole, *later = seen.since
    if where < len(whole.steps):
        (labels,) = seen.labels.since
        worse = replace(
            seen,
            since=(replace(whole, steps=at_step(whole.steps)), *later),
            labels=replace(seen.labels, since=(replace(labels, steps=at_step(labels.steps)),)),
        )
    elif where == LAST:
        worse = replace(seen, shadow=worsened(seen.shadow))
    else:
        worse = replace(seen, watch=worsened(seen.watch))
    before, after = decide(policy, running, seen, now), decide(policy, running, worse, now)
    assert RANK.index(after.outcome) <= RANK.index(before.outcome)


@given(situations(), st.integers(0, 300))
@settings(max_examples=150)
def test_further_failures_that_the_champion_does_not_share_never_help(
    situation: tuple[RolloutPolicy, Rollout, Evidence, datetime], more: int
) -> None:
    """All stretches last until now, so they are in each. Earlier ones may move the stretch that is the loudest."""
    policy, running, seen, now = situation
    failed = BothScored(more, challenger_failed=more)
    since = tuple(replace(each, both=each.both + failed) for each in seen.since)
    before, after = decide(policy, running, seen, now), decide(policy, running, replace(seen, since=since), now)
    assert RANK.index(after.outcome) <= RANK.index(before.outcome)


PLURAL = {"error": "errors", "slow": "slow", "wrong": "wrong"}


@given(situations())
@settings(max_examples=100)
def test_a_stored_decision_decides_the_same_again(
    situation: tuple[RolloutPolicy, Rollout, Evidence, datetime],
) -> None:
    policy, running, seen, now = situation
    decision = decide(policy, replace(running, policy=policy), seen, now)
    stored = decision.to_json()
    read = Decision.from_json(stored)
    again = decide(read.rollout.policy, read.rollout, read.evidence, read.at)
    assert read == decision
    assert again == decision
    assert again.to_json() == stored


def test_an_infinite_e_value_survives_storage() -> None:
    decision = decide(POLICY, a_rollout(LAST), evidence((0, 4000, 0)), START + timedelta(hours=2))
    assert decision.test("paired.worse").e_value == float("inf")
    assert Decision.from_json(decision.to_json()) == decision
