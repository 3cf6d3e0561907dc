"""Names of the log's tables, and of the transactions that they keep."""

from typing import Final

LABELS_TABLE: Final = "labels"
ERASURES_TABLE: Final = "erasures"


def process_transaction(process: str) -> str:
    """Return the name under which a model's table keeps the last sequence number of a process that it was given."""
    return f"process {process}"


def predictions_table(model: str) -> str:
    return f"predictions/{model}"


def model_of(table: str) -> str:
    """Return the model of a table of predictions."""
    return table.removeprefix(predictions_table(""))
