"""Every error of the project, in one tree.

A class derives from a builtin error too where one fits, so callers may catch either. Each class has a stable `code` for
CLI, HTTP answers and tests: its name in snake case, without "Error". Messages say what was wrong, and what to do.
"""

import re
from datetime import timedelta
from typing import ClassVar

from mlops_dagster.urls import without_secrets


class MlopsError(Exception):
    """The root of the error tree.

    >>> ModelNotFoundError("no model 'x'").code
    'model_not_found'
    """

    code: ClassVar[str] = "mlops_error"

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).lower()

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
    """Something that is not there."""


class ModelNotFoundError(NotFoundError):
    """A model that the registry does not have."""


class VersionNotFoundError(NotFoundError):
    """A version that its model does not have."""


class PredictionNotFoundError(NotFoundError):
    """A prediction that neither spool nor log has."""


class RolloutNotFoundError(NotFoundError):
    """A rollout that its model does not have."""


class ArtifactNotFoundError(NotFoundError):
    """An artifact whose bytes are not stored."""


class NotKeptError(NotFoundError):
    """A time of the past of which retention has removed records: what is left would pass for the whole."""


class InvalidInputError(MlopsError, ValueError):
    """Input that cannot be used as it is."""


class EventTimeError(InvalidInputError):
    """An event or query dated too far before the latest event of the registry, or in the future."""


class InvalidNameError(InvalidInputError):
    """A name with characters or a length that names may not have."""


class InvalidVersionError(InvalidInputError):
    """A version that is not one of semantic versioning."""


class InvalidFeaturesError(InvalidInputError):
    """A request whose features are missing, unknown or of the wrong type."""


class UnlikeTrainingError(InvalidFeaturesError):
    """A request with values that the training data do not have, refused by the guard."""


class InvalidLabelsError(InvalidInputError):
    """A batch of labels, `refused` of which are not classes of the model."""

    def __init__(self, message: str, refused: int) -> None:
        super().__init__(message)
        self.refused = refused


class TooLargeError(InvalidInputError):
    """A request with a larger body than the data plane takes."""


class HeadTooLargeError(TooLargeError):
    """A request whose head (line and headers) has more bytes or headers than the data plane takes."""


class TooSlowError(InvalidInputError):
    """A request that did not arrive completely within its time limit."""


class UnsupportedContentError(InvalidInputError):
    """A body of a type that the data plane does not take."""


class InvalidPolicyError(InvalidInputError):
    """A policy with a value that it cannot have."""


class InvalidDefinitionError(InvalidInputError):
    """A `defs.yaml` from which no definitions can be made."""


class InvalidSuiteError(InvalidInputError):
    """A suite of expectations, as people edited it, that cannot be used."""


class UnsafeArtifactError(InvalidInputError):
    """An artifact that would run code when loaded (pickle, joblib)."""


class ArtifactChangedError(InvalidInputError):
    """An artifact that was changed while it was copied."""


class RefusedError(MlopsError):
    """A change that a rule of the platform forbids."""


class UnauthenticatedError(MlopsError, PermissionError):
    """A request without a token, or with an unknown one."""


class ForbiddenError(MlopsError, PermissionError):
    """A request that the caller may not make, such as one whose token lacks the scope for it."""


class ForeignRequestError(ForbiddenError):
    """A request that a foreign web page may have made a browser send."""


class OverloadedError(MlopsError):
    """A caller, or the rest of a request body, for which the data plane has no room now."""


class KnownBadError(RefusedError):
    """A version with the same bytes as one that was rolled back."""


class IncompleteCardError(RefusedError, ValueError):
    """A version without a complete model card."""


class QualityGateError(RefusedError):
    """A version whose quality, as its card states it, is below the policy's minimum."""


class ValidationGateError(RefusedError):
    """A version whose training data failed its validation, or was not validated."""


class SignatureError(RefusedError):
    """A version that is not signed, or not signed by the trusted key."""


class ApprovalError(RefusedError):
    """A version that lacks the approval of a person who may approve it."""


class TransitionError(RefusedError):
    """A change of stage that the state machine of versions does not allow."""

    code = "transition_not_allowed"


class ConflictError(MlopsError):
    """A change that came too late: another caller changed the same thing first."""


class EpochConflictError(ConflictError):
    """A change of a deployment that another change came before."""


class VersionExistsError(ConflictError):
    """A version that is registered already, with other bytes."""


class PolicyConflictError(ConflictError):
    """Two code locations have different policies for one model."""


class AlreadyRunningError(ConflictError):
    """A second process where only one may run."""


class CorruptedError(MlopsError):
    """Stored bytes that differ from the bytes that were written."""


class UnreadableError(CorruptedError):
    """A row of a store that cannot be read, while the others can."""


class CorruptedArtifactError(CorruptedError):
    """An artifact whose stored bytes differ from those registered."""


class CountsLostError(CorruptedError):
    """Rollups that lack counts which they once had: their file was lost, or is an older copy."""


class AuditError(CorruptedError):
    """An event chain that was changed, reordered or cut."""

    code = "audit_broken"


class StorageError(MlopsError, OSError):
    """A database, disk or object store that cannot be used now."""


class HomeNotWritableError(StorageError):
    """A home that this process cannot write to."""


class TrainingDataError(MlopsError, ValueError):
    """A training set that failed its validation."""


class OnHoldError(MlopsError):
    """A model on hold: none of its requests is answered."""


class MissingExtraError(MlopsError, ModuleNotFoundError):
    """An optional part of this package that is needed and not installed."""


class ModelFailedError(MlopsError, RuntimeError):
    """A model that raised, or returned something of the wrong shape."""


class ModelTimeoutError(ModelFailedError):
    """A model that did not answer in time."""


class TrialFailedError(ModelFailedError):
    """A version that failed its trial, or killed `deaths` workers after it: it is neither registered nor loaded."""

    def __init__(self, message: str, deaths: int = 0) -> None:
        super().__init__(message)
        self.deaths = deaths


class ServerError(MlopsError, RuntimeError):
    """A server that this process started or talks to, and that did not do its part."""


class FleetError(MlopsError, RuntimeError):
    """A look at a fleet in which some models could not be looked at."""


class TryLaterError(MlopsError):
    """A message that a channel does not take now, and takes `after`, where it said so.

    It may have `taken` the message without confirming it; a `channel` takes no other message now either.
    """

    code = "channel_later"

    def __init__(self, why: str, *, after: timedelta | None = None, taken: bool = False, channel: bool = False) -> None:
        super().__init__(why)
        self.after, self.taken, self.channel = after, taken, channel


class ChannelRefusedError(MlopsError):
    """A message that a channel will never take: its key is wrong, or what it is sent to does not exist."""
