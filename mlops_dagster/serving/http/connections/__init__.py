"""Connections of HTTP/1.1: how they are accepted, read within limits, and ended."""
