"""The sensors of a model."""
