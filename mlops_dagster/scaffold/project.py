"""The files of a new project: those that Dagster needs, a trainer, and the lifecycle of its model."""

import importlib.util
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import floor
from pathlib import Path
from typing import Final

from mlops_dagster.errors import InvalidInputError, InvalidNameError, InvalidPolicyError, StorageError
from mlops_dagster.names import check_model_name
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.prospects.proposal import changes, check_can_promote, propose_policy
from mlops_dagster.rollout.prospects.prospects import Traffic
from mlops_dagster.scaffold.table import Table
from mlops_dagster.tasks import FirstLimits

_TEMPLATES: Final = Path(__file__).parent / "templates"
_MODULE: Final = re.compile(r"[a-z][a-z0-9_]*")
_WINDOW_DAYS: Final = (4, 60)
_EVALUATED: Final = 0.25
_HALF: Final = 0.5


@dataclass(frozen=True)
class Project:
    """A project of one model. Raises InvalidNameError unless its name can be that of a model and of a module."""

    name: str
    since: date
    """The first day with traffic."""
    table: Table
    data: str | None = None
    """The path of the table's file, relative to the project's folder; None: the trainer is to be filled in."""
    event_time: str = "event_time"
    label: str = "label"

    def __post_init__(self) -> None:
        check_model_name(self.name)
        if not _MODULE.fullmatch(self.package) or keyword.iskeyword(self.package):
            raise InvalidNameError(
                f"{self.name!r} cannot name a project: its package would be {self.package!r}; begin with a letter, and "
                "use small letters, digits and '-'"
            )
        known = importlib.util.find_spec(self.package)
        if known is not None and known.has_location:
            raise InvalidNameError(
                f"{self.name!r} cannot name a project: there is a module {self.package!r} already, and imports would "
                "find one or the other; choose another name"
            )

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    @property
    def traffic(self) -> Traffic:
        a_day = self.table.rows_per_day
        return Traffic(
            requests_per_day=float(f"{a_day:.2g}") if a_day >= 1 else a_day,
            label_delay_hours=self.table.label_delay_hours or 0,
        )

    @cached_property
    def policy(self) -> RolloutPolicy:
        """A rollout that can prove something at that traffic; where none can, the defaults."""
        try:
            policy = propose_policy(self.traffic, self.table.rows_per_observation, self.table.shares)
        except InvalidPolicyError:
            policy = RolloutPolicy(rows_per_observation=self.table.rows_per_observation)
        expected = floor(100 * self.table.label_share - 1) / 100
        if not _HALF < expected < policy.min_label_share:
            return policy
        return RolloutPolicy.model_validate({**policy.model_dump(exclude_unset=True), "min_label_share": expected})

    @property
    def unlabelled(self) -> str | None:
        """Say that too few rows have a label for anything to be judged by them; None if enough have."""
        if self.table.label_share > _HALF:
            return None
        return (
            f"{self.table.label_share:.0%} of the rows have a label, and nothing is judged by so few: if they are "
            "drawn at random write `labels: sampled` and `label_hours` under `rollout` (docs/concepts/rollouts.md)"
        )

    def why_no_proof(self) -> str | None:
        """Say why no rollout can prove anything at that traffic; None if one can."""
        try:
            check_can_promote(self.policy, self.traffic, self.table.shares)
        except InvalidPolicyError as error:
            return error.message
        return None

    @property
    def limits(self) -> FirstLimits:
        """The first gates, and the headline measure of a version that always predicts the commonest label."""
        return self.table.schema.task.first_limits(self.table.shares)

    @property
    def window_days(self) -> int:
        """Half of the days of the table, as the other half is served in a rehearsal."""
        least, most = _WINDOW_DAYS
        return max(least, min(most, int(self.table.days / 2)))

    @property
    def evaluation_days(self) -> int:
        return max(1, int(self.window_days * _EVALUATED))

    def files(self) -> dict[str, str]:
        """Return the text of each file, by its path in the project's folder."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        templates = Environment(  # noqa: S701  # Python, YAML and TOML, and no HTML
            loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
        )
        templates.filters["repr"] = repr
        templates.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
        facts = {"project": self, "table": self.table, "rollout": changes(self.policy)}
        package = self.package
        return {
            path: templates.get_template(name).render(facts)
            for path, name in {
                "pyproject.toml": "pyproject.toml.jinja",
                "workspace.yaml": "workspace.yaml.jinja",
                ".gitignore": "gitignore.jinja",
                "README.md": "README.md.jinja",
                f"{package}/__init__.py": "package.py.jinja",
                f"{package}/definitions.py": "definitions.py.jinja",
                f"{package}/trainer.py": "trainer.py.jinja",
                f"{package}/defs/__init__.py": "defs.py.jinja",
                f"{package}/defs/shared.py": "shared.py.jinja",
                f"{package}/defs/model/defs.yaml": "defs.yaml.jinja",
            }.items()
        } | {"request.json": _request(self.table), "feedback.json": _feedback(self.table)}


def write_project(project: Project, folder: Path) -> None:
    """Write the project's files into `folder`, which is created.

    Raises InvalidInputError if the folder exists already, StorageError if it cannot be written.
    """
    if folder.exists():
        raise InvalidInputError(f"{str(folder)!r} is there already, and a new project overwrites nothing; name another")
    files = project.files()
    try:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {str(folder)!r} ({error.strerror}); choose another folder") from error


def _request(table: Table) -> str:
    """Return one request of the Open Inference Protocol, with typical values."""
    inputs = [
        {
            "name": each.name,
            "shape": [1],
            "datatype": "FP64" if each.kind == "numeric" else "BYTES",
            "data": [table.typical[each.name]],
        }
        for each in table.schema.features
    ]
    return _one_a_line({"id": "first"}, "inputs", inputs)


def _feedback(table: Table) -> str:
    return _one_a_line({}, "labels", [{"prediction_id": "first", "label": table.schema.task.truths[0]}])


def _one_a_line(head: Mapping[str, str], name: str, rows: Sequence[Mapping[str, object]]) -> str:
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    begin = "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in head.items())
    return f"{{{begin}{json.dumps(name)}: [\n  {lines}\n]}}\n"
