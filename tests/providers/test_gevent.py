"""The HTTP door under gevent, as in the workers: one process, many calls in flight."""

from __future__ import annotations

import subprocess
import sys

from tests.sandbox_fixture import SandboxServer

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import sys
import time
from gevent.pool import Pool
from providers.ai.openai import OpenAI
from providers.base import ChatRequest, Limits

openai = OpenAI(alias="many", base_url=sys.argv[1] + "/many/v1", key="key", model="gpt-5", limits=Limits())
def ask(number):
    return openai.complete(ChatRequest(prompt="Hello", reference=f"r{number}", timeout_seconds=20)).text
pool = Pool(400)
started = time.monotonic()
texts = pool.map(ask, range(800))
print(len(texts), time.monotonic() - started)
"""


def test_hundreds_of_calls_in_flight(sandbox: SandboxServer) -> None:
    sandbox.configure(latency_ms=500)
    script = [sys.executable, "-c", SCRIPT, sandbox.url]
    answered, seconds = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert int(answered) == 800
    assert float(seconds) < 10, "one after the other would take 400 s"
    assert {entry["reference"] for entry in sandbox.log()} == {f"r{number}" for number in range(800)}
