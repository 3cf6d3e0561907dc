"""Reasons and summaries, as every database, terminal and page can hold them."""

MOST_CHARACTERS = 2_000
"""The length of a reason, which is kept for ever and told to everybody who asks."""

_CUT = " ..."


def plain(text: str) -> str:
    """Return `text` in one line, of at most `MOST_CHARACTERS`, without control characters or half surrogate pairs.

    PostgreSQL cannot keep a NUL, and UTF-8 no half of a pair: a reason must never be why a change fails.

    >>> plain("passed\\n\\0 with\\x1b 37 rows\\ud800")
    'passed with 37 rows'
    >>> len(plain("x" * 10_000))
    2000
    """
    words = "".join(each if each.isprintable() else " " for each in text).split()
    line = " ".join(words)
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - len(_CUT)] + _CUT
