"""Background work of the data plane: from the spool to the rollups and the log."""
