"""HTTP status codes of the project's errors."""

from mlops_dagster.errors import (
    ConflictError,
    CorruptedError,
    ForbiddenError,
    HeadTooLargeError,
    InvalidInputError,
    MlopsError,
    ModelTimeoutError,
    NotFoundError,
    OnHoldError,
    OverloadedError,
    RefusedError,
    StorageError,
    TooLargeError,
    TooSlowError,
    UnauthenticatedError,
    UnsupportedContentError,
)

# The first match wins. Any other error is the server's own failure: 500.
STATUS: tuple[tuple[type[MlopsError], int], ...] = (
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (HeadTooLargeError, 431),
    (TooLargeError, 413),
    (TooSlowError, 408),
    (UnsupportedContentError, 415),
    (InvalidInputError, 400),
    (ConflictError, 409),
    (RefusedError, 409),
    (OnHoldError, 503),
    (OverloadedError, 503),
    (StorageError, 503),
    (CorruptedError, 503),
    (ModelTimeoutError, 504),
)


def status_of(error: MlopsError) -> int:
    """Return the status code of an answer that reports `error`."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)
