"""The socket of a server of this home: the data plane's, or the control room's."""

import socket

from mlops_dagster.errors import ServerError


def listen(host: str, port: int, variables: str, backlog: int | None = None) -> socket.socket:
    """Return a socket that listens on the address; on `::` it takes connections over IPv4 too.

    Port 0 picks a free one. Raises ServerError, whose cause is the OSError; it names the `variables` to change.
    """
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=backlog,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python adds the address as a tuple
        raise ServerError(
            f"cannot listen on {host} port {port}: {why}; set {variables} to an address of this machine that is free"
        ) from error
