"""The reference of errors, from the tree in `mlops_dagster.errors`."""

from collections.abc import Iterator

from docs.generate.markdown import code, table
from mlops_dagster import errors
from mlops_dagster.access.http_status import status_of


def page() -> str:
    """Return the table of errors: code, class, its parent, HTTP status and meaning."""
    return table(("code", "class", "is a", "HTTP", "meaning"), list(_rows(errors.MlopsError)))


def _rows(kind: type[errors.MlopsError]) -> Iterator[tuple[str, ...]]:
    parent = kind.__mro__[1].__name__
    own = (kind.__doc__ or "").strip() if "__doc__" in kind.__dict__ else ""
    meaning = own.split("\n\n")[0] or f"{kind.code.replace('_', ' ').capitalize()}."
    status = str(status_of(kind.__new__(kind)))
    yield (code(kind.code), code(kind.__name__), code(parent), status, meaning)
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _rows(each)
