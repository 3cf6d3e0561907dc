"""Hourly, daily and weekly judgement of a model: validation, drift, performance, and the findings that follow."""
