"""The snapshot: the content of the control room at one time, without any HTML."""

from mlops_dagster.board.snapshot.cache import Cache
from mlops_dagster.board.snapshot.decision import explain
from mlops_dagster.board.snapshot.take import snapshot

__all__ = ["Cache", "explain", "snapshot"]
