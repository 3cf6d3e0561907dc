"""HTML of the control room: templates that escape all texts, and the forms of numbers, times and drawings in them."""

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from markupsafe import Markup

from mlops_dagster.alerting.channels.message import number_text, value_text
from mlops_dagster.board.snapshot.entities import Series
from mlops_dagster.board.sparkline import gauge, sparkline
from mlops_dagster.clock import in_utc
from mlops_dagster.documents.texts import counted, printable

if TYPE_CHECKING:
    from jinja2 import Environment

NONE: Final = "–"
"""The text in place of a number that is not known."""


def render(template: str, **content: object) -> str:
    """Return the page that `template` makes of `content`; equal contents give equal texts."""
    return _environment().get_template(f"{template}.html.jinja").render(**content)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlops_dagster.board"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "counted": counted,
        "ms": ms,
        "number": number_text,
        "path": lambda text: quote(str(text), safe=""),
        "percent": percent,
        "points": points,
        "reading": value_text,
        "sentence": sentence,
        "span": span,
        "time": time,
    }
    environment.globals |= {
        "NONE": NONE,
        "count": count,
        "gauge": gauge,
        "ms": ms,
        "percent": percent,
        "spark": spark,
        "timedelta": timedelta,
    }
    return environment


def _shown(value: object) -> object:
    """Return a text without characters that cannot be shown, with the space around it; markup is left as it is."""
    if type(value) is not str or not value:
        return value
    before, after = (" " if edge.isspace() else "" for edge in (value[0], value[-1]))
    return f"{before}{printable(value)}{after}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage.

    >>> percent(0.9471), percent(0.00012, 2), percent(None)
    ('94.7 %', '0.01 %', '–')
    """
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def points(share: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign.

    >>> points(-0.0123), points(0.0), points(None)
    ('-1.23 pt', '+0.00 pt', '–')
    """
    return NONE if share is None else f"{100 * share:+.2f} pt"


def ms(milliseconds: float | None) -> str:
    """Return a latency, with decimals below 10 ms.

    >>> ms(123.6), ms(3.14159), ms(None)
    ('124 ms', '3.1 ms', '–')
    """
    if milliseconds is None:
        return NONE
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def count(number: float | None) -> str:
    """Return a whole number with separators.

    >>> count(8120), count(None)
    ('8,120', '–')
    """
    return NONE if number is None else f"{number:,.0f}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter.

    >>> sentence("no traffic")
    'No traffic'
    """
    return text[:1].upper() + text[1:]


def span(hours: float | None) -> str:
    """Return a duration in its two largest units.

    >>> span(122.5), span(1.75), span(0.004), span(0.04 / 3600), span(None)
    ('5 d 2 h', '1 h 45 min', '14 s', '0.04 s', '–')
    """
    if hours is None:
        return NONE
    seconds = 3600 * hours
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    first = next(number for number, (value, _) in enumerate(parts) if value)
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2] if value)


def time(at: datetime | None, *, seconds: bool = False) -> Markup | str:
    """Return a time in UTC as an element `time`, to the minute or the second.

    >>> from datetime import UTC
    >>> str(time(datetime(2013, 5, 17, 12, tzinfo=UTC)))
    '<time datetime="2013-05-17T12:00:00Z">2013-05-17 12:00</time>'
    """
    if at is None:
        return NONE
    shown = in_utc(at)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{shown:%Y-%m-%dT%H:%M:%SZ}", f"{shown:%Y-%m-%d %H:%M:%S}" if seconds else f"{shown:%Y-%m-%d %H:%M}"
    )


def spark(series: Series, name: str, text: Callable[[float], str], limit: float | None = None) -> Markup | str:
    """Return the sparkline of a series, whose title has its lowest, highest and last value; NONE without any value."""
    known = [point.value for point in series if point.value is not None]
    if not known:
        return NONE
    lowest, highest, last = text(min(known)), text(max(known)), text(known[-1])
    title = f"{name}, {counted(len(series), 'hours')}: lowest {lowest}, highest {highest}, last {last}"
    return sparkline([point.value for point in series], title, limit)
