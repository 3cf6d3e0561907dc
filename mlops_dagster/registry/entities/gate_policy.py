"""The gates that a version must pass before it may be champion."""

from mlops_dagster.errors import (
    ApprovalError,
    IncompleteCardError,
    KnownBadError,
    QualityGateError,
    RefusedError,
    SignatureError,
    ValidationGateError,
)
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.entities import Event, ModelVersion
from mlops_dagster.tasks import Least, QualityLimits, Task


class GatePolicy(QualityLimits):
    """The gates of one model: limits on the "overall" slice of the card, approvers, and a signature."""

    approvers: tuple[str, ...] = ()
    """The people who may approve a version; if any are named, one of them must."""
    signature: bool = False
    """Requires a signature by the trusted key of the settings; without such a key no version passes."""


def failed_gates(
    version: ModelVersion,
    policy: GatePolicy,
    review: Event | None,
    unsigned: SignatureError | None,
    known_bad: KnownBadError | None,
) -> tuple[RefusedError, ...]:
    """Return an error for each closed gate, the gravest first.

    `review` is the last event about approval or the card; `unsigned` the error of the signature check, if it was made;
    `known_bad` the error that the same bytes were rolled back under another version.
    """
    name = f"{version.model} {version.version} may not enter production"
    card = version.card or ModelCard()
    found = (
        known_bad,
        _signature_gate(name, policy, unsigned),
        _card_gate(name, card),
        _validation_gate(name, card),
        _quality_gate(name, card, policy, version.task),
        _approval_gate(name, policy, review),
    )
    return tuple(error for error in found if error is not None)


def _signature_gate(name: str, policy: GatePolicy, unsigned: SignatureError | None) -> RefusedError | None:
    return SignatureError(f"{name}: {unsigned.message}") if policy.signature and unsigned else None


def _card_gate(name: str, card: ModelCard) -> RefusedError | None:
    missing = card.missing()
    if not missing:
        return None
    return IncompleteCardError(
        f"{name}: a complete model card is required, and {', '.join(missing)} is missing; attach a card that has it"
    )


def _validation_gate(name: str, card: ModelCard) -> RefusedError | None:
    found = card.validation
    if found is not None and found.passed:
        return None
    if found is None:
        return ValidationGateError(
            f"{name}: its card does not say what validated the training data; "
            "run a suite over it and put the result on the card as `validation`"
        )
    if found.errors and not found.failures:
        return ValidationGateError(
            f"{name}: the suite {found.suite} could not be evaluated on its training data ({'; '.join(found.errors)}); "
            "mend the suite, not the data, and train again"
        )
    return ValidationGateError(
        f"{name}: its training data failed the suite {found.suite} ({'; '.join(found.failures) or 'no rows'}); "
        "mend the data and train again"
    )


def _quality_gate(name: str, card: ModelCard, policy: GatePolicy, task: Task) -> RefusedError | None:
    errors = (_under_least(name, card, least) for least in task.least(policy))
    return next((error for error in errors if error is not None), None)


def _under_least(name: str, card: ModelCard, least: Least) -> QualityGateError | None:
    overall = card.overall
    value = None if overall is None else overall.metrics.get(least.measure)
    promise = f"{name}: the quality gate promises {least.heading} >= {least.value:g}"
    if overall is None or value is None:
        return QualityGateError(f"{promise}, and its card says nothing of it; attach a card that has it")
    if value >= least.value:
        return None
    interval = overall.intervals.get(least.measure)
    between = "" if interval is None else f" (95 % interval {interval[0]:.4f} to {interval[1]:.4f})"
    return QualityGateError(f"{promise}, and its card says {value:.4f}{between}; train a better one, or {least.advice}")


def _approval_gate(name: str, policy: GatePolicy, review: Event | None) -> RefusedError | None:
    if not policy.approvers:
        return None
    if review is not None and review.kind == "approved" and review.actor in policy.approvers:
        return None
    who = " or ".join(policy.approvers)
    if review is not None and review.kind == "rejected":
        return ApprovalError(f"{name}: {review.actor} rejected it ({review.reason}); answer that, and request anew")
    return ApprovalError(f"{name}: {who} must approve it with its present card; request that, and wait for the answer")
