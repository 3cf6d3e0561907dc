"""What this code location offers: the model, and what all models share."""
