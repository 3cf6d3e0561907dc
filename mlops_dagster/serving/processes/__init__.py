"""The processes of the data plane: a supervisor and its workers."""
