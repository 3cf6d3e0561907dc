"""The closed loop of production machine learning, on Dagster."""
