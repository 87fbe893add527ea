"""Text message campaigns (document 002): one template, many recipients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from batches.money.estimating.workload import Workload, of_message
from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_list, read_name, read_options, read_provider
from batches.operations.messages.quiet_hours import QuietHours, put_back, read_quiet_hours
from batches.operations.messages.sms_recipients import Recipients
from batches.operations.payload import Fields, Problems
from batches.options import NewBatch
from batches.outcomes import Fault, Outcome, Rejected, Snooze, Succeeded
from batches.states import Channel
from batches.templating import Template, TemplateError, parse
from batches.text_messages import opt_outs
from providers.base import ErrorCategory, SmsProvider, TextMessage
from providers.prices import SEGMENTS
from providers.registry import get_provider
from providers.sms.adapter import SmsAdapter

NAME = "sms"
LONGEST_TEMPLATE = 10_000
LONGEST_VALIDITY_SECONDS = 604_800
NO_DATABASE_SECONDS = 1.0

_UNRENDERABLE = Rejected(
    Fault(ErrorCategory.INVALID_REQUEST, "invalid_template", "The template does not fit the item's variables."),
    attempted=False,
)
_OPTED_OUT = Rejected(Fault(ErrorCategory.CONTENT, "opted_out", "The recipient has opted out."), attempted=False)


def build_sms_batch(owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
    """Read the body of ``POST /api/batch``. Raises :class:`InvalidInput` with every problem in it.

    Recipients on the owner's opt-out list stay in it, warned about: their items end as rejected, unless they are taken
    off the list before their turn comes.
    """
    problems = Problems()
    fields = Fields(payload, problems)
    text = fields.text("text", maximum=LONGEST_TEMPLATE, required=True)
    quiet = read_quiet_hours(fields)
    recipients = Recipients(_template(text, problems), problems, quiet)
    recipients.read(read_list(payload.get("recipients"), "recipients", problems))
    name, description, options = read_name(fields), read_description(fields), read_options(fields)
    provider = read_provider(fields, "provider", kind="sms", default=settings.DEFAULT_SMS_PROVIDER)
    validity = _read_validity(fields, provider)
    fields.knows("recipients")
    fields.refuse_unknown()
    problems.raise_if_any()
    recipients.note_opted_out(opt_outs.opted_out_among(owner_id, recipients.numbers))
    parameters: dict[str, Any] = {"text": text}
    if quiet is not None:
        parameters["quietHours"] = quiet.as_dict()
    if validity is not None:
        parameters["validityPeriod"] = validity
    return NewBatch(
        operation=NAME,
        provider=provider,
        items=recipients.items,
        parameters=parameters,
        options=options,
        name=name or f"Text message to {_people(len(recipients.items))}",
        description=description,
        warnings=[*recipients.warnings(), *fields.warnings],
    )


def _read_validity(fields: Fields, alias: str) -> int | None:
    """The option ``validityPeriod``: seconds after which the provider gives a message up; within its own bounds."""
    path, _ = fields.find("validityPeriod")
    seconds = fields.integer("validityPeriod", minimum=1, maximum=LONGEST_VALIDITY_SECONDS)
    provider = get_provider(alias) if seconds is not None else None
    if seconds is not None and isinstance(provider, SmsAdapter) and seconds not in provider.validity_seconds:
        bounds = provider.validity_seconds
        message = f"{alias} takes {bounds.start} to {bounds.stop - 1} seconds."
        fields.problems.add(path, message, "out_of_range")
    return seconds


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
        "quietHours": 'When nobody is texted, by the recipient\'s own clock: {"start": "21:00", "end": "08:00"}.',
        "validityPeriod": "Seconds after which the provider gives a message up that it could not deliver.",
    }

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """The body of document 002."""
        return build_sms_batch(owner_id, payload)

    def workload(self, attempt: Attempt) -> Workload | None:
        """The segments of the very message; exact."""
        try:
            body = parse(attempt.parameters["text"]).render(attempt.input.get("variables", {}))
        except (TemplateError, KeyError):
            return Workload()
        return of_message(body)

    def run(self, attempt: Attempt) -> Outcome:
        """Render and send, unless it is night where the recipient is, or the recipient wants no more messages."""
        try:
            body = parse(attempt.parameters["text"]).render(attempt.input.get("variables", {}))
        except (TemplateError, KeyError):
            return _UNRENDERABLE
        try:
            if night := _night(attempt):
                return night
            if not opt_outs.may_text(attempt.owner_id, attempt.input["to"], attempt.provider.alias):
                return _OPTED_OUT
        except (OperationalError, InterfaceError):
            return Snooze(NO_DATABASE_SECONDS)  # who may not be texted cannot be told: nobody is
        message = TextMessage(
            to=attempt.input["to"],
            body=body,
            reference=attempt.reference,
            timeout_seconds=attempt.timeout_seconds,
            validity_seconds=attempt.parameters.get("validityPeriod"),
        )
        sent = cast(SmsProvider, attempt.provider).send(message)
        attempt.used[SEGMENTS] += sent.segments
        return Succeeded({"status": sent.status, "segments": sent.segments}, provider_reference=sent.provider_reference)


def _night(attempt: Attempt) -> Snooze | None:
    """Until the quiet hours are over; nothing is spent by waiting for it."""
    stored, zones = attempt.parameters.get("quietHours"), attempt.input.get("zones")
    if not stored or not zones:
        return None
    now = timezone.now()
    over = QuietHours.of(stored).over_at(zones, now)
    if over == now:
        return None
    until = over or now + timedelta(days=1)
    put_back(attempt.item_id, zones, until)
    return Snooze((until - now).total_seconds())
