"""Everything that a campaign and its sender hand over is searched for in every log of the whole stack."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from batches.models import ApiKey, Batch, Item
from batches.states import FINAL_ITEM_STATUSES
from batchsite.launcher import procfile
from batchsite.launcher.supervisor import Supervisor
from tests.engine_fixture import ROOT, database_url
from tests.sandbox_fixture import SandboxServer, free_port

pytestmark = pytest.mark.django_db(transaction=True)

RECIPIENTS = 60
FIRST_NUMBER = 12024560100
NAME, TEMPLATE, WRONG_KEY, TICKET = "Annegret", "your biopsy is ready", "bsk_wrong_Qz81", "ticketQz82"
PASSWORD, BODY, ODD_NUMBER = "passwordQz83", "bodyQz84", "+4915112399"
SHUTDOWN = {"worker: Warm shutdown (MainProcess)"}
PATIENCE_SECONDS = 60.0


class Stack:
    """The processes of the Procfile, with logs of JSON lines."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder
        self.port = free_port()
        self.sandbox = SandboxServer(f"http://127.0.0.1:{free_port()}")
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONUNBUFFERED": "1",
            "LOG_FORMAT": "json",
            "DATABASE_URL": database_url(),
            "REDIS_PREFIX": f"logs-{secrets.token_hex(4)}",
            "BATCHSITE_DATA": str(settings.DATA_DIR),
            "PORT": str(self.port),
            "FLOWER_PORT": str(free_port()),
            "FLOWER_BASIC_AUTH": f"demo:{PASSWORD}",
            "SANDBOX_PORT": str(urlsplit(self.sandbox.url).port),
            "SANDBOX_URL": self.sandbox.url,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
        }
        commands = procfile.read(ROOT / "Procfile")
        self.supervisor = Supervisor(commands, folder=ROOT, logs=folder, environment=environment)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        text = body if isinstance(body, str | None) else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, text, {"Content-Type": "application/json", **names})
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return answer.status, answer.read()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("GET", "/readyz")[0] == 200 and self.sandbox.log() is not None
        return False


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    Path(settings.DATA_DIR).mkdir(exist_ok=True)  # beat keeps its schedule there
    started = Stack(tmp_path)
    started.supervisor.start()
    try:
        wait_until(started.is_ready)
        yield started
    finally:
        started.supervisor.stop()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_no_log_tells_what_belongs_to_users(stack: Stack, tmp_path: Path) -> None:
    owner = User.objects.create_user("sender", password=PASSWORD)
    _, secret = ApiKey.issue(owner_id=owner.pk, name="k")
    stack.sandbox.configure(error_rates={"500": 0.1, "429": 0.1, "400": 0.1}, permanent_error_rate=0.1)
    public_id = send_campaign(stack, secret)
    ask_oddly(stack, public_id, secret)
    wait_until(lambda: not Item.objects.exclude(status__in=FINAL_ITEM_STATUSES).exclude(failures__gt=0).exists())
    assert Item.objects.filter(attempts__gt=0).count() == RECIPIENTS
    assert Item.objects.exclude(error_code="").exists()
    stack.supervisor.stop()

    told = {log: log.read_text(errors="replace") for log in every_log(tmp_path)}
    numbers = [str(FIRST_NUMBER + index) for index in range(RECIPIENTS)]
    for needle in (*numbers, NAME, TEMPLATE, WRONG_KEY, TICKET, PASSWORD, BODY, ODD_NUMBER, secret):
        assert [log.name for log, text in told.items() if needle in text] == [], needle

    lines = {log.stem: json_lines(told[log]) for log in tmp_path.glob("*.log") if log.stem != "sandbox"}
    assert {"web", "worker", "dispatcher", "beat", "flower"} <= lines.keys()
    assert all(line["process"] == name for name, of_log in lines.items() for line in of_log)
    attempts = [line for line in lines["worker"] if line["logger"] == "batches.attempts"]
    assert {line["batch"] for line in attempts} == {public_id}
    assert all({"item", "lease", "provider", "attempt"} <= line.keys() for line in attempts)
    asked = [line for line in lines["web"] if line["logger"] == "batches.requests"]
    assert any(line.get("owner") == owner.pk and line["status"] == 202 for line in asked)
    assert any(line["logger"].startswith("uvicorn") for line in lines["web"])
    assert any(line["logger"].startswith("celery") for line in lines["worker"])


def json_lines(text: str) -> list[dict[str, Any]]:
    """All of it is JSON, but for what Celery writes past every log while it handles a signal."""
    return [json.loads(line) for line in text.splitlines() if line and line not in SHUTDOWN]


def send_campaign(stack: Stack, secret: str) -> str:
    recipients = [{"phoneNumber": f"+{FIRST_NUMBER + n}", "variables": {"name": NAME}} for n in range(RECIPIENTS)]
    options = {"priority": "high", "validityPeriod": 120}
    campaign = {"recipients": recipients, "text": f"{{{{name}}}}, {TEMPLATE}", "options": options}
    status, answer = stack.ask("POST", "/api/batch", campaign, Authorization=f"Bearer {secret}")
    assert status == 202, answer
    return str(Batch.objects.get().public_id)


def ask_oddly(stack: Stack, public_id: str, secret: str) -> None:
    """Requests that fail, each with something that no log may tell."""
    mine = {"Authorization": f"Bearer {secret}"}
    assert stack.ask("GET", f"/api/batch/{public_id}/items?search={ODD_NUMBER}", **mine)[0] == 200
    assert stack.ask("GET", f"/api/batch/history?search={NAME}", Authorization=f"Bearer {WRONG_KEY}")[0] == 401
    assert stack.ask("GET", f"/{ODD_NUMBER}/{TICKET}")[0] == 404
    assert stack.ask("POST", "/api/batch", f'{{"recipients": "{BODY}', **mine)[0] == 400
    assert stack.ask("POST", f"/api/receipts/twilio?To={ODD_NUMBER}", f'{{"Body": "{BODY}"}}')[0] == 403
    sign_in = f"username=sender&password={PASSWORD}"
    assert stack.ask("POST", "/login", sign_in, Content_Type="application/x-www-form-urlencoded")[0] == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for token in (TICKET, secret):
        stack.ask("GET", f"/ws?token={token}", None, **upgrade, **key)


def every_log(folder: Path) -> list[Path]:
    """Those of our processes, of Postgres and of Redis."""
    servers = Path(settings.DATA_DIR).parent
    return [*folder.glob("*.log"), *(path for path in servers.rglob("*.log*") if path.is_file())]
