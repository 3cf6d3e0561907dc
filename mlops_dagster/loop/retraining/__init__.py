"""The decision to retrain, the order in which models are retrained, and the steps of a retraining."""
