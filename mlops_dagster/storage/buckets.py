"""S3, or a server with its API: the client, and its errors as errors of ours."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    CorruptedArtifactError,
    InvalidInputError,
    MlopsError,
    StorageError,
)

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectTypeDef

_CHUNK = 1 << 20

_ABSENT = frozenset({"NoSuchKey", "404"})  # a HEAD has no body that could name the reason
_MAYBE_ABSENT = frozenset({"AccessDenied", "403"})
_REFUSED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})


class CallLimits(NamedTuple):
    """The number of tries of a call, and the seconds after which one gives up: to connect, or without an answer."""

    connect_seconds: float = 5
    read_seconds: float = 30
    attempts: int = 3


_LIMITS = CallLimits()


def s3_client(session: "Session | None" = None, limits: CallLimits = _LIMITS) -> "S3Client":
    """Return a client with boto3's own configuration (`AWS_*`, its files, the role of the machine).

    Raises InvalidInputError if that configuration cannot be read.
    """
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.read_seconds,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
    )
    try:
        # A new session: the shared one of boto3 is not safe with threads.
        return (session or Session()).client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise InvalidInputError(
            f"boto3 cannot be used as it is configured ({error}); see the AWS_* settings"
        ) from error


def list_objects(client: "S3Client", bucket: str, prefix: str) -> "Iterator[ObjectTypeDef]":
    """Yield every object whose key begins with `prefix`; raises StorageError."""
    with s3_errors(f"s3://{bucket}/{prefix}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", ())


def read_object(client: "S3Client", bucket: str, key: str, etag: str | None = None) -> Iterator[bytes]:
    """Yield the bytes of an object as they arrive; raises ArtifactChangedError if `etag` is given and is not its own.

    Also raises ArtifactNotFoundError, CorruptedArtifactError, StorageError.
    """
    with s3_errors(f"s3://{bucket}/{key}"):
        if etag is None:
            found = client.get_object(Bucket=bucket, Key=key)
        else:
            found = client.get_object(Bucket=bucket, Key=key, IfMatch=etag)
        with closing(found["Body"]) as body:
            yield from body.iter_chunks(_CHUNK)


@contextmanager
def s3_errors(place: str) -> Iterator[None]:
    """Raise an error of ours that names `place` when botocore raises one of its errors in the block.

    The error is ArtifactNotFoundError, ArtifactChangedError (a condition failed), CorruptedArtifactError (the bytes do
    not have the checksum that S3 keeps for them), or else StorageError.
    """
    from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        raise _translated(place, error) from error
    except FlexibleChecksumError as error:
        raise CorruptedArtifactError(f"{place} holds other bytes than were stored: {error}") from error
    except NoCredentialsError as error:
        raise StorageError(f"boto3 finds no credentials for {place}; set AWS_ACCESS_KEY_ID or a profile") from error
    except BotoCoreError as error:
        raise StorageError(f"{place} cannot be read or written: {error}; try again when S3 answers") from error


def error_code(error: "ClientError") -> str:
    """Return S3's code of the error, such as NoSuchKey; an empty text if it has none."""
    return error.response.get("Error", {}).get("Code", "")


def _translated(place: str, error: "ClientError") -> MlopsError:
    code = error_code(error)
    if code in _ABSENT:
        return ArtifactNotFoundError(f"there is nothing at {place}")
    if code == "PreconditionFailed":
        return ArtifactChangedError(f"{place} was changed by another process meanwhile; try again when it is finished")
    if code == "NoSuchBucket":
        return StorageError(f"the bucket of {place} does not exist; create it, or name another")
    if code in _MAYBE_ABSENT and error.operation_name in ("HeadObject", "GetObject"):
        return StorageError(
            f"S3 refuses the access to {place} ({error}): these credentials may not read it, or it is not there and "
            "they lack s3:ListBucket, without which S3 does not say so; grant s3:ListBucket and s3:GetObject"
        )
    if code in _REFUSED:
        return StorageError(f"S3 refuses the access to {place} ({error}); check the credentials and their policy")
    return StorageError(f"{place} cannot be read or written: {error}; try again when S3 is well")
