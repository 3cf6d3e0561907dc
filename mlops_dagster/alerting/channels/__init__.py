"""Channels that carry messages to people: PagerDuty, GitHub, web hooks, Alertmanager, and those of Apprise."""
