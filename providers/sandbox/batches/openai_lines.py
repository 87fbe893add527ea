"""How OpenAI writes the lines of a batch."""

from __future__ import annotations

import json
from typing import Any

from providers.sandbox.batches.spelling import Phase, Problem
from providers.sandbox.batches.surface import new_id
from providers.sandbox.wire import Answer

ENDPOINT = "/v1/chat/completions"


class FileLines:
    """How OpenAI writes a line and its result."""

    refuses_wrong_lines = True

    def read_line(self, content: Any) -> tuple[str, str, Any]:
        if content["method"] != "POST" or content["url"] != ENDPOINT or not isinstance(content["custom_id"], str):
            raise ValueError("not a question")
        return content["custom_id"], content["url"], content["body"]

    def result(self, custom_id: str, answer: Answer) -> bytes:
        request_id = dict(answer.headers).get(b"x-request-id", b"").decode()
        head = {"id": new_id("batch_req_"), "custom_id": custom_id}
        opening = json.dumps(head)[:-1]
        response = f'{{"status_code": {answer.status}, "request_id": "{request_id}", "body": '
        return f'{opening}, "response": {response}'.encode() + answer.body + b'}, "error": null}'

    def ended(self, custom_id: str, phase: Phase) -> bytes:
        return self.wrong(custom_id, Problem(f"batch_{phase.value}", "This request was not executed."))

    def broken(self, custom_id: str, result: bytes) -> bytes:
        return result[: len(result) // 2]

    def wrong(self, custom_id: str, problem: Problem) -> bytes:
        error = {"code": problem.code, "message": problem.message}
        line = {"id": new_id("batch_req_"), "custom_id": custom_id, "response": None, "error": error}
        return json.dumps(line).encode()
