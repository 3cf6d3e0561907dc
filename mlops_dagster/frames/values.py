"""The rule by which classes, labels and categories become texts.

Schemas, training sets, batches, requests, feedback, cards and the classes of estimators all use it, so that class 1 of
an estimator, label 1.0 of a table and the 1 that a client sends are the same class. docs/decisions/0051 has the rule.
"""

import reprlib
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final

from mlops_dagster.errors import InvalidInputError

EXACT: Final = 2**53
"""From this number on, a float64 stands for several integers."""

_MOST_DIGITS: Final = 190


def text_of(value: object) -> str:
    """Return the text of a class, label or category: the digits of a whole number, `True` or `False` for a boolean.

    Whole numbers may be int, float or Decimal, of Python or numpy. Raises InvalidInputError for null and anything else;
    the error's message shows the value, and its `told` does not.

    >>> [text_of(value) for value in ("late", 1, 1.0, Decimal("1.00"), True)]
    ['late', '1', '1', '1', 'True']
    """
    if isinstance(value, str):
        return str.__str__(value)  # the value of an enum
    plain: Any = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    match plain:
        case bool():
            return str(plain)
        case Integral() if abs(plain) < 10**_MOST_DIGITS:
            return str(int(plain))
        case Decimal() if plain.is_finite() and plain.adjusted() < _MOST_DIGITS and plain == int(plain):
            return str(int(plain))
        case Real() if not isinstance(plain, Integral) and abs(float(plain)) < EXACT and float(plain).is_integer():
            return str(int(float(plain)))
    rule = "a class, label or category is a text, a whole number or a boolean"
    kind = type(value).__name__
    raise InvalidInputError(f"{shown(value)} is a {kind}, and {rule}", told=f"a value is a {kind}, and {rule}")


def shown(value: object) -> str:
    """Return a short text of a foreign value for messages, for values of any size and depth.

    >>> shown("a" * 99), shown(10**9999)
    ("'aaaaaaaaaaa...aaaaaaaaaaaa'", 'an int')
    """
    try:
        return f"{reprlib.repr(value):.60}"
    except ValueError:  # an integer with thousands of digits
        return f"an {type(value).__name__}"
