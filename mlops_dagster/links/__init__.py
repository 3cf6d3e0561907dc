"""Addresses of pages of the control room, of Dagster and of Grafana, for links between them and from outside."""
