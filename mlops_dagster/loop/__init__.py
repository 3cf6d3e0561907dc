"""The closed loop without an orchestrator: hourly, daily and weekly reports, and the actions that follow from them."""
