"""``python -m batchsite.launcher.fake_redis PORT``: Redis in pure Python, where no real one can be had."""

from __future__ import annotations

import signal
import sys
import threading

from fakeredis import TcpFakeServer


def main(port: int) -> None:
    server = TcpFakeServer(("127.0.0.1", port), server_type="redis", server_version=(7, 4))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
