"""The watch over all models: their numbers are observed, judged by their alert policies, and told as alerts."""

from mlops_dagster.loop.watching.look import Looked, look

__all__ = ["Looked", "look"]
