"""Names of models and semantic versions (https://semver.org), as the registry accepts them."""

import re

from semver import Version

from mlops_dagster.errors import InvalidNameError, InvalidVersionError

# What is safe alike as a folder, in a URL, as a metric label and in a Dagster key.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

FIRST = Version(1, 0, 0)


def check_name(model: str) -> str:
    """`model` itself; raises InvalidNameError unless it is letters, digits, `-` and `_`, at most 100."""
    if not _NAME.fullmatch(model):
        raise InvalidNameError(
            f"{model!r} cannot name a model; use up to 100 ASCII letters, digits, '-' and '_', a letter or digit first"
        )
    return model


def parse_version(text: str) -> Version:
    """The version `text` stands for; a leading `v` is accepted. Raises InvalidVersionError.

    >>> str(parse_version("v2.4.1-rc.1"))
    '2.4.1-rc.1'
    """
    try:
        if not text.isascii() or len(text) > 100:
            raise ValueError
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersionError(f"{text!r} is no semantic version such as 2.4.1 or 3.0.0-rc.1") from None
    if version.build:
        # Versions that differ in it only are of equal rank, so "the next" would be ambiguous.
        raise InvalidVersionError(f"{text!r} has build metadata (+{version.build}); put that into a tag")
    return version


def next_patch(taken: list[str]) -> str:
    """The patch version after the highest of `taken`, or 1.0.0.

    >>> next_patch(["1.9.0", "1.10.0"])
    '1.10.1'
    """
    if not taken:
        return str(FIRST)
    return str(max(map(Version.parse, taken)).bump_patch())


def final_of(text: str) -> str:
    """The release that a pre-release is promoted as; a release is its own.

    >>> final_of("3.1.0-rc.2")
    '3.1.0'
    """
    return str(Version.parse(text).finalize_version())
