"""Text message campaigns (document 002): one template, many recipients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.conf import settings

from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_list, read_name, read_options, read_provider
from batches.operations.payload import Fields, Problems
from batches.operations.sms_recipients import Recipients
from batches.options import NewBatch
from batches.outcomes import Fault, Outcome, Rejected, Succeeded
from batches.states import Channel
from batches.templating import Template, TemplateError, parse
from providers.base import ErrorCategory, SmsProvider, TextMessage
from providers.prices import SEGMENTS

NAME = "sms"
LONGEST_TEMPLATE = 10_000

_UNRENDERABLE = Rejected(
    Fault(ErrorCategory.INVALID_REQUEST, "invalid_template", "The template does not fit the item's variables.")
)


def build_sms_batch(owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
    """Read the body of ``POST /api/batch``. Raises :class:`InvalidInput` with every problem in it.

    ``owner_id`` keeps the signature of every builder the same; numbers and texts need no look-up of what is owned.
    """
    problems = Problems()
    fields = Fields(payload, problems)
    text = fields.text("text", maximum=LONGEST_TEMPLATE, required=True)
    recipients = Recipients(_template(text, problems), problems)
    recipients.read(read_list(payload.get("recipients"), "recipients", problems))
    name, description, options = read_name(fields), read_description(fields), read_options(fields)
    provider = read_provider(fields, "provider", kind="sms", default=settings.DEFAULT_SMS_PROVIDER)
    fields.knows("recipients")
    fields.refuse_unknown()
    problems.raise_if_any()
    return NewBatch(
        operation=NAME,
        provider=provider,
        items=recipients.items,
        parameters={"text": text},
        options=options,
        name=name or f"Text message to {_people(len(recipients.items))}",
        description=description,
        warnings=[*recipients.warnings(), *fields.warnings],
    )


def _people(number: int) -> str:
    return "1 recipient" if number == 1 else f"{number:,} recipients"


def _template(text: str, problems: Problems) -> Template | None:
    try:
        return parse(text) if text else None
    except TemplateError as error:
        problems.add("text", str(error), "invalid_template")
        return None


class Sms(Operation):
    """One recipient, one message."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.SMS
    summary: ClassVar[str] = "Sends a text message to each recipient, with variables filled in."
    accepts: ClassVar[Mapping[str, str]] = {
        "text": "The message; {{name}} stands for a recipient's variable.",
        "recipients": "Who gets it: phoneNumber in international format, variables.",
        "provider": "Alias of the provider.",
    }

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """The body of document 002."""
        return build_sms_batch(owner_id, payload)

    def run(self, attempt: Attempt) -> Outcome:
        """Render and send."""
        try:
            body = parse(attempt.parameters["text"]).render(attempt.input.get("variables", {}))
        except (TemplateError, KeyError):
            return _UNRENDERABLE
        message = TextMessage(
            to=attempt.input["to"],
            body=body,
            reference=attempt.reference,
            timeout_seconds=attempt.timeout_seconds,
        )
        sent = cast(SmsProvider, attempt.provider).send(message)
        attempt.used[SEGMENTS] += sent.segments
        return Succeeded({"status": sent.status, "segments": sent.segments}, provider_reference=sent.provider_reference)
