"""Jobs and schedules over all models of a code location."""
