"""Connections to one host: opened under a deadline, kept while idle."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from functools import cache

MOST_IDLE_CONNECTIONS = 4000
# Below the idle timeout of every load balancer we know of, so that we hang up first.
IDLE_SECONDS = 30.0


class Origin:
    """The idle connections of this process to one host and port. Deques need no lock."""

    def __init__(self, secure: bool, host: str, port: int | None) -> None:
        self._host = host
        self._port = port or (443 if secure else 80)
        self._context = ssl.create_default_context() if secure else None
        self._idle: deque[tuple[float, socket.socket]] = deque()

    def connect(self, timeout: float) -> socket.socket:
        """A new connection, with its TLS handshake done."""
        connection = socket.create_connection((self._host, self._port), timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                return self._context.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def idle_connection(self) -> socket.socket | None:
        """The connection used last, if it is still good."""
        while self._idle:
            try:
                since, connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - since < IDLE_SECONDS and is_quiet(connection):
                return connection
            connection.close()
        return None

    def close_idle(self) -> None:
        """Close those that nobody wanted for too long; the oldest are at the left."""
        while self._idle:
            try:
                since, connection = self._idle.popleft()
            except IndexError:  # another thread was faster
                return
            if time.monotonic() - since < IDLE_SECONDS:
                self._idle.appendleft((since, connection))
                return
            connection.close()

    def keep(self, connection: socket.socket) -> None:
        """Offer a connection whose answer was read to its end to the next call."""
        if len(self._idle) < MOST_IDLE_CONNECTIONS:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()


_origins: list[Origin] = []


@cache
def origin(secure: bool, host: str, port: int | None) -> Origin:
    """This process's one origin of that address: providers at the same address share its idle connections."""
    made = Origin(secure, host, port)
    _origins.append(made)
    return made


def close_idle_connections() -> None:
    """Called now and then by who lives long: after a rush thousands of connections would stay open, used by nobody."""
    for each in _origins:
        each.close_idle()


def is_quiet(connection: socket.socket) -> bool:
    """Whether nothing waits to be read: neither a goodbye nor an answer to somebody else."""
    try:
        connection.settimeout(0)
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False
