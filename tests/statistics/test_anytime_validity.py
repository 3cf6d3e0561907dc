"""The promise of the e-values, by simulation: looked at after every single event they are wrong at most alpha
of the time, through a ramp and a daily cycle, and find what they are there to find.

That the expectation is at most 1, to all digits, is in test_e_values; here it is seen to be enough.

The traffic is simulated from requests up, so nothing here knows how the e-values condition. Running e-values are
computed for whole runs at once; the last one of each is held against the function under test.
"""

import numpy as np
import pytest
from scipy.stats import binom

from mlops_dagster.statistics import CanaryStep, bad_event_e_value, paired_e_value, rate_e_value
from mlops_dagster.statistics.e_values.bad_event import NOT_WORSE, WORSE
from mlops_dagster.statistics.e_values.difference import FRACTIONS
from mlops_dagster.statistics.e_values.rate import ODDS_RATIOS

pytestmark = pytest.mark.slow

ALPHA = 0.05
RAMP = (0.01, 0.05, 0.2, 0.5)
NEVER = 10**9


def most_by_chance(runs):
    """How many false alarms there may be: at a probability of exactly alpha, more come once in 200 simulations."""
    return binom.ppf(0.995, runs, ALPHA)


def rollout(rng, ratio, *, error_rate=0.005, requests_per_minute=150, minutes_per_step=720):
    """The bad events of one rollout, in order: the canary's share in force, and whether it was the canary's.

    Two days over the ramp; traffic swings by a factor of four over the day and the error rate by another nine.
    """
    minute = np.arange(minutes_per_step * len(RAMP))
    day = np.sin(2 * np.pi * minute / 1440)
    share = np.repeat(RAMP, minutes_per_step)
    requests = rng.poisson(requests_per_minute * (1 + 0.6 * day))
    of_canary = rng.binomial(requests, share)
    rate = error_rate * (1 + 0.8 * np.cos(2 * np.pi * minute / 1440))
    canary_bad = rng.binomial(of_canary, rate * ratio)
    champion_bad = rng.binomial(requests - of_canary, rate)
    when = np.repeat(np.concatenate([minute, minute]), np.concatenate([canary_bad, champion_bad]))
    is_canary = np.repeat([True, False], [canary_bad.sum(), champion_bad.sum()])
    order = np.lexsort([rng.random(len(when)), when])
    return share[when[order]], is_canary[order]


def running_bad_event(share, is_canary, max_ratio, alternative):
    """log E after each event."""
    bets = (WORSE if alternative == "worse" else NOT_WORSE)[:, None]
    q0 = share * max_ratio / (1 - share + share * max_ratio)
    steps = np.where(is_canary, np.log(bets), 0) - np.log1p(q0 * (bets - 1))
    return np.logaddexp.reduce(np.cumsum(steps, axis=1)) - np.log(len(bets))


def stages_of(share, is_canary):
    return [CanaryStep(s, int(is_canary[share == s].sum()), int((share == s).sum())) for s in RAMP]


def plain_z(share, is_canary):
    """The test that is not to be used: canary against champion, pooled over the ramp, at each event."""
    q = np.cumsum(share)
    return np.abs(np.cumsum(is_canary) - q) / np.sqrt(np.cumsum(share * (1 - share)))


@pytest.mark.parametrize(
    ("ratio", "max_ratio", "alternative"),
    [
        (1.0, 1.0, "worse"),  # a harmless canary
        (1.2, 1.2, "worse"),  # as bad as policy allows
        (1.2, 1.2, "not_worse"),  # worse by exactly the margin must not be promoted
    ],
)
def test_bad_events_false_alarms(ratio, max_ratio, alternative):
    rng = np.random.default_rng(6)
    runs, alarms, alarms_of_z = 800, 0, 0
    for run in range(runs):
        share, is_canary = rollout(rng, ratio)
        log_e = running_bad_event(share, is_canary, max_ratio, alternative)
        alarms += log_e.max() >= np.log(1 / ALPHA)
        alarms_of_z += (plain_z(share, is_canary)[30:] > 1.96).any()
        if run < 20:
            e = bad_event_e_value(stages_of(share, is_canary), max_ratio=max_ratio, alternative=alternative)
            assert np.log(e) == pytest.approx(log_e[-1])
    assert alarms <= most_by_chance(runs)
    assert alarms_of_z / runs > 0.4  # the simulation does punish a test that is looked at too often


def test_metrics_averaged_share_one_alpha():
    rng = np.random.default_rng(7)
    runs, alarms = 400, 0
    for _ in range(runs):
        events = [rollout(rng, 1.0) for _ in ("error", "slow", "wrong")]
        paths = [np.exp(running_bad_event(*event, 1.0, "worse")) for event in events]
        length = min(map(len, paths))
        alarms += np.mean([path[:length] for path in paths], axis=0).max() >= 1 / ALPHA
    assert alarms <= most_by_chance(runs)


def minutes_to_find(rng, ratio, max_ratio=1.0, runs=300, minutes=240):
    """At the 1 % step of 200 requests/s with 0.5 % errors, looked at every minute: the median minute of the alarm."""
    canary = rng.binomial(rng.binomial(12_000, 0.01, (runs, minutes)), 0.005 * ratio).cumsum(axis=1)
    champion = rng.binomial(11_880, 0.005, (runs, minutes)).cumsum(axis=1)
    found = []
    for c, t in zip(canary, canary + champion, strict=True):
        alarms = (
            minute
            for minute in range(minutes)
            if bad_event_e_value([CanaryStep(0.01, int(c[minute]), int(t[minute]))], max_ratio=max_ratio) >= 1 / ALPHA
        )
        found.append(next(alarms, NEVER) + 1)
    return np.median(found)


@pytest.mark.parametrize(("ratio", "low", "high"), [(2, 12, 20), (3, 4, 7), (5, 1, 3)])
def test_bad_events_are_found(ratio, low, high):
    assert low <= minutes_to_find(np.random.default_rng(8), ratio) <= high  # reference points: 17, 5, 2 minutes


def test_rate_false_alarms_and_power():
    rng = np.random.default_rng(9)

    def running(rate, runs, n, limit=0.01):
        trials = np.arange(1, n + 1)
        bad = np.cumsum(rng.random((runs, n)) < rate, axis=1)
        log_e = np.full(bad.shape, -np.inf)
        for bet in ODDS_RATIOS:
            np.logaddexp(log_e, bad * np.log(bet) - trials * np.log1p(limit * (bet - 1)), out=log_e)
        log_e -= np.log(len(ODDS_RATIOS))
        assert np.log(rate_e_value(int(bad[0, -1]), n, limit=limit)) == pytest.approx(log_e[0, -1])
        return log_e >= np.log(1 / ALPHA)

    assert running(0.01, runs=400, n=10_000).any(axis=1).sum() <= most_by_chance(400)
    found = running(0.03, runs=200, n=3_000)
    assert found.any(axis=1).all()
    assert np.median(found.argmax(axis=1)) < 400


def paired_labels_needed(rng, margin, loss, win, alternative, *, labels, runs):
    """After how many labels each run reaches 1 / alpha, looking at every one; NEVER where none does."""
    u = rng.random((runs, labels), dtype=np.float32)
    losses, wins = np.cumsum(u < loss, axis=1), np.cumsum(u >= 1 - win, axis=1)
    ties = np.arange(1, labels + 1) - losses - wins
    log_e = np.full(u.shape, -np.inf)
    for nu in FRACTIONS / (1 + margin) if alternative == "worse" else -FRACTIONS / (1 - margin):
        bet = losses * np.log1p(nu * (1 - margin)) + ties * np.log1p(-nu * margin) + wins * np.log1p(-nu * (1 + margin))
        np.logaddexp(log_e, bet, out=log_e)
    log_e -= np.log(len(FRACTIONS))
    last = paired_e_value(
        int(wins[0, -1]), int(losses[0, -1]), int(ties[0, -1]), margin=margin, alternative=alternative
    )
    assert np.log(last) == pytest.approx(log_e[0, -1])
    found = log_e >= np.log(1 / ALPHA)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, NEVER)


@pytest.mark.parametrize(
    ("margin", "loss", "win", "alternative"),
    [
        (0.02, 0.04, 0.02, "worse"),  # loses exactly the margin
        (0.02, 0.04, 0.02, "not_worse"),
        (0.0, 0.03, 0.03, "worse"),
        (0.0, 0.1, 0.1, "not_worse"),  # an equal challenger, much disagreement, must not be called superior
    ],
)
def test_paired_false_alarms(margin, loss, win, alternative):
    found = paired_labels_needed(np.random.default_rng(10), margin, loss, win, alternative, labels=5_000, runs=400)
    assert np.sum(found < NEVER) <= most_by_chance(400)


@pytest.mark.parametrize(
    ("margin", "loss", "win", "alternative", "low", "high"),
    [
        (0.02, 0.03, 0.03, "not_worse", 800, 1_150),  # 0.93 against 0.93: about 1,050
        (0.02, 0.10, 0.10, "not_worse", 2_400, 3_500),  # the same, disagreeing on 20 %: 3,000
        (0.0, 0.04, 0.02, "worse", 750, 1_050),  # 0.91: about 950
        (0.02, 0.055, 0.005, "worse", 300, 750),  # 0.88, disagreeing on 6 %: 750 or fewer
        (0.02, 0.08, 0.03, "worse", 550, 800),  # 0.88, disagreeing on 11 %
        (0.0, 0.02, 0.04, "not_worse", 750, 1_050),  # 0.95: superior
    ],
)
def test_paired_power(margin, loss, win, alternative, low, high):
    found = paired_labels_needed(np.random.default_rng(11), margin, loss, win, alternative, labels=6_000, runs=200)
    assert low <= np.median(found) <= high
