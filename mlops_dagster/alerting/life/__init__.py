"""The life of an alert: what opens, mutes and ends it, and the tables that keep its events."""
