"""The snapshot: the content of the control room at one time, without any HTML."""

from mlops_dagster.board.snapshot.take import snapshot

__all__ = ["snapshot"]
