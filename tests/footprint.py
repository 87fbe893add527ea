"""What a process of the engine holds of the system: its sockets by where they lead, and its other open files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

SERVERS = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "provider": "SANDBOX_URL"}


@dataclass(frozen=True, slots=True)
class Footprint:
    """Numbers of sockets to each server, and of all other open files."""

    postgres: int = 0
    redis: int = 0
    provider: int = 0
    others: int = 0


def footprint(process_id: int, environment: Mapping[str, str]) -> Footprint:
    """Count them now. Raises ``psutil.NoSuchProcess``."""
    process = psutil.Process(process_id)
    ports = {urlsplit(environment[variable]).port: server for server, variable in SERVERS.items()}
    counts = dict.fromkeys(SERVERS, 0)
    for socket in process.net_connections(kind="inet"):
        server = ports.get(socket.raddr.port) if socket.raddr else None
        if server is not None:
            counts[server] += 1
    return Footprint(**counts, others=process.num_fds() - sum(counts.values()))
