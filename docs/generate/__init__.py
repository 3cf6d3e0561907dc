"""Generates the reference pages from the code: each module returns one page as Markdown.

The pages are written before each build and are not committed.
"""

from pathlib import Path

from docs.generate import channels, cli, defs_yaml, errors, events, http, metrics, settings, tables

PAGES = {
    "channels": channels,
    "cli": cli,
    "defs-yaml": defs_yaml,
    "errors": errors,
    "events": events,
    "http": http,
    "metrics": metrics,
    "settings": settings,
    "tables": tables,
}


def write_references(folder: Path) -> None:
    """Write every generated page; one whose text has not changed stays, so that Sphinx does not read it again."""
    folder.mkdir(exist_ok=True)
    for name, module in PAGES.items():
        path, text = folder / f"{name}.md", module.page()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
