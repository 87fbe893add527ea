"""The project's settings with operations that misbehave, and a sandbox of its own for messages."""

from __future__ import annotations

import os

from batchsite.settings import *  # noqa: F403
from batchsite.settings import OPERATIONS as USUAL
from batchsite.settings import PROVIDERS as USUAL_PROVIDERS
from tests.faults.operations import OPERATIONS as MISBEHAVING

MESSAGES = os.environ.get("MESSAGES_SANDBOX_URL", "http://127.0.0.1:9")  # the tests' own process calls nobody
OPERATIONS = {**USUAL, **MISBEHAVING}
PROVIDERS = {
    **USUAL_PROVIDERS,
    "twilio": {**USUAL_PROVIDERS["twilio"], "base_url": f"{MESSAGES}/twilio"},
}
