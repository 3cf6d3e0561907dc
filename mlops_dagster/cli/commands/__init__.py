"""Commands outside the groups of models, rollouts and predictions."""
