"""The jobs of a model."""
