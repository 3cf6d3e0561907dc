"""A comparison of two versions as Dagster shows it: each number beside what it is held against."""

import dagster as dg

from mlops_dagster.rollout.comparison import Comparison, Part
from mlops_dagster.rollout.entities import TestResult

Metadata = dict[str, dg.MetadataValue | str | int | float]


def metadata_of(found: Comparison) -> Metadata:
    """Verdict, scores, pairs, e-values with their limits, a table of the slices and the report."""
    pairs, sample = found.overall.pairs, found.sample
    return {
        "verdict": found.verdict.value,
        "reason": found.reason,
        "slices": _slices(found),
        "champion": found.champion,
        "challenger": found.challenger,
        "rows": pairs.total,
        "since": sample.since.isoformat(),
        "until": sample.until.isoformat(),
        "served": sample.served,
        "unlabelled": sample.unlabelled,
        "not_given": sample.not_given,
        "thinned_days": sample.thinned_days,
        "wins": pairs.wins,
        "losses": pairs.losses,
        "ties": pairs.ties,
        **_scores(found.overall),
        **_e_values(found.overall),
        "limits": dg.MetadataValue.json(
            {
                "min_rows": found.min_rows,
                "margin": found.margin,
                "alpha": found.alpha,
                "rows_per_observation": found.rows_per_observation or "unknown",
                **{f"e_{_short(test)}": test.limit for test in found.overall.tests},
            }
        ),
        "report": dg.MetadataValue.md(found.to_markdown()),
    }


def _scores(part: Part) -> Metadata:
    shown: Metadata = {}
    for whose, scores in (("champion", part.champion), ("challenger", part.challenger)):
        if scores is not None:
            shown |= {
                f"{whose}_accuracy": scores.accuracy,
                f"{whose}_micro_f1": scores.micro_f1,
                f"{whose}_macro_f1": scores.macro_f1,
                f"{whose}_failed": scores.failed,
            }
    return shown


def _e_values(part: Part) -> Metadata:
    """`e_superior` and so on. An e-value may be infinite, which no plot shows."""
    return {f"e_{_short(test)}": min(test.e_value, 1e300) for test in part.tests}


def _short(test: TestResult) -> str:
    return test.name.split(".")[1]


def _slices(found: Comparison) -> dg.MetadataValue:
    records = []
    for part in found.slices:
        superior, not_worse, worse = part.tests
        records.append(
            dg.TableRecord(
                {
                    "slice": part.name,
                    "rows": part.pairs.total,
                    "wins": part.pairs.wins,
                    "losses": part.pairs.losses,
                    "champion_accuracy": None if part.champion is None else part.champion.accuracy,
                    "challenger_accuracy": None if part.challenger is None else part.challenger.accuracy,
                    "e_superior": superior.e_value,
                    "e_not_worse": not_worse.e_value,
                    "e_worse": worse.e_value,
                    "limit": worse.limit,
                    "verdict": part.verdict.value,
                }
            )
        )
    return dg.MetadataValue.table(records, schema=_SCHEMA)


_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("slice", "string"),
        *(dg.TableColumn(name, "int") for name in ("rows", "wins", "losses")),
        *(dg.TableColumn(name, "float") for name in ("champion_accuracy", "challenger_accuracy")),
        *(dg.TableColumn(name, "float") for name in ("e_superior", "e_not_worse", "e_worse", "limit")),
        dg.TableColumn("verdict", "string"),
    ]
)
