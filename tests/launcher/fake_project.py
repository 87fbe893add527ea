"""Writes a small project with the same seams as the real one, so that bin/up is tested in seconds."""

from __future__ import annotations

from pathlib import Path

WEB = """
import http.server, json, os, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = os.environ.get("WEB_READY", "yes") == "yes"
        body = json.dumps({"ready": ready, "parts": {"database": True, "worker": ready}}).encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

MANAGE = """
import os, sys
print("manage", *sys.argv[1:], os.environ["DEMO_API_KEY"][:9], flush=True)
sys.exit(int(os.environ.get("CODE_" + sys.argv[1].upper(), "0")))
"""

DRIVER = """
import sys
from pathlib import Path
from batchsite.launcher import stack
from batchsite.launcher.up import up
stack.ROOT = Path(sys.argv[1])
stack.READY_SECONDS = 4.0
sys.exit(up(sys.argv[2:]))
"""


def write(folder: Path, worker: str = "sleep 60") -> None:
    (folder / "web.py").write_text(WEB)
    (folder / "manage.py").write_text(MANAGE)
    (folder / "Procfile").write_text(f"web: python web.py\nworker: {worker}\nsandbox: sleep 60\n")
