"""Conversion of reasons and summaries to text that every database, terminal and page can hold."""

import unicodedata

_NEVER_SHOWN = ("Cc", "Cn", "Co", "Cs")  # control, unassigned, private, surrogate

MOST_CHARACTERS = 2_000
"""The largest length of a reason, which is stored for ever and sent with every refused request."""

_CUT = " ..."


def plain(text: str) -> str:
    """Return `text` in one line, of at most `MOST_CHARACTERS`, without control characters or half surrogate pairs.

    PostgreSQL cannot store a NUL, and UTF-8 cannot encode half a pair: a reason must never make a change fail.

    >>> plain("passed\\n\\0 with\\x1b 37 rows\\ud800")
    'passed with 37 rows'
    >>> len(plain("x" * 10_000))
    2000
    """
    words = "".join(each if each.isprintable() else " " for each in text).split()
    line = " ".join(words)
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - len(_CUT)] + _CUT


def counted(number: float, plural: str) -> str:
    """Return a number with what it counts, in the singular for 1.

    >>> counted(8120, "labels"), counted(1, "rules"), counted(1, "batches"), counted(1, "entries")
    ('8,120 labels', '1 rule', '1 batch', '1 entry')
    """
    return f"{number:,} {singular(plural) if number == 1 else plural}"


def singular(plural: str) -> str:
    """Return the singular of a regular plural.

    >>> singular("processes"), singular("expectations")
    ('process', 'expectation')
    """
    for ending, other in (("ies", "y"), ("ches", "ch"), ("sses", "ss"), ("s", "")):
        if plural.endswith(ending):
            return plural.removesuffix(ending) + other
    return plural


def printable(text: str) -> str:
    r"""Return the text on one line, with a replacement character for each character that cannot be shown.

    >>> printable("storms\n\tand \x00 fog")
    'storms and \ufffd fog'
    """
    line = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(sign) in _NEVER_SHOWN else sign for sign in line)
