"""Any operation by a form: what it accepts, a dry run while somebody types, and the button that starts it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from batches.files import TABLE_TYPES, discard_files, files_of
from batches.models import StoredFile
from batches.money.estimating.estimate import estimate
from batches.operations import Operation, get_operation, operation_names
from batches.operations.records.record_columns import TARGETS
from batches.pages.access import fragment
from batches.pages.create.body_fields import NotThat, entries_of
from batches.pages.create.common_controls import FIELDS, common_body, common_controls, instant_of, provider_controls
from batches.pages.create.controls import Choice, Control, Form, text_of
from batches.pages.create.drafts import Draft
from batches.pages.create.previews import Preview, preview_of
from batches.pages.create.record_choice import change_controls, changes_of, filter_controls, filters_of
from batches.pages.create.uploads import keep_uploads
from batches.problems import InvalidInput, Problem
from batches.states import Channel
from providers.registry import Kind

HAVE_FORMS = {"sms": "new-messages", "rate_photos": "new-photos"}
"""Operations that have a page of their own."""
TITLES = {
    "annotate": "Annotate records",
    "export": "Export records",
    "import": "Import records",
    "cleanup": "Clean up records",
    "transform": "Change records",
    "validate": "Validate records",
    "report": "Report",
    "process_files": "Process files",
    "analyze_conversations": "Analyze conversations",
    "generate_images": "Generate images",
}
SENTENCES = {"cleanup": "Deletes the records that match and are old enough. Nothing brings them back."}
"""In the place of summaries that are for who writes JSON."""
ORDER = ("import", "annotate", "export", "transform", "validate", "report", "cleanup")
LOOKED_AT_FIRST = frozenset({"cleanup"})
"""Nothing brings back what these do: they start only after their dry run was seen."""
FILE_PIECES, MAPPING_PIECE = ("pages/create/chosen_files.html",), "pages/create/mapping.html"
"""Templates of what changes inside the form while somebody types."""
SPELLED = {
    ("cleanup", "filters"): Problem(
        "filter_kind", "Say which records, by what they are or by their age; or tick “Delete all my records”.", "empty"
    )
}
"""In the place of problems that are for who writes JSON, beside what people are asked instead."""
COLUMN = "column:"
LEFT_OUT = "-"
_MOST_FILES = 1_000


@dataclass(slots=True, kw_only=True)
class OperationDraft(Draft):
    """An operation's form. ``seen``: the digest of the body whose dry run was on the page that was sent."""

    operation: Operation
    seen: str = ""
    files: list[StoredFile] = field(default_factory=list)
    columns: dict[str, str | None] = field(default_factory=dict)
    preview: Preview | None = None

    @property
    def title(self) -> str:
        """What it does, as a heading."""
        return title_of(self.operation.name)

    @property
    def sentence(self) -> str:
        """What it does, in one sentence."""
        return sentence_of(self.operation)

    @property
    def is_final(self) -> bool:
        """Whether nothing brings back what it does."""
        return self.operation.name in LOOKED_AT_FIRST

    @property
    def digest(self) -> str:
        """Of the body: tells whether what is started is what was seen."""
        content = json.dumps(self.body, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).hexdigest()

    @property
    def mapping(self) -> list[tuple[str, str, list[Choice]]]:
        """Of an import: each column of the file, what it fills, and what it could."""
        if self.preview is None:
            return []
        targets = [Choice(LEFT_OUT, "leave it out"), *(Choice(each, each) for each in TARGETS)]
        rows = []
        for column, target in self.preview.columns.items():
            chosen = LEFT_OUT if target is None else target
            known = {choice.value for choice in targets}
            rows.append((column, chosen, targets if chosen in known else [*targets, Choice(chosen, chosen)]))
        return rows


def title_of(name: str) -> str:
    """What an operation is called above its form."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def sentence_of(operation: Operation) -> str:
    """What it does, in one sentence for people."""
    return SENTENCES.get(operation.name, operation.summary)


@require_safe
@login_required
def choose_operation(request: HttpRequest) -> HttpResponse:
    """All operations that have no page of their own."""
    names = [*ORDER, *(name for name in operation_names() if name not in ORDER)]
    known = set(operation_names()) - HAVE_FORMS.keys()
    doors = [(name, title_of(name), sentence_of(get_operation(name))) for name in names if name in known]
    return render(request, "pages/create/operations.html", {"doors": doors, "place": "new"})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_operation(request: HttpRequest, name: str) -> HttpResponse:
    """The form; what was sent comes back with what is wrong with it, or becomes a batch."""
    operation = _operation(name)
    if name in HAVE_FORMS:
        return redirect(HAVE_FORMS[name])
    owner_id = int(request.user.pk or 0)
    if request.method != "POST":
        draft = OperationDraft(_form(operation, None), operation=operation)
        _from_address(draft, request.GET)
        _look(draft, owner_id, typing=True)
        return render(request, "pages/create/operation.html", _context(draft))
    draft = _read(request, operation)
    starts = request.POST.get("action") == "start"
    _look(draft, owner_id, typing=not starts)
    if starts and draft.is_final and draft.preview is not None and draft.seen != draft.digest:
        messages.warning(request, "Nothing was started yet: look at what would go, then press the button again.")
    elif starts and (started := _start(draft, owner_id)):
        return redirect("batch-detail", started)
    elif starts:
        messages.error(request, "Nothing was started yet: see what is marked below.")
    return render(request, "pages/create/operation.html", _context(draft))


def _start(draft: OperationDraft, owner_id: int) -> str | None:
    """The id of the batch that it became; None where something stands against it, which the form then says."""
    if draft.form.has_problems or draft.preview is None:
        return None
    place = reverse("new-operation", args=[draft.operation.name])
    try:
        return draft.submit(owner_id, place=place, body=draft.body, build=draft.operation.build)
    except InvalidInput as refused:
        _tell(draft, refused, typing=False)
        return None


@require_POST
@fragment
def operation_preview(request: HttpRequest, name: str) -> HttpResponse:
    """What it would do, while somebody types."""
    draft = _read(request, _operation(name))
    _look(draft, int(request.user.pk or 0), typing=True)
    return render(request, "pages/create/answer.html", _context(draft))


def _operation(name: str) -> Operation:
    if name not in operation_names():
        raise Http404
    return get_operation(name)


def _context(draft: OperationDraft) -> dict[str, Any]:
    name = draft.operation.name
    pieces = [*FILE_PIECES] if _file_control(draft) is not None else []
    own_piece = MAPPING_PIECE if name == "import" else ""
    return {
        "draft": draft,
        "form": draft.form,
        "figures": draft.figures,
        "pieces": [*pieces, own_piece] if own_piece else pieces,
        "own_piece": own_piece,
        "outlook": "pages/create/operation_preview.html",
        "address": reverse("new-operation", args=[name]),
        "preview_address": reverse("new-operation-preview", args=[name]),
        "endings": ",".join([*TABLE_TYPES]),
        "place": "new",
    }


def _form(operation: Operation, typed: Mapping[str, str] | None) -> Form:
    controls: list[Control] = []
    if operation.name == "transform":
        controls += change_controls()
    controls += [entry.control(name, hint) for name, entry, hint in entries_of(operation)]
    if "filters" in operation.accepts:
        controls += filter_controls()
    if operation.accepts.keys() & {"provider", "model", "providerId"}:
        kind: Kind = "images" if operation.name == "generate_images" else "chat"
        usual = settings.DEFAULT_IMAGE_PROVIDER if kind == "images" else settings.DEFAULT_CHAT_PROVIDER
        controls += provider_controls(kind, usual, has_modes=operation.asks_models)
    controls += common_controls(paid=operation.channel != Channel.DATA)
    return Form.of(controls, typed)


def _from_address(draft: OperationDraft, query: Mapping[str, str]) -> None:
    """A page of records hands over its filter by the address."""
    for control in draft.form:
        if control.name in query:
            control.value = text_of(query[control.name])


def _read(request: HttpRequest, operation: Operation) -> OperationDraft:
    """What was typed, with files that came along kept at once."""
    sent = request.POST
    owner_id = int(request.user.pk or 0)
    draft = OperationDraft(_form(operation, sent), operation=operation, seen=sent.get("seen", ""))
    draft.take_over(sent)
    ids: list[str] = [] if "forget_file" in sent else [each for each in sent.getlist("file") if "\0" not in each]
    control = _file_control(draft)
    try:
        kept = [one.public_id for one in keep_uploads(request, "upload")]
    except InvalidInput as refused:
        kept = []
        if control is not None:
            draft.form.tell(refused.problems, {"upload": control.name})
    if kept:
        ids = [*ids, *kept] if control is not None and control.name == "fileIds" else kept[-1:]
    found = {one.public_id: one for one in files_of(owner_id).filter(public_id__in=ids[:_MOST_FILES])}
    draft.files = [found[each] for each in ids if each in found]
    if control is not None:
        control.value = "\n".join(one.public_id for one in draft.files)
        if len(draft.files) < len(ids):
            control.problem = "The file is not there any more: choose it again."
    for name in sent:
        if name.startswith(COLUMN):
            target = sent[name]
            draft.columns[text_of(name.removeprefix(COLUMN))] = None if target == LEFT_OUT else target
    return draft


def _file_control(draft: OperationDraft) -> Control | None:
    return next((control for control in draft.form if control.kind == "files"), None)


def _look(draft: OperationDraft, owner_id: int, *, typing: bool) -> None:
    """Read it as the API would, and ask the operation what it would do; nothing of it is stored."""
    draft.body = _body(draft)
    if draft.form.has_problems:
        return
    operation = draft.operation
    new = None
    try:
        new = operation.build(owner_id, draft.body)
        draft.preview = preview_of(operation.name, operation.preview(owner_id, new))
        if new.provider:
            draft.found = estimate(owner_id, draft.body, operation.build)
        warnings = [*draft.preview.warnings, *new.warnings, *_without_words(draft)]
        draft.preview.warnings = draft.in_labels([*dict.fromkeys(warnings)])
    except InvalidInput as wrong:
        _tell(draft, wrong, typing=typing)
    finally:
        if new is not None:
            discard_files(owner_id, new.stored_files)


def _without_words(draft: OperationDraft) -> list[str]:
    """Of an import whose rows would say nothing: what they lack is found only when they are written."""
    columns = draft.preview.columns if draft.preview else {}
    given = {*columns.values(), *draft.body.get("defaults", {})}
    if not columns or given & {"title", "content"}:
        return []
    return ["No column fills “title” or “content”, and a new record needs one of them: choose which column does."]


def _tell(draft: OperationDraft, wrong: InvalidInput, *, typing: bool) -> None:
    controls = draft.form.controls
    fields = {name: name for name in controls} | FIELDS
    if "filter_more" in controls:
        fields |= {"filters": "filter_more"} | {f"filters.{name}": f"filter_{name}" for name in ("kind", "status")}
    if "change_field" in controls:
        fields |= {"changes": "change_field" if not controls["changes"].value else "changes"}
    if draft.operation.name == "import":
        fields |= {"columns": "fileId"}
    problems = [SPELLED.get((draft.operation.name, each.path), each) for each in wrong.problems]
    draft.form.tell(problems, fields, typing=typing)


def _body(draft: OperationDraft) -> dict[str, Any]:
    """The body of ``POST /api/batch/create`` that the form stands for; what was left empty is not said."""
    form = draft.form
    body = common_body(form, draft.zone)
    for name, entry, _ in entries_of(draft.operation):
        text = form[name].value
        if not text.strip() or (entry.kind == "choice" and text == entry.default):
            continue
        try:
            body[name] = instant_of(text, draft.zone) if entry.kind == "moment" else entry.read(text.strip())
        except NotThat as reason:
            form.say(name, str(reason))
    if "filters" in draft.operation.accepts:
        filters = filters_of(form)
        if filters or "conversations" not in draft.operation.accepts or not draft.files:
            body["filters"] = filters
    if draft.operation.name == "transform" and (changes := changes_of(form, body.pop("changes", None))) is not None:
        body["changes"] = changes
    if draft.columns:
        body["columns"] = draft.columns
    return body
