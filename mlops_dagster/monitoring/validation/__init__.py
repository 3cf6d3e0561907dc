"""Validation of batches and training sets by Great Expectations."""
