"""The rules that open an alert when they are broken; each has a runbook."""

from enum import StrEnum


class Rule(StrEnum):
    """A rule, as code. The runbook of `no_champion` is the page `runbooks/no_champion` of the documentation."""

    NO_CHAMPION = "no_champion"
    NO_DEFINITION = "no_definition"
    KNOWN_BAD = "known_bad"
    CHAMPION_ERROR_LIMIT = "champion_error_limit"
    WATCH_INCONCLUSIVE = "watch_inconclusive"
    MACRO_F1 = "macro_f1"
    ACCURACY_COLLAPSE = "accuracy_collapse"
    CONCEPT_DRIFT = "concept_drift"
    TOO_FEW_LABELS = "too_few_labels"
    RETRAINING_FAILED = "retraining_failed"
    VALIDATION = "validation"
    VALIDATION_ERROR = "validation_error"
    BATCH_INPUT = "batch_input"
    BATCH_INPUT_ERROR = "batch_input_error"
    SUITE = "suite"
    VERSION_REFUSED = "version_refused"
    LOG_HELD = "log_held"
    COUNTS_MISSING = "counts_missing"
