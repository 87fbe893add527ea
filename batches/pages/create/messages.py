"""A text campaign without code: template, recipients, a live preview, and the button that starts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from batches.estimating.estimate import Estimate, estimate
from batches.files import TABLE_TYPES
from batches.models import StoredFile
from batches.operations.messages.sms import LONGEST_TEMPLATE, build_sms_batch
from batches.pages.access import fragment
from batches.pages.create.common_controls import FIELDS, common_body, common_controls, provider_control
from batches.pages.create.controls import Control, Form, text_of
from batches.pages.create.figures import Figures, figures_of
from batches.pages.create.recipients import RecipientTable, beginning_of_table, pasted_table, uploaded_table
from batches.pages.create.refusals import Refusal, Refusals
from batches.pages.create.submitting import new_token, submit_once
from batches.pages.create.uploads import forget_upload, keep_uploads, own_upload
from batches.problems import InvalidInput, Problem
from batches.tables.rows import UnreadableTable
from batches.templating import TemplateError, parse
from providers.sms.segments import segments

SHOWN_MESSAGES = 3
PLACE = "/new/messages"
_FIELDS = {**FIELDS, "text": "text", "recipients": "pasted", "quietHours": "quiet_start", "rateLimit": "rate"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """One of the first messages."""

    to: str
    text: str
    characters: int
    segments: int
    encoding: str


@dataclass(slots=True)
class Campaign:
    """The form as it was sent, and what is known of the campaign that it would be."""

    form: Form
    token: str
    zone: str
    file: StoredFile | None = None
    with_plus: bool = False
    leaves_out: bool = False
    table: RecipientTable | None = None
    found: Estimate | None = None
    rendered: Sequence[Rendered] = ()
    refused: Refusals = field(default_factory=Refusals)
    not_looked_at: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def figures(self) -> Figures | None:
        """What it costs and how long it takes."""
        return figures_of(self.found) if self.found else None

    @property
    def warnings(self) -> list[str]:
        """What is odd but allowed, by rows."""
        said = list(self.found.new.warnings) if self.found else []
        table = self.table
        return [*(table.warnings if table else ()), *(table.in_rows(each) if table else each for each in said)]

    @property
    def sends(self) -> int:
        """How many messages go out."""
        return (self.found.items if self.found else 0) + self.not_looked_at

    @property
    def may_start(self) -> bool:
        """Whether nothing stands against it."""
        return bool(self.found) and not self.form.has_problems and (not self.refused.count or self.leaves_out)


def _controls() -> list[Control]:
    return [
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
        provider_control("sms", settings.DEFAULT_SMS_PROVIDER),
        *common_controls(),
        Control("quiet_start", "Quiet from", "time", hint="By each recipient's own clock nobody is texted then."),
        Control("quiet_end", "Quiet until", "time"),
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_messages(request: HttpRequest) -> HttpResponse:
    """The form; what was sent comes back with what is wrong with it, or becomes a batch."""
    owner_id = int(request.user.pk or 0)
    if request.method != "POST":
        empty = Campaign(Form.of(_controls(), None), new_token(), "UTC")
        return render(request, "pages/create/messages.html", _context(empty))
    campaign = _read(request, live=False)
    if request.POST.get("action") != "start":
        _look(campaign, owner_id, typing=True)
        return render(request, "pages/create/messages.html", _context(campaign))
    started = _start(campaign, owner_id)
    if started is not None:
        return redirect("batch-detail", started)
    messages.error(request, "Nothing was sent yet: see what is marked below.")
    return render(request, "pages/create/messages.html", _context(campaign))


def _start(campaign: Campaign, owner_id: int) -> str | None:
    """The id of the batch that was started; None where something stands against it, which the form then says."""
    whole = not campaign.form.has_problems and not (campaign.table and campaign.table.broken)
    try:
        if whole:
            return _submit(campaign, owner_id, _body(campaign))
    except InvalidInput:
        pass  # it is read once more, for what may be left out
    _look(campaign, owner_id, typing=False)
    if campaign.found and campaign.refused.count and not campaign.leaves_out:
        campaign.form.say("pasted", "Some rows cannot be sent to: mend them, or leave them out.")
    try:
        return _submit(campaign, owner_id, campaign.body) if campaign.may_start else None
    except InvalidInput as refused:
        campaign.form.tell(refused.problems, _FIELDS)
        return None


def _submit(campaign: Campaign, owner_id: int, body: dict[str, Any]) -> str:
    public_id = submit_once(owner_id, place=PLACE, token=campaign.token, body=body, build=build_sms_batch)
    if campaign.file is not None:
        forget_upload(owner_id, campaign.file.public_id)
    return public_id


@require_POST
@fragment
def messages_preview(request: HttpRequest) -> HttpResponse:
    """What it would be, while somebody types."""
    campaign = _read(request, live=True)
    _look(campaign, int(request.user.pk or 0), typing=True)
    return render(request, "pages/create/messages_answer.html", _context(campaign))


def _context(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "form": campaign.form,
        "figures": campaign.figures,
        "place": "new",
        "endings": ",".join([*TABLE_TYPES]),
    }


def _read(request: HttpRequest, *, live: bool) -> Campaign:
    """What was typed, with a file that came along kept at once. ``live``: of many recipients only the first."""
    sent = request.POST
    owner_id = int(request.user.pk or 0)
    campaign = Campaign(
        Form.of(_controls(), sent),
        text_of(sent.get("token", ""))[:64] or new_token(),
        text_of(sent.get("zone", ""))[:64] or "UTC",
        with_plus="with_plus" in sent,
        leaves_out="leaves_out" in sent,
    )
    try:
        kept = keep_uploads(request, "upload")
    except InvalidInput as refused:
        campaign.form.tell(refused.problems, {"upload": "pasted"})
        kept = []
    if kept:
        campaign.file = kept[-1]
    elif "forget_file" not in sent:
        campaign.file = own_upload(owner_id, sent.get("file", ""))
        if campaign.file is None and sent.get("file"):
            campaign.form.say("pasted", "The file is not there any more: choose it again.")
    try:
        if campaign.file is not None:
            read = beginning_of_table if live else uploaded_table
            campaign.table = read(owner_id, campaign.file.public_id)
        elif campaign.form["pasted"].value.strip():
            campaign.table = pasted_table(campaign.form["pasted"].value)
            if live:
                campaign.table.keep_beginning()
    except UnreadableTable as reason:
        campaign.form.say("pasted", str(reason))
    if campaign.table is not None:
        campaign.table.choose(text_of(sent.get("number_column", "")))
    return campaign


def _look(campaign: Campaign, owner_id: int, *, typing: bool) -> None:
    """Read it as the API would; what cannot be sent to is told by row, and left out where that is wanted."""
    form, table = campaign.form, campaign.table
    body = _body(campaign)
    recipients = body["recipients"]
    if table is not None:
        campaign.refused.found += [Refusal(str(row), message, order=row) for row, message in table.broken]
        campaign.refused.count = len(table.broken)
        campaign.not_looked_at = table.not_read
    try:
        found = estimate(owner_id, body, build_sms_batch)
    except InvalidInput as wrong:
        others = campaign.refused.take(wrong.problems, partial(_refusal, table))
        form.tell(others, _FIELDS, typing=typing)
        if not others:
            form.say("pasted", "No row can be sent to.")
        return
    campaign.refused.take(found.refused, partial(_refusal, table))
    campaign.found = found
    campaign.rendered = _rendered(found)
    gone = {int(problem.path.split(".")[1]) for problem in found.refused}
    body["recipients"] = [each for index, each in enumerate(recipients) if index not in gone]
    campaign.body = body


def _body(campaign: Campaign) -> dict[str, Any]:
    """The body of ``POST /api/batch`` that the form stands for."""
    form, table = campaign.form, campaign.table
    text = form["text"].value
    try:
        used = parse(text).names
    except TemplateError:
        used = frozenset()
    body = {**common_body(form, campaign.zone), "text": text}
    body["recipients"] = table.recipients(used, with_plus=campaign.with_plus) if table else []
    start, end = form["quiet_start"].value.strip(), form["quiet_end"].value.strip()
    if start or end:
        body["quietHours"] = {"start": start, "end": end}
    return body


def _refusal(table: RecipientTable | None, problem: Problem) -> Refusal | None:
    """A problem of a row, by the row's number and column."""
    place = table.place(problem.path) if table else None
    return None if place is None else Refusal(str(place[0]), problem.message, place[1], place[0])


def _rendered(found: Estimate) -> list[Rendered]:
    """The first messages as they will read, and how they travel."""
    template = parse(found.new.parameters["text"])
    shown = []
    for item in found.new.items[:SHOWN_MESSAGES]:
        text = template.render(item.input["variables"])
        counted = segments(text)
        shown.append(Rendered(item.input["to"], text, len(text), counted.number, counted.encoding.value))
    return shown
