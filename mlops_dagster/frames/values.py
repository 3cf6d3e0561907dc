"""Classes, labels and categories are texts: the one rule by which other values become them.

Schemas, training sets, batches, requests, feedback, cards and the classes of estimators ask here, so that class 1 of an
estimator, label 1.0 of a table and the 1 that a client sends are the same class. docs/decisions/0051 has the rule.
"""

import reprlib
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final

from mlops_dagster.errors import InvalidInputError

EXACT: Final = 2**53
"""From here on a float64 stands for several integers."""

_MOST_DIGITS: Final = 190


def text_of(value: object) -> str:
    """Return the text of a class, label or category: of a whole number its digits, of a boolean `True` or `False`.

    Whole numbers may be int, float or Decimal, of Python or numpy. Raises InvalidInputError for null and for everything
    else; the value is in its message, and not in what is told of it.

    >>> [text_of(value) for value in ("late", 1, 1.0, Decimal("1.00"), True)]
    ['late', '1', '1', '1', 'True']
    """
    if isinstance(value, str):
        return str.__str__(value)  # of an enum its value
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
    """Return a value of somebody else's for a message to them: whatever its size and depth, it is short.

    >>> shown("a" * 99), shown(10**9999)
    ("'aaaaaaaaaaa...aaaaaaaaaaaa'", 'an int')
    """
    try:
        return f"{reprlib.repr(value):.60}"
    except ValueError:  # of an integer with thousands of digits
        return f"an {type(value).__name__}"
