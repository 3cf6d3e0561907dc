"""Design effects: how many rows are worth one."""
