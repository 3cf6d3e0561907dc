"""Delivery of alerts to people: messages, the outbox in which they wait, and the deliverer that empties it."""
