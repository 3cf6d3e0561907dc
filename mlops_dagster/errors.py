"""Every error of the project, in one tree.

Where a builtin error fits a class (LookupError, ValueError ...), the class derives from it too, so callers may catch
either. Each class has a stable `code` that CLI, HTTP answers and tests use. A message says what was wrong, with what
value, and what to do.
"""

from datetime import timedelta
from typing import ClassVar

from mlops_dagster.urls import without_secrets


class MlopsError(Exception):
    """The root of the error tree.

    >>> str(ModelNotFoundError("no model 'x'; `mlops models list` shows what there is"))
    "no model 'x'; `mlops models list` shows what there is"
    >>> ModelNotFoundError.code
    'model_not_found'
    """

    code: ClassVar[str] = "mlops_error"

    def __init__(self, *args: object, told: str | None = None) -> None:
        super().__init__(*(without_secrets(each) if isinstance(each, str) else each for each in args))
        self._told = told

    @property
    def message(self) -> str:
        """The text for the caller whose request failed; it may quote the request."""
        return str(self.args[0]) if self.args else self.code

    @property
    def told(self) -> str:
        """The text for everybody else, in alerts, events and logs: it quotes no value of a row."""
        return self.message if self._told is None else self._told

    def __str__(self) -> str:
        return self.message


def told(error: BaseException) -> str:
    """Return the text of an error for alerts, events and logs; only the class of a foreign one, which may quote a row.

    >>> told(ValueError("could not convert string to float: 'Ada'"))
    'ValueError'
    """
    return error.told if isinstance(error, MlopsError) else type(error).__name__


class NotFoundError(MlopsError, LookupError):
    code = "not_found"


class ModelNotFoundError(NotFoundError):
    code = "model_not_found"


class VersionNotFoundError(NotFoundError):
    code = "version_not_found"


class PredictionNotFoundError(NotFoundError):
    code = "prediction_not_found"


class RolloutNotFoundError(NotFoundError):
    code = "rollout_not_found"


class ArtifactNotFoundError(NotFoundError):
    code = "artifact_not_found"


class InvalidInputError(MlopsError, ValueError):
    code = "invalid_input"


class EventTimeError(InvalidInputError):
    """An event or query dated too far before the latest event of the registry, or in the future."""

    code = "event_time"


class InvalidNameError(InvalidInputError):
    code = "invalid_name"


class InvalidVersionError(InvalidInputError):
    code = "invalid_version"


class InvalidFeaturesError(InvalidInputError):
    """A request whose features are missing, unknown or of the wrong type."""

    code = "invalid_features"


class UnlikeTrainingError(InvalidFeaturesError):
    """A request with values that the training data do not have, refused by the guard."""

    code = "unlike_training"


class InvalidLabelsError(InvalidInputError):
    """A batch of labels, `refused` of which are not classes of the model."""

    code = "invalid_labels"

    def __init__(self, message: str, refused: int) -> None:
        super().__init__(message)
        self.refused = refused


class TooLargeError(InvalidInputError):
    """A request with a larger body than the data plane takes."""

    code = "too_large"


class HeadTooLargeError(TooLargeError):
    """A request whose head (line and headers) has more bytes or headers than the data plane takes."""

    code = "head_too_large"


class TooSlowError(InvalidInputError):
    """A request that did not arrive completely within its time limit."""

    code = "too_slow"


class UnsupportedContentError(InvalidInputError):
    """A body of a type that the data plane does not take."""

    code = "unsupported_content"


class InvalidPolicyError(InvalidInputError):
    code = "invalid_policy"


class InvalidDefinitionError(InvalidInputError):
    """A `defs.yaml` from which no definitions can be made."""

    code = "invalid_definition"


class InvalidSuiteError(InvalidInputError):
    """A suite of expectations, as people edited it, that cannot be used."""

    code = "invalid_suite"


class UnsafeArtifactError(InvalidInputError):
    """An artifact that would run code when loaded (pickle, joblib)."""

    code = "unsafe_artifact"


class ArtifactChangedError(InvalidInputError):
    """An artifact that was changed while it was copied."""

    code = "artifact_changed"


class RefusedError(MlopsError):
    """A change that a rule of the platform forbids."""

    code = "refused"


class UnauthenticatedError(MlopsError, PermissionError):
    """A request without a token, or with an unknown one."""

    code = "unauthenticated"


class ForbiddenError(MlopsError, PermissionError):
    """A request that the caller may not make, such as one whose token lacks the scope for it."""

    code = "forbidden"


class ForeignRequestError(ForbiddenError):
    """A request that a foreign web page may have made a browser send."""

    code = "foreign_request"


class OverloadedError(MlopsError):
    """A caller, or the rest of a request body, for which the data plane has no room now."""

    code = "overloaded"


class KnownBadError(RefusedError):
    """A version with the same bytes as one that was rolled back."""

    code = "known_bad"


class IncompleteCardError(RefusedError, ValueError):
    code = "incomplete_card"


class QualityGateError(RefusedError):
    code = "quality_gate"


class ValidationGateError(RefusedError):
    """A version whose training data failed its validation, or was not validated."""

    code = "validation_gate"


class SignatureError(RefusedError):
    """A version that is not signed, or not signed by the trusted key."""

    code = "signature"


class ApprovalError(RefusedError):
    """A version that lacks the approval of a person who may approve it."""

    code = "approval"


class TransitionError(RefusedError):
    """A change of stage that the state machine of versions does not allow."""

    code = "transition_not_allowed"


class ConflictError(MlopsError):
    """A change that came too late: another caller changed the same thing first."""

    code = "conflict"


class EpochConflictError(ConflictError):
    code = "epoch_conflict"


class VersionExistsError(ConflictError):
    """A version that is registered already, with other bytes."""

    code = "version_exists"


class PolicyConflictError(ConflictError):
    """Two code locations have different policies for one model."""

    code = "policy_conflict"


class AlreadyRunningError(ConflictError):
    code = "already_running"


class CorruptedError(MlopsError):
    """Stored bytes that differ from the bytes that were written."""

    code = "corrupted"


class UnreadableError(CorruptedError):
    """A row of a store that cannot be read, while the others can."""

    code = "unreadable"


class CorruptedArtifactError(CorruptedError):
    code = "corrupted_artifact"


class CountsLostError(CorruptedError):
    """Rollups that lack counts which they once had: their file was lost, or is an older copy."""

    code = "counts_lost"


class AuditError(CorruptedError):
    """An event chain that was changed, reordered or cut."""

    code = "audit_broken"


class StorageError(MlopsError, OSError):
    """A database, disk or object store that cannot be used now."""

    code = "storage"


class HomeNotWritableError(StorageError):
    code = "home_not_writable"


class TrainingDataError(MlopsError, ValueError):
    """A training set that failed its validation."""

    code = "training_data"


class OnHoldError(MlopsError):
    """A model on hold: none of its requests is answered."""

    code = "on_hold"


class MissingExtraError(MlopsError, ModuleNotFoundError):
    """An optional part of this package that is needed and not installed."""

    code = "missing_extra"


class ModelFailedError(MlopsError, RuntimeError):
    """A model that raised, or returned something of the wrong shape."""

    code = "model_failed"


class ModelTimeoutError(ModelFailedError):
    """A model that did not answer in time."""

    code = "model_timeout"


class TrialFailedError(ModelFailedError):
    """A version that failed its trial, or killed `deaths` workers after it: it is neither registered nor loaded."""

    code = "trial_failed"

    def __init__(self, message: str, deaths: int = 0) -> None:
        super().__init__(message)
        self.deaths = deaths


class ServerError(MlopsError, RuntimeError):
    """A server that this process started or talks to, and that did not do its part."""

    code = "server"


class FleetError(MlopsError, RuntimeError):
    """A look at a fleet in which some models could not be looked at."""

    code = "fleet"


class ChannelError(MlopsError):
    """A channel of alerts that did not take a message."""

    code = "channel"


class TryLaterError(ChannelError):
    """A message that a channel does not take now; `after` is when it will, where it said so.

    `taken` says that the channel may have taken the message although it did not confirm it, and `channel` that it takes
    no other message now either.
    """

    code = "channel_later"

    def __init__(
        self, message: str, *, after: timedelta | None = None, taken: bool = False, channel: bool = False
    ) -> None:
        super().__init__(message)
        self.after, self.taken, self.channel = after, taken, channel


class ChannelRefusedError(ChannelError):
    """A message that a channel will never take: its key is wrong, or what it is sent to does not exist."""

    code = "channel_refused"


def is_panic(error: BaseException) -> bool:
    """Return whether `error` is the panic of a library in Rust: not an Exception, and its class cannot be imported."""
    return type(error).__module__ == "pyo3_runtime"
