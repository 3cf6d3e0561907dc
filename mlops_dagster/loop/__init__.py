"""The closed loop without an orchestrator: what is looked at by the hour, day and week, and what follows."""
