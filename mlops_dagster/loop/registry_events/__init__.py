"""Alerts and news that follow from the events of the registry, by any process."""
