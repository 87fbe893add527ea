"""Answers that were paid for and are needed again: of an item that has further questions, or that was put off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from batches.files import FileMissing
from batches.models import StoredFile
from batches.operations.checkpoints import PREFIX, Checkpoints, give_back_connection
from batches.running.changes import MOST_USED, clean
from providers.base import ChatAnswer

NAME = "economy"


def keep_answers(item_id: int, answers: Mapping[str, ChatAnswer]) -> None:
    """Keep these, by the digests of their questions, in place of what was kept of the item. May raise what the
    database and the storage raise; then the answer is still at its provider."""
    Checkpoints(item_id).write(NAME, {digest: _storable(answer) for digest, answer in answers.items()})


def _storable(answer: ChatAnswer) -> dict[str, Any]:
    """Whatever a provider wrote: text that is none, numbers beyond all measure."""
    return {
        name: clean(value) if isinstance(value, str) else min(value, MOST_USED) if isinstance(value, int) else None
        for name, value in asdict(answer).items()
    }


class KeptAnswers:
    """Those of one batch's items; which items have some is read once."""

    def __init__(self, batch_id: int) -> None:
        rows = StoredFile.objects.filter(batch_id=batch_id, is_result=False, name__startswith=PREFIX)
        named = rows.filter(name__endswith=f"-{NAME}").values_list("name", flat=True)
        self._items = {int(name.removeprefix(PREFIX).removesuffix(f"-{NAME}")) for name in named}
        give_back_connection()

    def of(self, item_id: int) -> dict[str, ChatAnswer]:
        """By the digests of their questions."""
        if item_id not in self._items:
            return {}
        try:
            kept: dict[str, dict[str, Any]] = Checkpoints(item_id).read(NAME) or {}
        except FileMissing:
            return {}
        return {digest: ChatAnswer(**answer) for digest, answer in kept.items()}

    def forget(self, item_id: int) -> None:
        """They were of no use: the questions are asked again."""
        if item_id in self._items:
            Checkpoints(item_id).write(NAME, {})
