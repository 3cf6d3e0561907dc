"""A comparison as Markdown (CommonMark with tables)."""

from collections.abc import Callable, Sequence

from mlops_dagster.registry.cards.markdown import escape
from mlops_dagster.registry.cards.wording import MOST_LINES
from mlops_dagster.rollout.comparison.comparison import Comparison, Part, Scores

MANY_SLICES = f"Of {{slices:,}} slices the {MOST_LINES} with the most evidence, either way."


def to_markdown(found: Comparison) -> str:
    """Return the verdict, both versions' scores, the tests with limits, the slices, and the origin of the rows."""
    return "\n\n".join(
        [
            f"## {found.challenger} against {found.champion}: {found.verdict.replace('_', ' ')}",
            f"{found.reason[0].upper()}{found.reason[1:]}. It changes no deployment: only a rollout does.",
            scores_table(found),
            tests_table(found.overall),
            "### Slices",
            *([MANY_SLICES.format(slices=len(found.slices))] if len(found.slices) > MOST_LINES else []),
            slices_table(found.slices),
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
    lines = ["| version | accuracy | micro-F1 | macro-F1 | failed | right alone |", "|---|---|---|---|---|---|"]
    for role, version, scores, alone in (
        ("champion", found.champion, found.overall.champion, pairs.losses),
        ("challenger", found.challenger, found.overall.challenger, pairs.wins),
    ):
        if scores is not None:
            lines.append(
                f"| {role} {version} | {scores.accuracy:.4f} | {scores.micro_f1:.4f} | {scores.macro_f1:.4f} "
                f"| {scores.failed} | {alone} |"
            )
    return "\n".join(lines) if len(lines) > 2 else "No rows."


def tests_table(part: Part) -> str:
    """Return a table of each claim with its e-value and its limit."""
    lines = ["| claim | e-value | limit | anytime p | verdict |", "|---|---|---|---|---|"]
    lines += [
        f"| {test.claim} | {test.e_value:.4g} | {test.limit:.4g} | {test.p:.3g} | {test.verdict} |"
        for test in part.tests
    ]
    return "\n".join(lines)


def slices_table(slices: Sequence[Part]) -> str:
    """Return a table with a line for each slice, or for the most telling ones of many; empty without slices."""
    if not slices:
        return ""
    lines = [
        "| slice | rows | wins | losses | accuracies | macro-F1s | E superior | E worse | limit | verdict |",
        "|" + "---|" * 10,
    ]
    for part in most_telling(slices, MOST_LINES):
        superior, _, worse = part.tests
        accuracies, macro_f1s = _both(part, lambda each: each.accuracy), _both(part, lambda each: each.macro_f1)
        lines.append(
            f"| {escape(part.name).replace('|', chr(92) + '|')} | {part.pairs.total} | {part.pairs.wins} "
            f"| {part.pairs.losses} | {accuracies} | {macro_f1s} | {superior.e_value:.3g} "
            f"| {worse.e_value:.3g} | {superior.limit:.4g} | {part.verdict} |"
        )
    return "\n".join(lines)


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


def _both(part: Part, metric: Callable[[Scores], float]) -> str:
    return ", ".join("-" if scores is None else f"{metric(scores):.3f}" for scores in (part.champion, part.challenger))
