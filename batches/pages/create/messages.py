"""A text campaign without code: template, recipients, a live preview, and the button that starts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from batches.operations.messages.sms import LONGEST_TEMPLATE, build_sms_batch
from batches.pages.access import fragment
from batches.pages.create.common_controls import FIELDS, common_body, common_controls, provider_controls
from batches.pages.create.controls import HOW, Choice, Condition, Control, text_of
from batches.pages.create.list_drafts import ListDraft, file_control, form_answer, form_page
from batches.pages.create.recipients import RecipientTable, beginning_of_table, pasted_table, uploaded_table
from batches.pages.create.refusals import Refusal
from batches.pages.create.submitting import Build
from batches.pages.create.uploads import forget_upload
from batches.problems import Problem
from batches.provider_accounts.accounts import known_provider
from batches.tables.rows import UnreadableTable
from batches.templating import TemplateError, parse
from providers.registry import provider_aliases
from providers.sms.adapter import SmsAdapter
from providers.sms.segments import segments

SHOWN_MESSAGES = 3
MOST_NAMED = 20
VALIDITY = {
    "900": "15 minutes",
    "3600": "An hour",
    "10800": "3 hours",
    "36000": "10 hours",
    "86400": "A day",
    "259200": "3 days",
}
"""Seconds after which a message that could not be delivered is given up."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One of the first messages."""

    to: str
    text: str
    characters: int
    segments: int
    encoding: str


@dataclass(slots=True)
class Campaign(ListDraft):
    """A text message to many."""

    with_plus: bool = False
    table: RecipientTable | None = None

    name: ClassVar[str] = "new-messages"
    title: ClassVar[str] = "New text messages"
    list_name: ClassVar[str] = "recipients"
    list_control: ClassVar[str] = "pasted"
    fields: ClassVar[Mapping[str, str]] = {
        **FIELDS,
        "text": "text",
        "quietHours": "quiet_start",
        "quietHours.start": "quiet_start",
        "quietHours.end": "quiet_end",
        "validityPeriod": "validity",
    }
    pieces: ClassVar[Sequence[str]] = (
        "pages/create/columns.html",
        "pages/create/chips.html",
        "pages/create/chosen_file.html",
    )
    build: ClassVar[Build] = staticmethod(build_sms_batch)
    nothing_started: ClassVar[str] = "Nothing was sent yet: see what is marked below."
    some_refused: ClassVar[str] = "Some rows cannot be sent to: mend them, or leave them out."

    @classmethod
    def controls(cls) -> list[Control]:
        """Recipients, message, and how it is sent."""
        return [
            file_control(),
            Control(
                "text",
                "Message",
                "area",
                longest=LONGEST_TEMPLATE,
                lines=5,
                is_wide=True,
                placeholder="Hi {{name}}, your photos are ready.",
                hint="Two braces hold what differs: {{name}} becomes what the column “name” says.",
            ),
            Control(
                "pasted",
                "Recipients",
                "area",
                lines=7,
                is_wide=True,
                is_code=True,
                placeholder="phone,name\n+15005550010,Ada\n+15005550012,Grace",
                hint="Numbers, one a line, or a table whose first line names the columns. Numbers begin with + and the"
                " country code.",
            ),
            *provider_controls("sms", settings.DEFAULT_SMS_PROVIDER),
            *common_controls(
                Control(
                    "quiet_start",
                    "Quiet from",
                    "time",
                    hint="Nobody is texted in these hours, by the clock where the recipient is.",
                    part=HOW,
                ),
                Control("quiet_end", "Quiet until", "time", part=HOW),
            ),
            _validity_control(),
        ]

    def read_list(self, request: HttpRequest, owner_id: int) -> None:
        """The table that was pasted or uploaded, and which of its columns holds the numbers."""
        self.with_plus = "with_plus" in request.POST
        self.take_file(request, owner_id, "upload")
        try:
            self.table = self._table(owner_id)
        except UnreadableTable as reason:
            self.form.say(self.list_place, str(reason))
        if self.table is not None:
            self.table.choose(text_of(request.POST.get("number_column", "")))
            self.refused.found = [Refusal(str(row), message, order=row) for row, message in self.table.broken]
            self.refused.count = len(self.table.broken)
            self._check(self.table)

    def _check(self, table: RecipientTable) -> None:
        """What is wrong with all of it is one mistake, not one in every row."""
        if not table.rows and not table.broken:
            self.form.say(self.list_place, "It has no rows under the first one, which names the columns.")
            return
        if not table.number_column:
            self.form.say(self.list_place, "No column looks like phone numbers: choose it below.")
        known = [column.variable for column in table.variables]
        for name in sorted(_names_in(self.form["text"].value).difference(known)):
            there = f" There are {', '.join(known[:MOST_NAMED])}." if known else " The list has only numbers."
            self.form.say("text", f"No column is called {name}.{there}")

    def look(self, owner_id: int, *, typing: bool) -> None:
        """A list that cannot be read, or that cannot fill the message, is mended first."""
        if not self.form["text"].problem and not self.form[self.list_place].problem:
            ListDraft.look(self, owner_id, typing=typing)

    def _table(self, owner_id: int) -> RecipientTable | None:
        if self.file is not None:
            read = beginning_of_table if self.is_live else uploaded_table
            return read(owner_id, self.file.public_id)
        if not self.form["pasted"].value.strip():
            return None
        table = pasted_table(self.form["pasted"].value)
        if self.is_live:
            table.keep_beginning()
        return table

    def as_body(self) -> dict[str, Any]:
        """The body of ``POST /api/batch``."""
        text = self.form["text"].value
        body = {**common_body(self.form, self.zone), "text": text}
        body["recipients"] = self.table.recipients(_names_in(text), with_plus=self.with_plus) if self.table else []
        start, end = self.form.answer("quiet_start"), self.form.answer("quiet_end")
        if start or end:
            body["quietHours"] = {"start": start, "end": end}
        if seconds := self.form.answer("validity"):
            body["validityPeriod"] = int(seconds) if seconds in VALIDITY else seconds
        return body

    def refusal(self, problem: Problem) -> Refusal | None:
        """By the row's number and column."""
        place = self.table.place(problem.path) if self.table else None
        return None if place is None else Refusal(str(place[0]), problem.message, place[1], place[0])

    def was_started(self, owner_id: int) -> None:
        """The list has done its service."""
        if self.file is not None:
            forget_upload(owner_id, self.file.public_id)

    @property
    def all_refused(self) -> str:
        """Each row is told beside the start button."""
        return "No row can be sent to."

    @property
    def is_whole(self) -> bool:
        """Rows that cannot be read stand against all of it."""
        return not self.form.has_problems and not (self.table and self.table.broken)

    @property
    def not_looked_at(self) -> int:
        """How many rows come after those that were looked at."""
        return self.table.not_read if self.table else 0

    @property
    def sends(self) -> int:
        """How many messages go out."""
        return (self.found.items if self.found else 0) + self.not_looked_at

    @property
    def warnings(self) -> list[str]:
        """What is odd but allowed, by rows."""
        said = self.in_labels(self.found.new.warnings) if self.found else []
        table = self.table
        return [*(table.warnings if table else ()), *(table.in_rows(each) if table else each for each in said)]

    @property
    def rendered(self) -> list[Rendered]:
        """The first messages as they will read, and how they travel."""
        if self.found is None:
            return []
        template = parse(self.found.new.parameters["text"])
        shown = []
        for item in self.found.new.items[:SHOWN_MESSAGES]:
            text = template.render(item.input["variables"])
            counted = segments(text)
            shown.append(Rendered(item.input["to"], text, len(text), counted.number, counted.encoding.value))
        return shown


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_messages(request: HttpRequest) -> HttpResponse:
    """The form, and what becomes of it."""
    return form_page(request, Campaign)


@require_POST
@fragment
def messages_preview(request: HttpRequest) -> HttpResponse:
    """What it would be, while somebody types."""
    return form_answer(request, Campaign)


def _names_in(text: str) -> frozenset[str]:
    try:
        return parse(text).names
    except TemplateError:
        return frozenset()


def _validity_control() -> Control:
    """Only with providers that give messages up when they are told to."""
    aliases = provider_aliases("sms")
    providers = [each for alias in aliases if isinstance(each := known_provider(alias), SmsAdapter)]
    able = {each.alias for each in providers if each.validity_seconds}
    return Control(
        "validity",
        "Give a message up after",
        "choice",
        hint="While a phone is switched off the provider tries again.",
        choices=[Choice("", "The provider's own time"), *(Choice(*each) for each in VALIDITY.items())],
        part=HOW,
        is_rare=True,
        when=Condition("provider", frozenset(able)) if able < {*aliases} else None,
    )
