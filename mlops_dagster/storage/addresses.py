"""Readers of addresses: a folder, s3://bucket/prefix, or sqlite:///path.

There is one reader of each form. Paths are taken as they are: no part of them is an escape, a query or a fragment.
"""

import re
from typing import Final, NamedTuple

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.urls import holds_secrets, shown_url

SQLITE: Final = "sqlite:///"

# Text that the Delta library (1.6) reads as something else: it decodes a path twice, and takes \ for /.
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|[\\\x00-\x1f\x7f\ud800-\udfff]")
_ON_DISK: Final = re.compile(r"[\[\]^|]")
"""The Delta library makes the name of a host from a local path; with one of these characters in it, it panics."""


class S3Address(NamedTuple):
    """A bucket, and a key or the beginning of keys in it."""

    bucket: str
    key: str


def is_s3(address: str) -> bool:
    """Return whether `address` is an S3 URL.

    >>> is_s3("S3://models/a"), is_s3("models/s3")
    (True, False)
    """
    return address[:5].lower() == "s3://"


def parse_s3_url(url: str) -> S3Address:
    """Return bucket and key of s3://bucket/key, the key as it is, as S3 knows no escapes; raises InvalidInputError.

    >>> parse_s3_url("s3://models/classifier/v2.4.1#a?b%20c")
    S3Address(bucket='models', key='classifier/v2.4.1#a?b%20c')
    """
    bucket, _, key = url[5:].partition("/")
    if not is_s3(url) or not bucket:
        raise InvalidInputError(f"{shown_url(url)!r} names no bucket; write s3://bucket/key")
    if holds_secrets(url):
        raise InvalidInputError(
            f"{shown_url(url)!r} holds a key; give S3's keys as boto3 reads them: AWS_* or its files"
        )
    return S3Address(bucket, key)


def check_log_address(address: str) -> str:
    """Return `address`, a folder or s3://bucket/prefix; raise InvalidInputError where no Delta table can be kept.

    >>> check_log_address("/data/größe #1?/100%")
    '/data/größe #1?/100%'
    """
    if "://" in address and not (is_s3(address) and address[5:].partition("/")[0]):
        raise InvalidInputError(f"no log can be kept at {shown_url(address)!r}; use s3://bucket/prefix or a folder")
    found = _ESCAPE.search(address) or (None if is_s3(address) else _ON_DISK.search(address))
    if found is not None:
        raise InvalidInputError(
            f"no log can be kept at {shown_url(address)!r}: the Delta library would read {found[0]!r} in it as "
            "something else; rename that folder or prefix, or set MLOPS_LOG_URL to another one"
        )
    return address
