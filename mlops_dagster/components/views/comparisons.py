"""A comparison of two versions as Dagster shows it: each number next to its limit."""

import dagster as dg

from mlops_dagster.components.views.tables import MOST_ROWS, Cell, Metadata, in_order, table
from mlops_dagster.rollout.comparison.comparison import Comparison, Part
from mlops_dagster.rollout.comparison.markdown import most_telling, rows_text
from mlops_dagster.rollout.entities import TestResult


def metadata_of(found: Comparison) -> Metadata:
    """Return verdict and reason, tables of versions, claims and slices, and the numbers that change day by day."""
    pairs = found.overall.pairs
    return in_order(
        {
            "verdict": found.verdict.value,
            "reason": found.reason,
            "challenger": found.challenger,
            "champion": found.champion,
            "which_rows": rows_text(found),
            "versions": table(_versions(found)),
            "claims": table([_claim(test) for test in found.overall.tests]),
            "slices": table([_slice(part, found.merit) for part in most_telling(found.slices, MOST_ROWS)]),
            "rows": pairs.total,
            "wins": pairs.wins,
            "losses": pairs.losses,
            **_merits(found.overall, found.merit),
            **{f"e_{_short(test)}": _finite(test.e_value) for test in found.overall.tests},
            "limits": dg.MetadataValue.json({f"e_{_short(test)}": test.limit for test in found.overall.tests}),
        }
    )


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
        "e-value": _finite(test.e_value),
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
        "e superior": _finite(superior.e_value),
        "e worse": _finite(worse.e_value),
        "limit": worse.limit,
    }


def _merits(part: Part, merit: str) -> Metadata:
    both = {"champion": part.champion, "challenger": part.challenger}
    return {f"{whose}_{merit}": round(scores.value(merit), 4) for whose, scores in both.items() if scores is not None}


def _finite(e_value: float) -> float:
    """Return a finite e-value: neither a plot nor JSON can show infinity."""
    return min(e_value, 1e300)


def _short(test: TestResult) -> str:
    return test.name.split(".")[1]
