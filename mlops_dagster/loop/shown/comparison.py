"""A comparison of two versions: each number next to its limit."""

from mlops_dagster.loop.shown.entries import MOST_ROWS, Cell, Data, Entries, Table, finite
from mlops_dagster.rollout.comparison.comparison import Comparison, Part
from mlops_dagster.rollout.comparison.markdown import most_telling, rows_text
from mlops_dagster.rollout.entities import TestResult


def comparison_entries(found: Comparison) -> Entries:
    """Return verdict and reason, tables of versions, claims and slices, and the numbers that change day by day."""
    pairs = found.overall.pairs
    return {
        "verdict": found.verdict.value,
        "reason": found.reason,
        "challenger": found.challenger,
        "champion": found.champion,
        "which_rows": rows_text(found),
        "versions": Table(_versions(found)),
        "claims": Table([_claim(test) for test in found.overall.tests]),
        "slices": Table([_slice(part, found.merit) for part in most_telling(found.slices, MOST_ROWS)]),
        "rows": pairs.total,
        "wins": pairs.wins,
        "losses": pairs.losses,
        **_merits(found.overall, found.merit),
        **{f"e_{_short(test)}": finite(test.e_value) for test in found.overall.tests},
        "limits": Data({f"e_{_short(test)}": test.limit for test in found.overall.tests}),
    }


def _versions(found: Comparison) -> list[dict[str, Cell]]:
    pairs = found.overall.pairs
    both = (
        (f"challenger {found.challenger}", found.overall.challenger, pairs.wins),
        (f"champion {found.champion}", found.overall.champion, pairs.losses),
    )
    return [
        {
            "version": version,
            **{heading: scores.value(name) for name, heading in found.headings.items()},
            "failed": scores.failed,
            "right alone": alone,
        }
        for version, scores, alone in both
        if scores is not None
    ]


def _claim(test: TestResult) -> dict[str, Cell]:
    return {
        "verdict": test.verdict,
        "e-value": finite(test.e_value),
        "limit": test.limit,
        "claim": test.claim,
    }


def _slice(part: Part, merit: str) -> dict[str, Cell]:
    superior, _, worse = part.tests
    return {
        "slice": part.name,
        "verdict": part.verdict.value,
        "rows": part.pairs.total,
        "challenger": None if part.challenger is None else part.challenger.value(merit),
        "champion": None if part.champion is None else part.champion.value(merit),
        "wins": part.pairs.wins,
        "losses": part.pairs.losses,
        "e superior": finite(superior.e_value),
        "e worse": finite(worse.e_value),
        "limit": worse.limit,
    }


def _merits(part: Part, merit: str) -> Entries:
    both = {"champion": part.champion, "challenger": part.challenger}
    return {f"{whose}_{merit}": round(scores.value(merit), 4) for whose, scores in both.items() if scores is not None}


def _short(test: TestResult) -> str:
    return test.name.split(".")[1]
