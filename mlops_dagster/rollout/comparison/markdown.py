"""A comparison as Markdown (CommonMark with tables)."""

from collections.abc import Sequence

from mlops_dagster.documents.markdown import escape, markdown_table
from mlops_dagster.registry.cards.wording import MOST_LINES
from mlops_dagster.rollout.comparison.comparison import Comparison, Part

MANY_SLICES = f"Of {{slices:,}} slices the {MOST_LINES} with the most evidence, either way."


def to_markdown(found: Comparison) -> str:
    """Return the verdict, both versions' scores, the tests with limits, the slices, and the origin of the rows."""
    return "\n\n".join(
        [
            f"## {found.challenger} against {found.champion}: {found.verdict.replace('_', ' ')}",
            f"{escape(found.reason[0].upper() + found.reason[1:])}. It changes no deployment: only a rollout does.",
            scores_table(found),
            tests_table(found.overall),
            "### Slices",
            *([MANY_SLICES.format(slices=len(found.slices))] if len(found.slices) > MOST_LINES else []),
            slices_table(found),
            "The verdict is of all rows. With so many slices some stand out by chance: in each, a claim needs "
            f"{len(found.slices)} times the e-value, and none decides."
            if found.slices
            else "The challenger's card names none.",
            "### Rows",
            rows_text(found),
        ]
    )


def scores_table(found: Comparison) -> str:
    """Return a table with a line for each version, on all rows."""
    pairs = found.overall.pairs
    both = (
        ("champion", found.champion, found.overall.champion, pairs.losses),
        ("challenger", found.challenger, found.overall.challenger, pairs.wins),
    )
    names = next((list(scores.measures) for _, _, scores, _ in both if scores is not None), [])
    headings = [found.headings.get(name, name.replace("_f1", "-F1")) for name in names]
    rows = [
        [f"{role} {version}", *(f"{scores.value(name):.4f}" for name in names), scores.failed, alone]
        for role, version, scores, alone in both
        if scores is not None
    ]
    return markdown_table(["version", *headings, "failed", "right alone"], rows) or "No rows."


def tests_table(part: Part) -> str:
    """Return a table of each claim with its e-value and its limit."""
    return markdown_table(
        ["claim", "e-value", "limit", "anytime p", "verdict"],
        [
            [test.claim, f"{test.e_value:.4g}", f"{test.limit:.4g}", f"{test.p:.3g}", test.verdict]
            for test in part.tests
        ],
    )


def slices_table(found: Comparison) -> str:
    """Return a table with a line for each slice, or for the most telling ones of many; empty without slices."""
    measured = [f"{heading}, both" for heading in found.headings.values()]
    return markdown_table(
        ["slice", "rows", "wins", "losses", *measured, "E superior", "E worse", "limit", "verdict"],
        [
            [
                part.name,
                part.pairs.total,
                part.pairs.wins,
                part.pairs.losses,
                *(_both(part, name) for name in found.headings),
                f"{part.tests[0].e_value:.3g}",
                f"{part.tests[2].e_value:.3g}",
                f"{part.tests[0].limit:.4g}",
                part.verdict,
            ]
            for part in most_telling(found.slices, MOST_LINES)
        ],
    )


def most_telling(slices: Sequence[Part], most: int) -> Sequence[Part]:
    """Return the slices in the order of the card; of more than `most`, those with the most evidence for any claim.

    The latter come in the order of their evidence, the most first.
    """
    if len(slices) <= most:
        return slices
    return sorted(slices, key=lambda part: -max(test.e_value for test in part.tests))[:most]


def rows_text(found: Comparison) -> str:
    """Return a text on the rows' origin and on those left out."""
    sample = found.sample
    window = f"from {sample.since:%Y-%m-%d %H:%M} to {sample.until:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"{sample.compared:,} of the {sample.served:,} served {window}, after the training data of both had ended.",
        f"{sample.unlabelled:,} have no label yet.",
    ]
    if sample.not_given:
        lines.append(f"{sample.not_given:,} were served by a version that was not given every feature both ask for.")
    if sample.thinned_days:
        lines.append(f"On {sample.thinned_days} days with too many, the first minutes of each hour were taken.")
    rows = found.rows_per_observation
    shared = "unknown" if rows is None else f"{rows:.3g}"
    lines.append(
        f"Margin {found.margin:g}, alpha {found.alpha:g}, at least {found.min_pairs} pairs; rows worth one: {shared}."
    )
    return " ".join(lines)


def _both(part: Part, measure: str) -> str:
    return ", ".join("-" if its is None else f"{its.value(measure):.3f}" for its in (part.champion, part.challenger))
