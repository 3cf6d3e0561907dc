"""Evidently's figures of two frames, as an HTML page. Imports Evidently (seconds): import it where it is used.

A page of Evidently's own is 4.3 MB, of which 3.5 MB are the program that draws it. Here the pages of a folder share
that program as one file.
"""

import functools
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# Before Evidently is imported: parts of it (not those used here) report their use to its makers.
os.environ.setdefault("DO_NOT_TRACK", "1")

# Evidently has annotations and no py.typed.
import evidently  # type: ignore[import-untyped]
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import pandas as pd

LIBRARY = f"evidently-{evidently.__version__}.js"
"""The name of the program that draws the figures of a page."""


@functools.cache
def library() -> bytes:
    """The program: JavaScript, in UTF-8."""
    return Path(evidently.__file__).with_name("nbextension").joinpath("static", "index.js").read_bytes()


def draw(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    *,
    categorical: tuple[str, ...],
    threshold: float,
    title: str,
    above: str,
    source: str,
) -> str:
    """The page: `above` (HTML) over the distributions of the columns that both frames have values in.

    Each column is called drifted when its PSI is over `threshold`. `source` is the address of `LIBRARY`, as seen from
    the page. Whatever texts the frames hold are shown, not obeyed.
    """
    current, reference = _finite(current), _finite(reference)
    drawn = [name for name in current.columns if current[name].notna().any() and reference[name].notna().any()]
    columns = DataDefinition(
        numerical_columns=[name for name in drawn if name not in categorical],
        categorical_columns=[name for name in drawn if name in categorical],
    )
    now, then = (Dataset.from_pandas(frame[drawn], data_definition=columns) for frame in (current, reference))
    preset = DataDriftPreset(method="psi", threshold=threshold, include_tests=False)
    page: str = Report([preset]).run(now, then).get_html_str(as_iframe=False)
    page = page.replace(f"<script>{library().decode()}</script>", f'<script src="{escape(source)}"></script>')
    # What Evidently writes into a script is JSON, which may hold the end of a script: a client chose the categories.
    before, begin, rest = page.partition("<script>")
    data, end, after = rest.rpartition("</script>\n    </head>")
    page = before + begin + data.replace("<", r"\u003c") + end + after
    page = page.replace("<head>", f"<head>\n<title>{escape(title)}</title>", 1)
    return page.replace("<body>", f"<body>\n{above}", 1)


def _finite(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.replace([np.inf, -np.inf], np.nan)
