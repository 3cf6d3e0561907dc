"""The making of a section: its error is its own."""

import logging
from collections.abc import Callable
from typing import TypeVar

from mlops_dagster.board.snapshot.entities import Hint, Section
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.errors import MlopsError, told

Content = TypeVar("Content")

logger = logging.getLogger(__name__)


def section(
    view: View, read: Callable[[View], Content], empty: Callable[[Content], Hint | None] = lambda _content: None
) -> Section[Content]:
    """Return the section that `read` makes; one with the reason if that fails. `empty` tells the way on, if any."""
    try:
        content = read(view)
    except MlopsError as error:
        logger.warning("a part of the control room is unavailable: %s", told(error))
        return Section(None, None, told(error))
    except Exception as error:  # one broken part must not take the page from people on call
        logger.exception("a part of the control room failed")
        return Section(None, None, f"it failed with {told(error)}; the log of the board has the details")
    return Section(content, view.at, empty=empty(content))


NO_MODEL = Hint("no model yet; this makes the first", "mlops models register NAME ARTIFACT")


def no_model(content: tuple[object, ...]) -> Hint | None:
    """Tell how a first model is made; None if there are rows."""
    return None if content else NO_MODEL
