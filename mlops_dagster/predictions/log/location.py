"""Location of the log: a folder, or a prefix in a bucket of S3."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from mlops_dagster.errors import StorageError
from mlops_dagster.storage.addresses import check_log_address, is_s3, parse_s3_url
from mlops_dagster.storage.buckets import CallLimits, s3_client

if TYPE_CHECKING:
    from boto3.session import Session
    from types_boto3_s3 import S3Client

# A request that S3 leaves unanswered ends after TIMEOUT; it is tried again, but no try begins later than RETRY.
CONNECT_SECONDS = 5
TIMEOUT_SECONDS = 20
RETRY_SECONDS = 30
RETRIES = 2

_OVERTAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


class TableAddress(NamedTuple):
    """The address and options with which deltalake and Arrow open a table."""

    uri: str
    """The address for deltalake: an absolute path, or an S3 URL, in which the key is escaped."""
    options: dict[str, str] | None
    path: str
    """The address for Arrow, unescaped: an absolute path, or bucket/key."""


class Stored(NamedTuple):
    """A small object of S3, as it was read."""

    body: bytes
    tag: str
    age_seconds: float  # by the clock of S3


class LogLocation:
    """The location of a log's tables (`predictions/<model>`, `labels`, `erasures`): a folder, or s3://bucket/prefix.

    Paths and prefixes are taken literally. Endpoint, region and credentials of S3 are those of boto3: `AWS_*`, its
    files, the role of the machine. Raises InvalidInputError for another kind of URL, and for a place that no Delta
    table can be at.

    >>> LogLocation("s3://logs/mlops/").table("labels", options=False).uri
    's3://logs/mlops/labels'
    """

    def __init__(self, address: str | Path) -> None:
        self.address = check_log_address(str(address)).rstrip("/")
        self._on_s3 = is_s3(self.address)
        if self._on_s3:
            self._bucket, prefix = parse_s3_url(self.address)
            self._prefix = prefix.strip("/")

    @property
    def folder(self) -> Path | None:
        """The folder that the log is in; None on S3."""
        return None if self._on_s3 else Path(self.address)

    def read(self, name: str) -> Stored | None:
        """Return an object of S3 next to the tables; None if it is not there. Raises StorageError."""
        with _s3_errors(self.address):
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
            except self._client.exceptions.NoSuchKey:
                return None
            now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
            return Stored(found["Body"].read(), found["ETag"], (now - found["LastModified"]).total_seconds())

    def replace(self, name: str, body: bytes, *, expected: str | None) -> str | None:
        """Write an object of S3 if its tag is `expected` (None: if it does not exist); return its new tag.

        Returns None if another process wrote first. Raises StorageError.
        """
        from botocore.exceptions import ClientError

        with _s3_errors(self.address):
            key = self._key(name)
            try:
                if expected is None:
                    return self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")["ETag"]
                return self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfMatch=expected)["ETag"]
            except ClientError as error:
                if error.response["Error"]["Code"] in _OVERTAKEN:
                    return None
                raise

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")

    def table(self, name: str, *, options: bool = True) -> TableAddress:
        """Return the address of a table, with the credentials of this moment: those of a role change every hour."""
        if not self._on_s3:
            path = str(Path(self.address, name).absolute())
            return TableAddress(path, None, path)
        key = f"{self._prefix}/{name}".lstrip("/")
        return TableAddress(
            f"s3://{self._bucket}/{quote(key)}", self._options() if options else None, f"{self._bucket}/{key}"
        )

    def models(self) -> list[str]:
        """Return every model that has a table; raises StorageError."""
        if not self._on_s3:
            return sorted(folder.parent.name for folder in Path(self.address).glob("predictions/*/_delta_log"))
        below = f"{self._prefix}/predictions/".lstrip("/")
        with _s3_errors(self.address):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=below, Delimiter="/"
            )
            found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        return sorted(prefix.removeprefix(below).rstrip("/") for prefix in found)

    def is_writable(self) -> bool:
        """Return whether the location can be written now, by writing a probe that holds no data and removing it."""
        try:
            if self._on_s3:
                key = f"{self._prefix}/.writable-{uuid.uuid4().hex}".lstrip("/")
                with _s3_errors(self.address):
                    self._client.put_object(Bucket=self._bucket, Key=key, Body=b"")
                    self._client.delete_object(Bucket=self._bucket, Key=key)
            else:
                Path(self.address).mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=self.address, prefix=".writable-") as probe:
                    probe.write(bytes(4096))
        except OSError:  # StorageError is one
            return False
        return True

    def _options(self) -> dict[str, str]:
        with _s3_errors(self.address):
            credentials = self._session.get_credentials()
            if credentials is None:
                raise StorageError(f"boto3 finds no credentials for {self.address}; set AWS_ACCESS_KEY_ID or a profile")
            secret = credentials.get_frozen_credentials()
            meta = self._client.meta
        options = {
            "aws_access_key_id": str(secret.access_key),
            "aws_secret_access_key": str(secret.secret_key),
            "aws_region": meta.region_name or "us-east-1",
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "timeout": f"{TIMEOUT_SECONDS}s",
            "retry_timeout": f"{RETRY_SECONDS}s",
            "max_retries": str(RETRIES),
        }
        if secret.token:
            options["aws_session_token"] = str(secret.token)
        if ".amazonaws." not in meta.endpoint_url:
            options |= {"aws_endpoint_url": meta.endpoint_url, "aws_allow_http": "true"}
        return options

    @cached_property
    def _session(self) -> "Session":
        from boto3.session import Session

        return Session()

    @cached_property
    def _client(self) -> "S3Client":
        return s3_client(self._session, CallLimits(CONNECT_SECONDS, TIMEOUT_SECONDS, RETRIES + 1))


@contextmanager
def _s3_errors(address: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:
        raise StorageError(
            f"the log at {address} cannot be reached: {error}; nothing is lost, try again when S3 is well"
        ) from error
