"""The command line `mlops`: serve, inspect, and act by hand.

Exit codes: 0 done, 1 refused or failed, 2 the command line itself is wrong. A refusal or failure is one line on stderr
with its stable code (errors.py), with --json too: stdout then stays empty. With --json a command writes one document to
stdout: the same facts as the table, times in UTC as ISO 8601, an infinite number as the string "Infinity".
"""

from mlops_dagster.cli.main import app

__all__ = ["app"]
