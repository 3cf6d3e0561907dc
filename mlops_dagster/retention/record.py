"""The record of retention in the registry's database: from when on each kind is whole, and how much went."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.database import migrate, open_database, reading, writing
from mlops_dagster.errors import NotKeptError
from mlops_dagster.retention.cutoffs import shown_since
from mlops_dagster.retention.policy import Kind

TABLES = MetaData()
kept = Table(
    "kept",
    TABLES,
    Column("model", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("since", String, nullable=False),
)
retentions = Table(
    "retentions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("models", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
)


_FLEET: Final = "*"
"""What alerts about no single model are kept under."""


@dataclass(frozen=True, slots=True)
class RetentionPass:
    """The records of one kind that one pass removed."""

    at: datetime
    actor: str
    kind: str
    models: int
    """The number of models that lost some."""
    removed: int
    """The number of rows, or of files."""


class RetentionRecord:
    """From when on each kind of record of a model is whole, and what each pass removed: counts, never the data."""

    def __init__(self, database: str) -> None:
        self._engine = open_database(database)
        migrate(self._engine)

    def raise_to(self, since: Mapping[str, Mapping[Kind, datetime]]) -> None:
        """Note for each model and kind that records before a time are not whole any more; a later time noted stays.

        To be called before anything goes: what is half gone is never shown as whole.
        """
        with writing(self._engine) as connection:
            known = {(row.model, row.kind): row.since for row in connection.execute(select(kept))}
            for model, kinds in since.items():
                for kind, at in kinds.items():
                    before, text = known.get((model, kind.value)), time_text(at)
                    if before is None:
                        connection.execute(insert(kept).values(model=model, kind=kind.value, since=text))
                    elif before < text:
                        its = (kept.c.model == model) & (kept.c.kind == kind.value)
                        connection.execute(update(kept).where(its).values(since=text))

    def since(self) -> dict[str, dict[Kind, datetime]]:
        """Return from when on each kind is whole, by model; a model that retention never looked at is whole."""
        found: defaultdict[str, dict[Kind, datetime]] = defaultdict(dict)
        with reading(self._engine) as connection:
            for row in connection.execute(select(kept).order_by(kept.c.model)):
                found[row.model][Kind(row.kind)] = parse_time(row.since)
        return dict(found)

    def check_kept(self, kind: Kind, at: datetime, model: str | None = None) -> None:
        """Raise NotKeptError if a kind of record, of one model or of all, is not whole from a time on."""
        whole = {each: kinds[kind] for each, kinds in self._of(model).items() if kind in kinds}
        _check(whole, at, f"{kind.value.replace('_', ' ')} of")

    def check_shown(self, at: datetime, model: str | None = None) -> None:
        """Raise NotKeptError if one model, or any, cannot be shown whole as of a time."""
        shown = {each: since for each, kinds in self._of(model).items() if (since := shown_since(kinds)) is not None}
        _check(shown, at, "records of")

    def _of(self, model: str | None) -> Mapping[str, Mapping[Kind, datetime]]:
        found = self.since()
        return found if model is None else {each: kinds for each, kinds in found.items() if each in (model, _FLEET)}

    def note(self, at: datetime, actor: str, removed: Mapping[str, tuple[int, int]]) -> None:
        """Note for each kind how many models lost records in a pass, and how many records went; nothing for none."""
        rows = [
            {"at": time_text(at), "actor": actor, "kind": kind, "models": models, "removed": number}
            for kind, (models, number) in removed.items()
            if number
        ]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(insert(retentions), rows)

    def passes(self, last: int = 50) -> Sequence[RetentionPass]:
        """Return the last entries of the record, newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(retentions).order_by(retentions.c.id.desc()).limit(last)).all()
        return [RetentionPass(parse_time(row.at), row.actor, row.kind, row.models, row.removed) for row in rows]

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _check(whole: Mapping[str, datetime], at: datetime, what: str) -> None:
    model, since = max(whole.items(), key=lambda each: each[1], default=("", at))
    if at < since:
        whose = "the fleet" if model == _FLEET else model
        raise NotKeptError(
            f"{what} {whose} before {since:%Y-%m-%d %H:%M} UTC are not kept, and {at:%Y-%m-%d %H:%M} is before; ask "
            "for a later time (`mlops retention show` has how long each kind is kept)"
        )
