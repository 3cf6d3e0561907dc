"""Secrets of channels: a file or an environment variable names them, and only the process that sends reads them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.errors import InvalidPolicyError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Secret:
    """The place of a secret: the path of a file, or `${NAME}` for a variable of the environment."""

    place: str

    def read(self) -> str:
        """Return the secret without surrounding white space; raises InvalidPolicyError if there is none."""
        variable = _VARIABLE.fullmatch(self.place)
        if variable is not None:
            found = os.environ.get(variable[1], "").strip()
            missing = f"the variable {variable[1]} is not set in the environment of this process; set it"
        else:
            found = _content(self.place)
            missing = f"the file {self.place!r} is empty; write the secret into it"
        if not found:
            raise InvalidPolicyError(missing)
        return found


def names_variable(text: str) -> bool:
    """Tell whether a text is `${NAME}`, the only way to write a secret in a file of channels."""
    return _VARIABLE.fullmatch(text) is not None


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no path has such characters
        raise InvalidPolicyError(
            f"the secret in the file {path!r} cannot be read ({getattr(error, 'strerror', 'not UTF-8')}); "
            "give this process the right to read it"
        ) from error
