"""Semantic versions (https://semver.org), as the registry accepts them."""

from semver import Version

from mlops_dagster.errors import InvalidVersionError

FIRST = Version(1, 0, 0)


def parse_version(text: str) -> Version:
    """Return the version that `text` names; a leading `v` is accepted. Raises InvalidVersionError.

    >>> str(parse_version("v2.4.1-rc.1"))
    '2.4.1-rc.1'
    """
    if not isinstance(text, str):
        raise InvalidVersionError(f"a version is a text such as '2.4.1', and {text!r} is a {type(text).__name__}")
    try:
        if not text.isascii() or len(text) > 100:
            raise ValueError
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersionError(f"{text!r} is not a semantic version such as 2.4.1 or 3.0.0-rc.1") from None
    if version.build:
        # Versions that differ only in build metadata have equal rank, so "the next" would be ambiguous.
        raise InvalidVersionError(f"{text!r} has build metadata (+{version.build}); put that into a tag")
    return version


def next_patch(taken: list[str]) -> str:
    """Return the patch version after the highest of `taken`; 1.0.0 for none, and its release for a pre-release.

    >>> next_patch(["1.9.0", "1.10.0"]), next_patch(["3.0.4", "3.1.0-rc.1"])
    ('1.10.1', '3.1.0')
    """
    if not taken:
        return str(FIRST)
    return str(max(map(Version.parse, taken)).next_version("patch"))


def final_of(text: str) -> str:
    """Return the release that a pre-release is promoted as; a release is returned unchanged.

    >>> final_of("3.1.0-rc.2")
    '3.1.0'
    """
    return str(Version.parse(text).finalize_version())
