"""An operation whose items come in pages and which makes a file of them all; what it does is set by its parameters."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.core.files.base import File

from batches.models import Batch
from batches.operations import Attempt, CannotFinish, Operation
from batches.operations.batch_options import read_description, read_name, read_options
from batches.operations.payload import Fields, Problems
from batches.options import ItemPage, NewBatch, NewItem, Paged
from batches.outcomes import Fault, Outcome, Rejected, Succeeded
from batches.result_files import store_result
from batches.states import Channel
from providers.base import ErrorCategory

OPERATIONS = {"count": "tests.scripted_operations.Count"}


class Count(Operation):
    """Counts to ``number``; the file lists what was counted."""

    name: ClassVar[str] = "count"
    channel: ClassVar[Channel] = Channel.DATA
    summary: ClassVar[str] = "Counts."
    accepts: ClassVar[Mapping[str, str]] = {"number": "How far.", "finish": "What finishing does."}
    uses_database: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        problems = Problems()
        fields = Fields(payload, problems)
        number = fields.integer("number", minimum=0, maximum=10**9)
        if number is None:
            problems.add("number", "Is required.", "required")
        finish = fields.text("finish", maximum=255, default="write")
        name, description, options = read_name(fields), read_description(fields), read_options(fields)
        fields.refuse_unknown()
        problems.raise_if_any()
        return NewBatch(
            operation=self.name,
            provider="",
            items=(),
            parameters={"number": number, "finish": finish},
            options=options,
            name=name,
            description=description,
            source=Paged({"next": 0}, number or 0),
        )

    def next_items(
        self, owner_id: int, parameters: Mapping[str, Any], cursor: Mapping[str, Any], most: int
    ) -> ItemPage:
        first, end = int(cursor["next"]), int(parameters["number"])
        last = min(end, first + most)
        if parameters["finish"] == "break the source" and first:
            raise KeyError("gone")
        items = [NewItem(f"number-{number}", {"number": number}) for number in range(first, last)]
        return ItemPage(items, {"next": last} if last < end else None)

    def run(self, attempt: Attempt) -> Outcome:
        Batch.objects.filter(owner_id=attempt.owner_id).exists()  # as an operation over records would
        if attempt.input["number"] == 13:
            return Rejected(Fault(ErrorCategory.CONTENT, "unlucky", "That number is unlucky."))
        return Succeeded({"squared": attempt.input["number"] ** 2})

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        match batch.parameters["finish"].partition(":")[::2]:
            case "refuse", _:
                raise CannotFinish("There is nothing to write.")
            case "break", _:
                raise ValueError("a bug")
            case "die once", marker if not Path(marker).exists():
                Path(marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        with tempfile.TemporaryFile() as file:
            for result in batch.items.order_by("position").values_list("result", flat=True).iterator():
                file.write(json.dumps(result).encode() + b"\n")
            stored = store_result(batch, "squares.jsonl", "application/jsonl", File(file))
        return {"file": stored.public_id, "lines": batch.total}
