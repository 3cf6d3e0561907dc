"""The rules for names of models, features, classes and requests: one rule a kind, for SDK, YAML, CLI and HTTP alike.

A name works everywhere (as a folder, in a URL, a key of Dagster, a column of Delta, a label of Prometheus, a text of
PostgreSQL) or is refused at once with the reason. Schemas, specs, registry and data plane check names by these rules.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

from mlops_dagster.errors import InvalidNameError

LONGEST_MODEL: Final = 100
LONGEST_FEATURE: Final = 200

# Without a doubled separator, `a__b` is always ours: asset `b` of model `a`.
MODEL_PATTERN: Final = r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*"
_MODEL: Final = re.compile(MODEL_PATTERN)

OWNER_PATTERN: Final = r"^(team:.+|[^@\s]+@[^@\s]+\.[^@\s]+)$"
"""An owner in Dagster's format: an e-mail address, or "team:" and a name."""

_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)

_BESIDE_FEATURES: Final = frozenset({"event_time", "label", "paired", "score", "wrong"})
"""Names of our own columns, counts and design effects, which stand next to those of the features."""

NUMBER, TEXT = "__number", "__text"
"""Endings of columns of the log that hold values of one kind, where the plain name is not free for them."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@lru_cache(maxsize=4096)
def check_model_name(model: str) -> str:
    """Return `model`; raise InvalidNameError unless it is ASCII letters and digits with single `-` or `_` between them.

    At most 100 characters. A name that Windows takes for a device (con, nul, com1) cannot be a folder there, and is
    refused.

    >>> check_model_name("classifier-prod")
    'classifier-prod'
    """
    if len(model) > LONGEST_MODEL or not _MODEL.fullmatch(model):
        raise InvalidNameError(
            f"{_short(model)} cannot name a model; use up to {LONGEST_MODEL} ASCII letters and digits, "
            "with single '-' or '_' between them"
        )
    if _DEVICE.fullmatch(model):
        raise InvalidNameError(f"{model!r} cannot name a model: it is a device on Windows, not a folder; rename it")
    return model


def fold_model(model: str) -> str:
    """Return the folded name, which no two models may share: Dagster, or a file system without case, would mix them up.

    >>> fold_model("Card-Fraud") == fold_model("card_fraud")
    True
    """
    return model.lower().replace("-", "_")


def check_feature_name(name: str) -> str:
    """Return `name`; raise InvalidNameError unless it is 1 to 200 printable characters that read one way only.

    Any script, punctuation and spaces within are fine. Refused are invisible characters (controls, zero width,
    direction marks, halves of surrogate pairs, spaces at the ends), names that are not in Unicode's composed form
    (NFC), and our own: `event_time`, `label`, `paired`, `score`, `wrong`, and any ending in `__number` or `__text`.

    >>> check_feature_name("sepal length (cm)")
    'sepal length (cm)'
    """
    if not 0 < len(name) <= LONGEST_FEATURE:
        raise InvalidNameError(f"{_short(name)} cannot name a feature; use 1 to {LONGEST_FEATURE} characters")
    if not name.isprintable() or name != name.strip():
        raise InvalidNameError(
            f"{_short(name)} cannot name a feature: it has invisible characters, or a space at an end; rename it"
        )
    if not unicodedata.is_normalized("NFC", name):
        raise InvalidNameError(
            f"{name!a} cannot name a feature: it is not in Unicode's composed form, which reads the same; "
            f"write {unicodedata.normalize('NFC', name)!a}"
        )
    if name in _BESIDE_FEATURES or name.endswith((NUMBER, TEXT)):
        raise InvalidNameError(
            f"no feature can be called {name}: this name is taken by a column of the platform; rename it"
        )
    return name


def look_of(name: str) -> str:
    """Return the look of a feature's name, which no two features of a schema may share: people would mix them up.

    >>> look_of("ｇate") == look_of("gate") != look_of("Gate")
    True
    """
    return unicodedata.normalize("NFKC", name)


def fold_feature(name: str) -> str:
    """Return the folded name, equal for names that some store takes for one column: those that differ in case or form.

    >>> fold_feature("Gate") == fold_feature("gate")
    True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def log_columns(feature: str, suffix: str) -> tuple[str, str, str]:
    """Return the columns of the log that may hold a feature's values of the kind `suffix` names, in order of choice.

    A column that holds another feature, or another kind, does so for good: then the next column is used. The last one
    names the feature by a digest, so it is always free.

    >>> log_columns("Gate", TEXT)
    ('feature_Gate', 'feature_Gate__text', 'feature_fa77a5252d38a04c__text')
    """
    digest = hashlib.sha256(feature.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"feature_{feature}", f"feature_{feature}{suffix}", f"feature_{digest}{suffix}"


def check_class_name(name: str) -> str:
    """Return `name`; raise InvalidNameError unless it is 1 to 200 printable characters and not only spaces.

    >>> check_class_name(" >50K")
    ' >50K'
    """
    if not name.strip() or len(name) > LONGEST_FEATURE or not name.isprintable():
        raise InvalidNameError(
            f"{_short(name)} cannot name a class; use 1 to {LONGEST_FEATURE} characters that one can see"
        )
    return name


def is_plain(text: str) -> bool:
    """Return whether a client's id or key has no control characters, which stores treat differently, and no surrogates.

    >>> is_plain("order 7/é"), is_plain("order\\0")
    (True, False)
    """
    return text.isprintable() or _CONTROL.search(text) is None


def _short(name: str) -> str:
    return ascii(name) if len(name) <= LONGEST_MODEL else f"{name[:20]!a}... ({len(name)} characters)"
