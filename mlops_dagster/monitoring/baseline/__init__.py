"""The baseline of a version: the counts of its training set, and forecasts of the losses provable against them."""
