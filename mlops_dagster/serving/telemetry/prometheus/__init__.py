"""Rules for Prometheus about the data plane: recordings, objectives, and alerts about processes."""
