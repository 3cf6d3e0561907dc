"""Erasure of rows from the log, the spool, the label index and copies."""
