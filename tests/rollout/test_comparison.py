"""Champion and challenger on the same rows: the arithmetic, and what is said of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.predictions import PairedCounts
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.comparison.comparison import Comparison, LabelledSample, Scores, Standing, Tally, compare
from tests.support.two_versions import days

SAMPLE = LabelledSample(days(0), days(7), served=10, thinned_days=0, unlabelled=2, not_given=0, compared=8)
# truth, champion, challenger, carrier
TABLE = [
    ("late", "late", "late", "AA"),
    ("late", "ok", "late", "AA"),
    ("late", "ok", "late", "UA"),
    ("late", "ok", None, "UA"),  # both wrong
    ("ok", "ok", "ok", "UA"),
    ("ok", "ok", "late", "AA"),
    ("ok", "late", "ok", "UA"),
    ("ok", "ok", "ok", "UA"),
]
Row = tuple[str, str | None, str | None]


def held(rows: list[tuple[str, str | None, str | None, str]], **policy: object) -> Comparison:
    tally = Tally(["carrier=AA", "carrier=UA", "carrier=ZZ", "plane=747"])
    for part in (rows[:3], rows[3:]):  # in pieces
        truth, old, new, carrier = ([row[place] for row in part] for place in range(4))
        tally.add([str(each) for each in truth], old, new, {"carrier": carrier})
    return compare("1.0.0", "1.1.0", tally, SAMPLE, RolloutPolicy.model_validate({"min_step_paired": 8, **policy}), 1.0)


def scores_of(scores: Scores | None) -> tuple[float, ...]:
    assert scores is not None
    return (*(scores.value(name) for name in ("accuracy", "micro_f1", "macro_f1")), scores.failed)


def test_the_numbers_are_those_counted_by_hand() -> None:
    found = held(TABLE)
    assert found.overall.pairs == PairedCounts(wins=3, losses=1, ties=4)
    # late: F1 2*1/(4+2); ok: 2*3/(4+6)
    assert scores_of(found.overall.champion) == (0.5, 0.5, pytest.approx((1 / 3 + 0.6) / 2), 0)
    # late: 2*3/(4+4); ok: 2*3/(4+3), and the failure is no class of its own
    assert scores_of(found.overall.challenger) == (0.75, 0.75, pytest.approx((0.75 + 6 / 7) / 2), 1)

    bets, margin = (0.05, 0.1, 0.2, 0.35, 0.6), 0.02
    superior, not_worse, worse = found.overall.tests
    assert superior.e_value == pytest.approx(sum((1 - f) * (1 + f) ** 3 for f in bets) / 5)
    for test, sign in ((not_worse, -1), (worse, 1)):
        nus = [sign * f / (1 + sign * margin) for f in bets]
        by_hand = [(1 + nu * 0.98) * (1 - nu * 0.02) ** 4 * (1 - nu * 1.02) ** 3 for nu in nus]
        assert test.e_value == pytest.approx(sum(by_hand) / 5)
    assert {test.limit for test in found.overall.tests} == {20}
    assert found.verdict is Standing.INCONCLUSIVE


def test_slices_are_corrected_for_being_many_and_do_not_decide() -> None:
    found = held(TABLE + [("late", "ok", "late", "AA")] * 40 + [("late", "late", "ok", "UA")] * 40)
    aa, ua, nobody, unknown = found.slices
    assert (aa.name, aa.pairs) == ("carrier=AA", PairedCounts(41, 1, 1))
    assert (ua.name, ua.pairs) == ("carrier=UA", PairedCounts(2, 40, 3))
    assert {test.limit for part in found.slices for test in part.tests} == {4 / 0.05}
    assert (aa.verdict, ua.verdict, found.verdict) == (Standing.SUPERIOR, Standing.WORSE, Standing.INCONCLUSIVE)
    for part in (nobody, unknown):
        assert (part.pairs.total, part.champion, part.verdict) == (0, None, Standing.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "policy", "verdict", "reason"),
    [
        (60, 10, 930, {}, Standing.SUPERIOR, "accuracy over the champion's"),
        (30, 30, 1940, {}, Standing.NOT_WORSE, "at most 0.02 under"),
        (10, 90, 900, {}, Standing.WORSE, "more than 0.02 under"),
        (5, 5, 190, {}, Standing.INCONCLUSIVE, "nothing is proven yet on 200 labelled rows"),
        (0, 0, 0, {}, Standing.INCONCLUSIVE, "0 labelled rows, 8 are needed"),
        (60, 10, 930, {"min_step_paired": 1001}, Standing.INCONCLUSIVE, "1000 labelled rows, 1001 are needed"),
        (60, 10, 930, {"answer_influences_label": True}, Standing.INCONCLUSIVE, "influences the label"),
        (60, 10, 930, {"alpha": 1e-40}, Standing.INCONCLUSIVE, "nothing is proven"),
    ],
)
def test_only_what_is_proven_is_said(
    wins: int, losses: int, ties: int, policy: dict[str, object], verdict: Standing, reason: str
) -> None:
    won, lost, tied = ("late", "ok", "late", "AA"), ("late", "late", "ok", "AA"), ("ok", "ok", "ok", "AA")
    found = held([won] * wins + [lost] * losses + [tied] * ties, **policy)
    assert found.verdict is verdict
    assert reason in found.reason


SAID = st.sampled_from(["late", "ok", "gone", None])


@given(st.lists(st.tuples(st.sampled_from(["late", "ok", "gone"]), SAID, SAID), max_size=60))
def test_from_the_other_side_wins_are_losses(rows: list[Row]) -> None:
    def seen(rows: list[Row]) -> Comparison:
        return held([(*row, "AA") for row in rows], margin=0.001, alpha=0.2, min_step_paired=1)

    one, other = seen(rows), seen([(truth, new, old) for truth, old, new in rows])
    assert one.overall.pairs == other.overall.pairs.swapped
    assert one.overall.pairs.total == len(rows)
    assert (one.overall.champion, one.overall.challenger) == (other.overall.challenger, other.overall.champion)
    assert one.slices[0].pairs == one.overall.pairs
    if one.verdict is Standing.SUPERIOR:
        assert other.verdict in (Standing.WORSE, Standing.INCONCLUSIVE)
    if one.overall.pairs.wins == one.overall.pairs.losses:
        assert one.verdict in (Standing.NOT_WORSE, Standing.INCONCLUSIVE)


def test_the_report_shows_each_number_beside_its_limit() -> None:
    report = held(TABLE).to_markdown()
    for line in (
        "## 1.1.0 against 1.0.0: inconclusive",
        "| champion 1.0.0 | 0.5000 | 0.5000 | 0.4667 | 0 | 1 |",
        "| challenger 1.1.0 | 0.7500 | 0.7500 | 0.8036 | 1 | 3 |",
        "| accuracy over the champion's | 1.384 | 20 |",
        "| carrier=UA | 5 | 2 | 0 |",
        "8 of the 10 served from 2013-03-01 00:00 to 2013-03-08 00:00 UTC",
        "It changes no deployment",
    ):
        assert line in report, report
