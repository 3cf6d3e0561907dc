"""Work beside the requests: from the spool to the rollups and the log."""
