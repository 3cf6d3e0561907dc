"""Every error of the project, in one tree.

Each class is also the builtin that fits it, so callers may catch either, and has a stable `code` that
CLI, HTTP answers and tests use. A message says what was wrong, with what value, and what to do.
"""

from typing import ClassVar

from mlops_dagster.urls import without_secrets


class MlopsError(Exception):
    """Root of the tree.

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
        """For whoever asked: it may hold what they sent."""
        return str(self.args[0]) if self.args else self.code

    @property
    def told(self) -> str:
        """For everybody else, in alerts, events and logs: without a value of any row."""
        return self.message if self._told is None else self._told

    def __str__(self) -> str:
        return self.message


def told(error: BaseException) -> str:
    """Return what may be told of an error in alerts, events and logs: the text of a foreign one may quote a row.

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
    """An event that is to happen before the present of its registry, or in the future."""

    code = "event_time"


class InvalidNameError(InvalidInputError):
    code = "invalid_name"


class InvalidVersionError(InvalidInputError):
    code = "invalid_version"


class InvalidFeaturesError(InvalidInputError):
    """A request whose features are missing, unknown or of the wrong type."""

    code = "invalid_features"


class UnlikeTrainingError(InvalidFeaturesError):
    """A request with values that the training data do not know, where the guard refuses them."""

    code = "unlike_training"


class InvalidLabelsError(InvalidInputError):
    """A batch of labels of which `refused` are no class of the model."""

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
    """A request of which not all arrived within the time there is for it."""

    code = "too_slow"


class UnsupportedContentError(InvalidInputError):
    """A body of a type that the data plane does not take."""

    code = "unsupported_content"


class InvalidPolicyError(InvalidInputError):
    code = "invalid_policy"


class InvalidDefinitionError(InvalidInputError):
    """A `defs.yaml` of which no definitions can be made."""

    code = "invalid_definition"


class InvalidSuiteError(InvalidInputError):
    """A suite of expectations, as people edited it, that cannot be used."""

    code = "invalid_suite"


class UnsafeArtifactError(InvalidInputError):
    """An artifact that would run code when loaded (pickle, joblib)."""

    code = "unsafe_artifact"


class ArtifactChangedError(InvalidInputError):
    """An artifact was written to while it was copied."""

    code = "artifact_changed"


class RefusedError(MlopsError):
    """A promise of the platform forbids the change."""

    code = "refused"


class UnauthenticatedError(MlopsError, PermissionError):
    """A request without a token, or with one that is not known."""

    code = "unauthenticated"


class ForbiddenError(MlopsError, PermissionError):
    """A token that is not for this."""

    code = "forbidden"


class ForeignRequestError(ForbiddenError):
    """A request that the web page of somebody else may have made a browser send."""

    code = "foreign_request"


class OverloadedError(MlopsError):
    """The data plane has no room now for one more caller, or for the rest of a body."""

    code = "overloaded"


class KnownBadError(RefusedError):
    """A version with the bytes of one that was rolled back."""

    code = "known_bad"


class IncompleteCardError(RefusedError, ValueError):
    code = "incomplete_card"


class QualityGateError(RefusedError):
    code = "quality_gate"


class ValidationGateError(RefusedError):
    """The training data failed its validation, or nobody validated it."""

    code = "validation_gate"


class SignatureError(RefusedError):
    """A version is not signed, or not by the key that is trusted."""

    code = "signature"


class ApprovalError(RefusedError):
    """Nobody who may has approved the version."""

    code = "approval"


class TransitionError(RefusedError):
    """The state machine has no such step."""

    code = "transition_not_allowed"


class ConflictError(MlopsError):
    """Somebody else changed the same thing first."""

    code = "conflict"


class EpochConflictError(ConflictError):
    code = "epoch_conflict"


class VersionExistsError(ConflictError):
    """The version is registered with other bytes."""

    code = "version_exists"


class AlreadyRunningError(ConflictError):
    code = "already_running"


class CorruptedError(MlopsError):
    """Stored bytes are not the bytes that were stored."""

    code = "corrupted"


class UnreadableError(CorruptedError):
    """One row of a store cannot be read; the others can."""

    code = "unreadable"


class CorruptedArtifactError(CorruptedError):
    code = "corrupted_artifact"


class CountsLostError(CorruptedError):
    """The rollups have not all that they were given: their file was lost, or is an older copy."""

    code = "counts_lost"


class AuditError(CorruptedError):
    """The event chain was changed, reordered or cut."""

    code = "audit_broken"


class StorageError(MlopsError, OSError):
    """A database, disk or object store cannot be used now."""

    code = "storage"


class HomeNotWritableError(StorageError):
    code = "home_not_writable"


class TrainingDataError(MlopsError, ValueError):
    """A training set failed its validation."""

    code = "training_data"


class OnHoldError(MlopsError):
    """A model's online serving is on hold: nobody's requests are answered."""

    code = "on_hold"


class ModelFailedError(MlopsError, RuntimeError):
    """A model raised, or returned something of the wrong shape."""

    code = "model_failed"


class ModelTimeoutError(ModelFailedError):
    """A model has not answered in time."""

    code = "model_timeout"


class TrialFailedError(ModelFailedError):
    """A version did not pass its trial, or killed `deaths` workers since: it is neither registered nor loaded."""

    code = "trial_failed"

    def __init__(self, message: str, deaths: int = 0) -> None:
        super().__init__(message)
        self.deaths = deaths


class ServerError(MlopsError, RuntimeError):
    """A server that this process started or talks to did not do its part."""

    code = "server"


def is_panic(error: BaseException) -> bool:
    """Whether a library in Rust broke off: that is no Exception, and its class cannot be imported."""
    return type(error).__module__ == "pyo3_runtime"
