"""`mlops predictions`: the prediction log."""
