"""URLs as they may be shown, in errors, logs, answers and process lists: without a password, key or token."""

import re
from urllib.parse import unquote_plus

HIDDEN = "***"

SHOWN_OPTIONS = frozenset(
    {"host", "hostaddr", "port", "dbname", "user", "sslmode", "sslcert", "sslrootcert", "connect_timeout"}
    | {"application_name", "target_session_attrs", "versionid"}
)
"""The options of a URL that are shown; any other one may be a secret, by the name of some server's choice."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>`]+")
_PAIR = re.compile(
    r"""(?ix) \b ([\w%-]*
        (?:password|passwd|passphrase|secret|token|credential|api_?key|access_?key|authorization|signature) [\w%-]*)
        (\s*=\s* | ["']?:\s*["']?bearer\s+)
        ('(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\s&;,'")]+)"""
)
"""`name=value`, in the options of a URL, a connection string of libpq or a header."""


def shown_url(url: str) -> str:
    """Return `url` without passwords, keys and tokens. A folder, or a user of PostgreSQL, is shown as it is.

    A password may hold any character, escaped or not: the last `@` ends it.

    >>> shown_url("postgresql://ada:p@ss/w#rd@db.example/mlops?sslmode=require&ssl%70assword=x")
    'postgresql://ada:***@db.example/mlops?sslmode=require&ssl%70assword=***'
    >>> shown_url("s3://bucket/prefix"), shown_url("s3://KEY:SECRET@bucket/prefix")
    ('s3://bucket/prefix', 's3://***@bucket/prefix')
    >>> shown_url("host=db.example user=ada password='p w'")
    'host=db.example user=ada password=***'
    """
    scheme, is_url, rest = url.partition("://")
    if not is_url:
        user, at, place = url.rpartition("@")
        return _without_pairs(f"{HIDDEN}@{place}" if ":" in user else url)
    user, at, place = rest.rpartition("@")
    if at and not _holds_credentials(user):
        user, at, place = "", "", rest  # a name below the host that has an @ in it
    if at:
        name, _, password = user.partition(":")
        user = f"{name}{f':{HIDDEN}' if password else ''}" if scheme.startswith("postgresql") else HIDDEN
    place, mark, options = place.partition("?")
    return _without_pairs(f"{scheme}://{user}{at}{place}{mark}{'&'.join(map(_shown_option, options.split('&')))}")


def _holds_credentials(before_at: str) -> bool:
    return ":" in before_at or not re.search(r"[/?#]", before_at)


def _shown_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return option if not equals or unquote_plus(name).lower() in SHOWN_OPTIONS else f"{name}={HIDDEN}"


def without_secrets(text: str) -> str:
    """Return a message, perhaps of another library, with the secrets of its URLs and `name=value` pairs hidden.

    >>> without_secrets("GET http://ada:pw@host/x failed: password=abc")
    'GET http://***@host/x failed: password=***'
    """
    if "://" not in text and "=" not in text and "earer" not in text:
        return text
    return _without_pairs(_URL.sub(lambda found: shown_url(found[0]), text))


def _without_pairs(text: str) -> str:
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


def holds_secrets(url: str) -> bool:
    """Return whether a URL has a password, key or token in it."""
    return shown_url(url) != url
