"""Erasure of rows from log, spool, labels and copies."""
