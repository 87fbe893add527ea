"""``python -m providers.sandbox``: serves the fake providers until SIGTERM."""

from __future__ import annotations

import argparse
import gc
import os
import resource

import uvicorn

from providers.sandbox.app import Sandbox
from providers.sandbox.configuration import Configuration
from providers.sandbox.protocol import CuttableProtocol


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m providers.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SANDBOX_PORT") or 8001))
    parser.add_argument("--latency-ms", type=float, default=float(os.environ.get("SANDBOX_LATENCY_MS") or 200))
    parser.add_argument("--jitter-ms", type=float, default=float(os.environ.get("SANDBOX_JITTER_MS") or 50))
    options = parser.parse_args()
    _allow_many_connections()
    # Thousands of calls in flight are young objects that live a second: collecting less often costs nothing.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    configuration = Configuration(latency_ms=options.latency_ms, jitter_ms=options.jitter_ms)
    uvicorn.run(
        Sandbox(configuration),
        host=options.host,
        port=options.port,
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=4096,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        server_header=False,
        date_header=False,
    )


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
