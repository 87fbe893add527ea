"""Fast or economy: read for every operation that asks models."""

from __future__ import annotations

from collections.abc import Mapping

from batches.operations.base import Operation
from batches.operations.payload import Fields
from batches.options import Mode
from batches.provider_accounts.accounts import known_provider
from batches.states import ECONOMY, FAST, MODES
from providers.base import answers_batches

RETRIES, DEADLINE = "economyRetries", "deadline"
ACCEPTS: Mapping[str, str] = {
    "mode": "fast, or economy: by the provider's own batch API, at its discount, within a day.",
    RETRIES: "Of economy mode: how what failed is asked again, economy or fast.",
    DEADLINE: "Of economy mode: what is not answered when this instant nears is asked fast.",
}


def read_mode(fields: Fields, operation: type[Operation], alias: str) -> Mode:
    """``mode``, ``economyRetries`` and ``deadline``; the latter two only mean something in economy mode.

    ``alias``: of the provider that is asked; empty where nobody is.
    """
    path, _ = fields.find("mode")
    name = fields.choice("mode", choices=MODES, default=FAST)
    retries = fields.choice(RETRIES, choices=MODES, default=ECONOMY)
    deadline = fields.future(DEADLINE)
    if name == ECONOMY:
        if reason := _why_not(operation, alias):
            fields.problems.add(path, reason, "not_available")
        return Mode(name=name, retries=retries, deadline=deadline)
    for option in (RETRIES, DEADLINE):
        given, value = fields.find(option)
        if value is not None:
            fields.problems.add(given, "Is an option of economy mode.", "contradiction")
    return Mode()


def _why_not(operation: type[Operation], alias: str) -> str:
    """Why there is no economy mode for it; empty where there is."""
    if not operation.asks_models or not alias:
        return "There is no economy mode for this: no model is asked."
    provider = known_provider(alias)
    if provider is None or not answers_batches(provider):
        return f"There is no economy mode for {alias}: it has no batch API that is known here."
    return ""
