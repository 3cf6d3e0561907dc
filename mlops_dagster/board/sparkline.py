"""Small drawings in SVG, each with a title that says what it shows."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _EDGE = 120.0, 24.0, 2.0


def sparkline(values: Sequence[float | None], title: str, limit: float | None = None) -> Markup:
    """Return a line through `values`, oldest first, with gaps where a value is None; `limit` is a dashed line.

    A value without neighbours is a dot. Without any value the drawing is empty. All texts are escaped.

    >>> str(sparkline([1.0, None, 3.0, 2.0], "accuracy"))[:64]
    '<svg class="spark" viewBox="0 0 120 24" role="img" preserveAspec'
    """
    known = [value for value in [*values, limit] if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    points = [(_across(number, len(values)), _up(value, low, high)) for number, value in enumerate(values)]
    drawn = Markup("").join(_parts(points))
    if limit is not None:
        height = _up(limit, low, high)
        drawn = Markup('<line x1="0" x2="{0:g}" y1="{1:.1f}" y2="{1:.1f}"/>').format(_WIDTH, height) + drawn
    return Markup(
        '<svg class="spark" viewBox="0 0 {0:g} {1:g}" role="img" preserveAspectRatio="none" aria-label="{2}">'
        "<title>{2}</title>{3}</svg>"
    ).format(_WIDTH, _HEIGHT, escape(title), drawn)


def gauge(share: float, title: str) -> Markup:
    """Return a bar that is filled by `share`, which is cut to 0 to 1."""
    filled = 100 * min(max(share, 0.0), 1.0)
    return Markup(
        '<svg class="gauge" viewBox="0 0 100 8" role="img" preserveAspectRatio="none" aria-label="{0}">'
        '<title>{0}</title><rect width="{1:.1f}" height="8"/></svg>'
    ).format(escape(title), filled)


def _parts(points: Sequence[tuple[float, float | None]]) -> Iterator[Markup]:
    """Yield a polyline for each stretch of known values, and a dot for each value that stands alone."""
    stretch: list[tuple[float, float]] = []
    for across, up in [*points, (0.0, None)]:
        if up is not None:
            stretch.append((across, up))
            continue
        if len(stretch) == 1:
            yield Markup('<circle cx="{:.1f}" cy="{:.1f}" r="1.6"/>').format(*stretch[0])
        elif stretch:
            yield Markup('<polyline points="{}"/>').format(" ".join(f"{x:.1f},{y:.1f}" for x, y in stretch))
        stretch = []


def _across(number: int, count: int) -> float:
    return _EDGE + (_WIDTH - 2 * _EDGE) * (number / (count - 1) if count > 1 else 0.5)


def _up(value: float | None, low: float, high: float) -> float | None:
    if value is None:
        return None
    share = (value - low) / (high - low) if high > low else 0.5
    return _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * share
