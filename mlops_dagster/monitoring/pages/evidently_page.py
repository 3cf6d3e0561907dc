"""Evidently's figures of two frames, as an HTML page. Imports Evidently (seconds): import it where it is used.

A page as Evidently writes it is 4.3 MB, of which 3.5 MB are the program that draws it. Here the pages of a folder share
that program as one file.
"""

import functools
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# Set before Evidently is imported: parts of it (not those used here) send usage data to its makers.
os.environ.setdefault("DO_NOT_TRACK", "1")

# Evidently has annotations and no py.typed.
import evidently  # type: ignore[import-untyped]
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import pandas as pd
    from evidently.core.report import Context  # type: ignore[import-untyped]
    from evidently.legacy.model.widget import BaseWidgetInfo  # type: ignore[import-untyped]

LIBRARY = f"evidently-{evidently.__version__}.js"
"""The file name of the program that draws the figures of a page."""

_NO_FIGURES = """<html>
<head>
<title>{title}</title>
<meta charset="utf-8">
</head>
<body>
{above}
<p>There are no figures: no column can be drawn.</p>
</body>
</html>
"""


class _Distributions(DataDriftPreset):  # type: ignore[misc]  # Evidently has no types
    """The table of Evidently's preset, without its verdicts."""

    def render(
        self, context: "Context", child_widgets: "list[tuple[str | None, list[BaseWidgetInfo]]] | None" = None
    ) -> "list[BaseWidgetInfo]":
        *_, table = super().render(context, child_widgets)
        table.title = "The sample beside the training set"
        table.params["columns"] = [each for each in table.params["columns"] if each["field"] != "data_drift"]
        for row in table.params["data"]:
            row.pop("data_drift", None)
        return [table]


@functools.cache
def library() -> bytes:
    """Return the program that draws the figures: JavaScript, in UTF-8."""
    return Path(evidently.__file__).with_name("nbextension").joinpath("static", "index.js").read_bytes()


def draw(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    *,
    categorical: tuple[str, ...],
    title: str,
    above: str,
    source: str,
) -> str:
    """Return the page: `above` (HTML) over the distributions of all columns except those that are `undrawn`.

    Evidently's verdicts on drift are left out: they are of a sample, while the numbers in `above` are of all rows.
    `source` is the address of `LIBRARY`, as seen from the page. Texts from the frames are escaped: they are shown,
    never run. If no column can be drawn, the page says so.
    """
    left_out = undrawn(current, reference, categorical=categorical)
    drawn = [name for name in current.columns if name not in left_out]
    if not drawn:
        return _NO_FIGURES.format(title=escape(title), above=above)
    columns = DataDefinition(
        numerical_columns=[name for name in drawn if name not in categorical],
        categorical_columns=[name for name in drawn if name in categorical],
    )
    now, then = (Dataset.from_pandas(_finite(frame[drawn]), data_definition=columns) for frame in (current, reference))
    page: str = Report([_Distributions(method="psi", include_tests=False)]).run(now, then).get_html_str(as_iframe=False)
    page = page.replace(f"<script>{library().decode()}</script>", f'<script src="{escape(source)}"></script>')
    # Evidently writes JSON into a script. A category in it, chosen by a client, may contain the end tag of a script.
    before, begin, rest = page.partition("<script>")
    data, end, after = rest.rpartition("</script>\n    </head>")
    page = before + begin + data.replace("<", r"\u003c") + end + after
    page = page.replace("<head>", f"<head>\n<title>{escape(title)}</title>", 1)
    return page.replace("<body>", f"<body>\n{above}", 1)


def undrawn(current: "pd.DataFrame", reference: "pd.DataFrame", *, categorical: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns without a value in one frame, or with numbers that fit no histogram, such as 1e300.

    The values 0.3 and 0.1 + 0.2 fit none either: their range is too small. Evidently would raise for such a column, and
    then the page would have no figure at all.
    """
    current, reference = _finite(current), _finite(reference)
    pairs = {name: (current[name].dropna(), reference[name].dropna()) for name in current.columns}
    return tuple(
        str(name)
        for name, (now, then) in pairs.items()
        if now.empty or then.empty or (name not in categorical and not all(map(_has_histogram, (now, then))))
    )


def _has_histogram(values: "pd.Series[float]") -> bool:
    try:
        np.histogram(values)
    except ValueError:  # the range overflows, or cells would have no width
        return False
    return True


def _finite(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.replace([np.inf, -np.inf], np.nan)
