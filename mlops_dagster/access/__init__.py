"""Access to servers: bearer tokens with scopes, and the names that callers may use for a server."""

from mlops_dagster.access.access import Access, is_loopback
from mlops_dagster.access.hosts import Names
from mlops_dagster.access.tokens import Scope, Token

__all__ = ["Access", "Names", "Scope", "Token", "is_loopback"]
