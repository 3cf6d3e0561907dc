"""A model's assets and checks, described for people; texts are templates of the model's spec."""

from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from mlops_dagster.links.board import model_page
from mlops_dagster.loop.judging.validate_batches import BATCH
from mlops_dagster.loop.shown.entries import Entries, PageLink
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.settings import Settings


class Described(NamedTuple):
    """The stage of a model's life that an asset belongs to, the libraries it is made with, and its description."""

    stage: str
    kinds: frozenset[str]
    text: str


def _described(stage: str, kinds: str, text: str) -> Described:
    return Described(stage, frozenset(kinds.split()), text)


ASSETS: Final[Mapping[str, Described]] = {
    "training_set": _described(
        "training",
        "pandas",
        "Labelled rows of the last {spec.training.window_days} days; `candidate` is fitted on them.",
    ),
    "candidate": _described(
        "training",
        "scikitlearn",
        "Fitted without the last {spec.training.evaluation_days} days, judged on them, then refitted on all rows; "
        "`model_card` and `registered_version` come from it.",
    ),
    "model_card": _described(
        "training",
        "markdown",
        "The candidate's training data and its validation, its quality in each slice, its intended use and failure "
        "modes. A complete card is required for production.",
    ),
    "registered_version": _described(
        "training",
        "registry",
        "The candidate under its SHA-256 and the next version number, and the code, environment and run it comes from. "
        "A champion exists already? Then it is a challenger: the rollout sensor takes it from here.",
    ),
    "deployment": _described(
        "serving",
        "registry",
        "The versions that answer requests. Materialized by each step, promotion, rollback and manual action, with "
        "reason and evidence.",
    ),
    "champion_challenger": _described(
        "rollout",
        "python deltalake",
        "Both versions on the labelled rows served since the training data of both ended: paired tests, the slices of "
        "the card, and a verdict. A report only: the rollout alone changes the version that serves.",
    ),
    "prediction_batch": _described(
        "serving",
        "deltalake greatexpectations",
        "The predictions of an hour, and the requests that a hold refused, from the log. `drift_report` follows.",
    ),
    "drift_report": _described(
        "monitoring",
        "python whylogs evidently",
        "PSI of each feature and KS of the score, trailing {spec.drift.window_hours:g} h against the champion's "
        "baseline. Drift that moves the scores or comes with wrong answers asks for a retraining (`retraining` says "
        "why or why not); none does while an hour of the window failed its validation. It comes with the hour's "
        "whylogs profile of every version, and an Evidently report of the last hour of a run if something moved, else "
        "of one hour a day.",
    ),
    "performance_report": _described(
        "monitoring",
        "duckdb",
        "Accuracy, F1, latency and error rate of every version, from the logged predictions of a day and the labels "
        "known by now; made again when more of them come. The latest day holds the champion to the floor of its "
        "headline measure and to its own evaluation.",
    ),
    "label_drift": _described(
        "monitoring",
        "python",
        "Chi-squared of the labels that became known in a week against the champion's baseline.",
    ),
    BATCH: _described(
        "serving",
        "pandas greatexpectations",
        "The rows of a day that are to be scored, validated. `batch_scores` follows.",
    ),
    "batch_scores": _described(
        "serving",
        "parquet",
        "Every row of a day with the prediction and score of that day's champion, its version and digest.",
    ),
}
"""Each asset by its name."""

CHECKS: Final[Mapping[tuple[str, str], str]] = {
    ("training_set", "suite_passes"): "Great Expectations: columns, types, null rates, ranges, labels. A failure "
    "stops the training run.",
    ("registered_version", "gates_open"): "Whether the new version passes the gates of production as they are now. It "
    "stays registered either way; a first version that passes later, because a gate was changed, is promoted then by "
    "itself.",
    ("prediction_batch", "suite_passes"): "Great Expectations, hour by hour: a bad hour is quarantined with its rows "
    "and named here.",
    ("drift_report", "within_limits"): "WARN when an hour of the run has a feature, not a report-only one, with a PSI "
    "over {spec.drift.retrain:g}, or scores at a distance D over {spec.drift.ks:g}; either more than chance explains.",
    ("performance_report", "headline"): "Headline measure of the champion (macro-F1 of a classification) over the last "
    "{spec.performance.window_days} days whose labels are complete: WARN under {spec.performance.alert:g}, ERROR under "
    "the floor of {spec.performance.floor:g}.",
    ("performance_report", "concept_drift"): "Wrong answers of the champion since its promotion, in each slice of its "
    "card, against its evaluation and {spec.concept.margin:.0%}: WARN when it is proven to do worse. A false alarm in "
    "its whole life has a probability of {spec.concept.alpha:g} at most, as far as days are what the evaluation "
    "showed. ERROR when a fifth of its accuracy is lost for two days.",
    (BATCH, "suite_passes"): "Great Expectations: columns, types, null rates, ranges, categories, distributions. "
    "A failure quarantines the rows, and nothing is scored.",
}
"""The description of each check, by its asset and name."""


def control_room(spec: ModelSpec) -> Entries:
    """Return the link of an asset to its model's page of the control room; empty without MLOPS_BOARD_URL."""
    board = _board()
    return {} if board is None else {"control_room": PageLink(model_page(board, spec.model))}


@cache
def _board() -> str | None:
    """Return MLOPS_BOARD_URL; it is read once, as a code location may have thousands of assets."""
    return Settings().board_url
