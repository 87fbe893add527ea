"""Large batches under gevent, as in the workers: little memory, and everybody else goes on meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.openai import OpenAI
from tests.providers.batch_adapters import make
from tests.sandbox_fixture import SandboxServer

MEGABYTES = 48
SCRIPT = """
from gevent import monkey
monkey.patch_all()
import json
import sys
import time
from pathlib import Path
import gevent
from providers.base import ChatRequest, Image
from tests.providers.batch_adapters import PATHS, make

adapter = next(each for each in PATHS if each.__name__ == sys.argv[1])
provider, file, megabytes = make(adapter, sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
gaps = []

def tick():
    while True:
        began = time.monotonic()
        gevent.sleep(0.005)
        gaps.append(time.monotonic() - began)

def resident(kind):
    text = Path("/proc/self/status").read_text()
    return int(text.partition(kind + ":")[2].split()[0]) // 1024

with file.open("wb") as lines:
    for number in range(megabytes):
        photo = Image(data=number.to_bytes(2, "big") * (374 * 1024))
        lines.write(provider.batch_line(f"bs1-{number}", ChatRequest(
            prompt="What is this?", reference="r", timeout_seconds=5, images=(photo,))))
before = resident("VmRSS")
gevent.spawn(tick)
gevent.sleep(0.05)
batch = provider.submit_batch(file, megabytes, "bs1")
print(json.dumps({"id": batch.id, "grown": resident("VmHWM") - before, "gap": max(gaps), "ticks": len(gaps)}))
"""


@pytest.mark.parametrize("adapter", [OpenAI, Anthropic, Gemini], ids=lambda adapter: adapter.__name__)
def test_a_large_file_is_submitted_in_little_memory(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 60})
    script = [sys.executable, "-c", SCRIPT, adapter.__name__, sandbox.url, str(tmp_path / "lines"), str(MEGABYTES)]
    said = json.loads(subprocess.run(script, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert (tmp_path / "lines").stat().st_size > MEGABYTES * 1_000_000
    assert said["grown"] < 12, said
    assert said["ticks"] > 10 and said["gap"] < 1, said
    make(adapter, sandbox.url).cancel_batch(said["id"])
