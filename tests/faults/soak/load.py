"""Photos and text messages without end, submitted as a client does who tries again until it is answered."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from benchmarks.stack import Stack, request

PHOTOS = 1_000
PHOTOS_EVERY_SECONDS = 5.0
MESSAGES = 160
MESSAGES_EVERY_SECONDS = 40.0
TRY_AGAIN_SECONDS = 1.0
AREA_CODES = (202, 212, 303, 312, 404, 415, 503, 512, 602, 617, 702, 713)


class Load:
    """Two clients. ``slowest_submit``: seconds until a submit was answered, its repetitions included.

    ``refused``: why a client gave up, which is a failure of the soak itself.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self.batches: list[str] = []
        self.photos = self.messages = self.repeated = 0
        self.slowest_submit = 0.0
        self.refused = ""
        self._stack = stack
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=each, daemon=True)
            for each in ((self._photos, PHOTOS_EVERY_SECONDS), (self._messages, MESSAGES_EVERY_SECONDS))
        ]

    def start(self) -> None:
        """Begin to submit."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Submit no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, submit: Callable[[], None], every_seconds: float) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                submit()
            except Exception as error:
                self.refused = str(error)
                return
            self._over.wait(max(0.0, began + every_seconds - time.monotonic()))

    def _photos(self) -> None:
        first = self.photos
        images = [
            {"id": f"p{number}", "url": f"https://example.com/{number}.jpg"} for number in range(first, first + PHOTOS)
        ]
        options = {"priority": self._chance.choice(["high", "normal", "low"])}
        answer = self._submit("/api/batch/process", {"shootId": f"soak-{first}", "images": images, "options": options})
        self.batches.append(answer["jobId"])
        self.photos += PHOTOS

    def _messages(self) -> None:
        """To numbers that nobody else gets a message at."""
        recipients = [{"phoneNumber": number_of(self.messages + each)} for each in range(MESSAGES)]
        options = {"priority": "high"}
        body = {"name": f"soak-{self.messages}", "text": "Hello", "recipients": recipients, "options": options}
        self.batches.append(self._submit("/api/batch", body)["batchId"])
        self.messages += MESSAGES

    def _submit(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._stack.key}", "Idempotency-Key": uuid.uuid4().hex}
        began = time.monotonic()
        try:
            while True:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    try:
                        return request(self._stack.port, "POST", path, body, headers)
                    except RuntimeError as refusal:
                        if ": 4" in str(refusal):
                            raise  # what is wrong with it stays wrong
                self.repeated += 1
                time.sleep(TRY_AGAIN_SECONDS)
        finally:
            self.slowest_submit = max(self.slowest_submit, time.monotonic() - began)


def number_of(index: int) -> str:
    """A fictional number of its own for each message."""
    return f"+1{AREA_CODES[index // 10_000 % len(AREA_CODES)]}555{index % 10_000:04d}"
