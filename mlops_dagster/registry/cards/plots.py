"""The plots of a card, as SVG for an HTML page: without scripts and addresses, with the same bytes each time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

from mlops_dagster.documents.texts import printable
from mlops_dagster.registry.cards.densities import density
from mlops_dagster.registry.cards.evaluation import EvaluationSlice
from mlops_dagster.registry.cards.fairness import FairnessAudit
from mlops_dagster.registry.cards.wording import MOST_LINES, MOST_TRUTHS, labels
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import CategoricalBins, Histogram, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

COLOURS = ("#2563a8", "#d9822b", "#4d8c57", "#8a5aa8", "#a83246", "#6b7280")
FAINT = "#c3c9d2"
MOST_CATEGORIES = 12
COLUMNS = 3

_STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "text.parse_math": False,  # a dollar sign in a name stays a dollar sign
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a93a0",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ee",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def metrics_plot(slices: Sequence[EvaluationSlice]) -> str:
    """Return a plot with a line for each slice (of too many, the largest), and each metric with its interval."""
    shown = _largest(slices)
    names = list(dict.fromkeys(name for part in shown for name in part.metrics))
    with _drawing("metrics", 8.4, 0.9 + 0.34 * len(shown)) as figure:
        axes = figure.add_subplot()
        for order, name in enumerate(names):
            shift = 0.5 * ((order + 0.5) / len(names) - 0.5)
            for place, part in enumerate(shown):
                if name in part.metrics:
                    _mark(axes, part.metrics[name], place + shift, part.intervals.get(name), COLOURS[order % 6], name)
        _name_lines(axes, [f"{_short(part.name)} ({part.rows:,})" for part in shown])
        _legend(axes)
        return _svg(figure)


def merit_plot(audit: FairnessAudit, merit: str) -> str:
    """Return a plot of each group's merit with Wilson's interval; groups left out of the gap are pale."""
    groups = sorted(audit.groups.items(), key=lambda item: -item[1].get("rows", 0))[:MOST_LINES]
    shown = {name: metrics for name, metrics in sorted(groups) if merit in metrics}
    left_out = audit.left_out.get(merit, ())
    with _drawing(f"{merit} by {audit.attribute}", 8.4, 0.7 + 0.25 * len(shown)) as figure:
        axes = figure.add_subplot()
        for place, (name, metrics) in enumerate(shown.items()):
            rows, value = round(metrics.get("rows", 0)), metrics[merit]
            right = min(rows, max(0, round(value * rows)))
            colour = FAINT if name in left_out else COLOURS[0]
            _mark(axes, value, place, wilson_interval(right, rows), colour, merit)
        _name_lines(axes, [f"{_short(name)} ({metrics.get('rows', 0):,.0f})" for name, metrics in shown.items()])
        axes.set_xlabel(f"{merit}, with 95 % interval (rows)")
        return _svg(figure)


def truth_plot(part: EvaluationSlice) -> str:
    """Return a plot of shares and counts of predictions by truth; "" without counts or with too many truths."""
    names = labels(part)
    if not names or len(names) > MOST_TRUTHS:
        return ""
    size = 1.6 + max(0.8, min(6.0, 0.8 * len(names)))
    with _drawing("predictions by truth", size + 0.6, size) as figure:
        axes = figure.add_subplot()
        counts = [[part.counts.get(truth, {}).get(said, 0) for said in names] for truth in names]
        shares = [[count / (sum(row) or 1) for count in row] for row in counts]
        axes.grid(visible=False)
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white")
        axes.invert_yaxis()
        middles = [place + 0.5 for place in range(len(names))]
        axes.tick_params(length=0)
        axes.set_xticks(middles, [_short(name, 14) for name in names], rotation=0 if len(names) < 5 else 90)
        axes.set_yticks(middles, [_short(name, 14) for name in names])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        for i, y in enumerate(middles):
            for j, x in enumerate(middles):
                label = f"{counts[i][j]:,}" + (f"\n{shares[i][j]:.1%}" if len(names) <= 6 else "")
                axes.text(x, y, label, ha="center", va="center", color="white" if shares[i][j] > 0.55 else "#1f2933")
        return _svg(figure)


def baseline_plot(baseline: Baseline) -> str:
    """Return histograms of the training data: each feature, then the score and the label."""
    histograms = {**baseline.features, "score": baseline.score, "label": baseline.label}
    lines = -(-len(histograms) // COLUMNS)
    with _drawing("baseline", 8.4, 0.3 + 1.75 * lines) as figure:
        for place, (name, histogram) in enumerate(histograms.items(), start=1):
            axes = figure.add_subplot(lines, COLUMNS, place)
            _histogram(axes, histogram)
            missing = histogram.counts[0] / (histogram.total or 1)
            axes.set_title(_short(name) + (f" ({missing:.1%} missing)" if missing else ""), loc="left", fontsize=9)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelsize=7)
        return _svg(figure)


def _histogram(axes: Axes, histogram: Histogram) -> None:
    if isinstance(histogram.bins, CategoricalBins):
        known = dict(zip([*histogram.bins.categories, "other"], histogram.counts[1:].tolist(), strict=True))
        known = {name: count for name, count in known.items() if count}
        first = dict(sorted(known.items(), key=lambda item: -item[1])[:MOST_CATEGORIES])
        axes.bar(range(len(first)), list(first.values()), color=COLOURS[0])
        axes.set_xticks(range(len(first)), [_short(name, 10) for name in first], rotation=90 if len(first) > 4 else 0)
        return
    edges, heights = density(histogram)
    axes.stairs(heights, edges, fill=True, color=COLOURS[0])


def _mark(axes: Axes, value: float, place: float, interval: tuple[float, float] | None, colour: str, name: str) -> None:
    if interval is not None:
        axes.plot(interval, (place, place), color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot([value], [place], marker="o", markersize=4.5, linestyle="none", color=colour, label=name)


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _legend(axes: Axes) -> None:
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        axes.legend(
            handles.values(), handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False
        )


def _largest(slices: Sequence[EvaluationSlice]) -> list[EvaluationSlice]:
    if len(slices) <= MOST_LINES:
        return list(slices)
    least = sorted((part.rows for part in slices), reverse=True)[MOST_LINES - 1]
    return [part for part in slices if part.rows >= least][:MOST_LINES]


def _short(name: str, most: int = 28) -> str:
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


@contextmanager
def _drawing(name: str, width: float, height: float) -> Iterator[Figure]:
    """Open a new figure of `width` by `height` inches, independent of the plot style that the process has set.

    Ids within it are hashes of their content and of `name`; names must differ within a page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": name})
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib only measures; the browser has the letters
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    """Return the `<svg>` element alone: HTML needs neither its prologue nor its namespaces."""
    out = StringIO()
    figure.savefig(out, format="svg", metadata=_NO_METADATA, transparent=True)
    element = out.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r' xmlns(:\w+)?="[^"]*"', "", element, count=2)  # the first two, before any name from the data
    return re.sub(r'<!--.*?-->|(?<=<g) id="[^"]*"', "", element, flags=re.DOTALL)
