"""The log's content by sequence number; each table as it is in one snapshot.

Imports pyarrow and deltalake: import it where it is used.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import DeltaTable

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.erasure.erasure_log import Held, Source, gather
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta.errors import storage_errors
from mlops_dagster.predictions.log.location import TableAddress
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table, process_transaction


@dataclass(slots=True)
class Logged:
    """The rows of every model by number, and the numbers up to which the tables were given rows."""

    held: defaultdict[Source, Held] = field(default_factory=lambda: defaultdict(Held))
    given: defaultdict[Source, int] = field(default_factory=lambda: defaultdict(int))
    """The last number of a process that the model's table was given, in the snapshot that the rows were read from."""
    reached: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The last entry of a spool that any table was given."""
    problems: list[str] = field(default_factory=list)


def read_log(log: PredictionLog, sources: Collection[Source], spools: Collection[str]) -> Logged:
    """Read the numbers of all predictions, and how far the log has each of these spools; `sources` may have no rows.

    Memory use is that of a batch of rows, and of the gaps in their numbers. Raises StorageError.
    """
    found = Logged()
    for model in log.models():
        table = _read_model(log.place.table(predictions_table(model)), model, found)
        if table is not None:
            at = log.place.table(predictions_table(model))
            processes = {process for its, process in {*found.held, *sources} if its == model}
            for process in processes:
                found.given[model, process] = delta.reached(at, table, process_transaction(process))
            _note_reached(found, at, table, spools)
    at = log.place.table(LABELS_TABLE)
    if (labels := delta.open_table(at)) is not None:
        _note_reached(found, at, labels, spools)
    return found


def _note_reached(found: Logged, at: TableAddress, table: DeltaTable, spools: Collection[str]) -> None:
    for spool in spools:
        found.reached[spool] = max(found.reached[spool], delta.reached(at, table, spool))


def _read_model(at: TableAddress, model: str, found: Logged) -> DeltaTable | None:
    """Add the numbers of a model's rows to `found`; return the snapshot that has them.

    A missing file is a loss if the newest snapshot needs it; otherwise it was merged or erased since, and the newest
    snapshot is read.
    """
    for _ in range(delta.ATTEMPTS):
        table = delta.open_table(at)
        if table is None:
            return None
        held: defaultdict[str, Held] = defaultdict(Held)
        lost = _gather_files(at, table, held)
        if lost and (newest := delta.open_table(at)) is not None and newest.version() != table.version():
            continue
        found.held.update({(model, process): its for process, its in held.items()})
        found.problems += [f"the file {path} of {model} is {what}" for path, what in lost.items()]
        return table
    raise StorageError(f"{at.uri} was changed {delta.ATTEMPTS} times while it was read; try again")


def _gather_files(at: TableAddress, table: DeltaTable, held: defaultdict[str, Held]) -> dict[str, str]:
    """Add the rows of every file to `held`; return the files that cannot be read, with the reasons."""
    lost: dict[str, str] = {}
    with storage_errors("read", at):
        for file in delta.rows_of(at, table).get_fragments():
            try:
                for batch in file.to_batches(columns=["process", "sequence", "role"]):
                    gather(held, batch)
            except FileNotFoundError:
                lost[file.path] = "gone"
            except pa.ArrowInvalid:
                lost[file.path] = "damaged"
    return lost
