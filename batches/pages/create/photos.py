"""A batch of photos without code: drag them in, paste addresses, or give a file that lists them."""

from __future__ import annotations

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
from batches.models import StoredFile
from batches.operations.photos.rate_photos import DEFAULT_PROMPT, LONGEST_PROMPT, build_photo_batch
from batches.pages.access import fragment
from batches.pages.create.common_controls import FIELDS, common_body, common_controls, mode_control, provider_control
from batches.pages.create.controls import Control, Form, text_of
from batches.pages.create.figures import Figures, figures_of
from batches.pages.create.photo_list import PhotoList
from batches.pages.create.refusals import Refusal, Refusals
from batches.pages.create.submitting import new_token, submit_once
from batches.pages.create.uploads import keep_uploads, own_upload
from batches.problems import InvalidInput, Problem

PLACE = "/new/photos"
LARGEST_LIVE_FILE = 4 * 1024 * 1024
"""Bytes of a list that is read again and again while somebody types."""
_FIELDS = {
    **FIELDS,
    "shootId": "shoot",
    "prompt": "prompt",
    "images": "urls",
    "imagesFile": "list",
    "line": "list",
    "deadline": "deadline",
}


@dataclass(slots=True)
class Shoot:
    """The form as it was sent, and what is known of the batch that it would be."""

    form: Form
    token: str
    zone: str
    uploaded: str = ""
    file: StoredFile | None = None
    leaves_out: bool = False
    photos: PhotoList = field(default_factory=PhotoList)
    found: Estimate | None = None
    refused: Refusals = field(default_factory=Refusals)
    is_too_large_to_look: bool = False
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def figures(self) -> Figures | None:
        """What it costs and how long it takes."""
        return figures_of(self.found) if self.found else None

    @property
    def may_start(self) -> bool:
        """Whether nothing stands against it."""
        return bool(self.found) and not self.form.has_problems and (not self.refused.count or self.leaves_out)


def _controls() -> list[Control]:
    return [
        Control(
            "urls",
            "Addresses of photos",
            "area",
            lines=4,
            is_wide=True,
            is_code=True,
            placeholder="https://example.com/photos/1.jpg",
            hint="One a line. The provider must be able to reach them.",
        ),
        Control(
            "shoot",
            "What they belong to",
            placeholder="Wedding of Ada and Charles",
            longest=200,
            hint="A shoot, an event, an order: in your own words.",
        ),
        Control(
            "prompt",
            "What to ask about each photo",
            "area",
            lines=4,
            is_wide=True,
            longest=LONGEST_PROMPT,
            default=DEFAULT_PROMPT,
            hint="The answer always has stars, a colour label, a title, a description and tags.",
        ),
        provider_control("chat", settings.DEFAULT_CHAT_PROVIDER),
        mode_control(),
        *common_controls(),
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_photos(request: HttpRequest) -> HttpResponse:
    """The form; what was sent comes back with what is wrong with it, or becomes a batch."""
    owner_id = int(request.user.pk or 0)
    if request.method != "POST":
        empty = Shoot(Form.of(_controls(), None), new_token(), "UTC")
        return render(request, "pages/create/photos.html", _context(empty))
    shoot = _read(request)
    if request.POST.get("action") != "start":
        _look(shoot, owner_id, typing=True, live=False)
        return render(request, "pages/create/photos.html", _context(shoot))
    started = _start(shoot, owner_id)
    if started is not None:
        return redirect("batch-detail", started)
    messages.error(request, "Nothing was started yet: see what is marked below.")
    return render(request, "pages/create/photos.html", _context(shoot))


def _start(shoot: Shoot, owner_id: int) -> str | None:
    """The id of the batch that was started; None where something stands against it, which the form then says."""
    try:
        if not shoot.form.has_problems:
            return _submit(shoot, owner_id, _body(shoot))
    except InvalidInput:
        pass  # it is read once more, for what may be left out
    _look(shoot, owner_id, typing=False, live=False)
    if shoot.found and shoot.refused.count and not shoot.leaves_out:
        shoot.form.say("urls", "Some photos cannot go: mend them, or leave them out.")
    try:
        return _submit(shoot, owner_id, shoot.body) if shoot.may_start else None
    except InvalidInput as refused:
        shoot.form.tell(refused.problems, _FIELDS)
        return None


def _submit(shoot: Shoot, owner_id: int, body: dict[str, Any]) -> str:
    return submit_once(owner_id, place=PLACE, token=shoot.token, body=body, build=build_photo_batch)


@require_POST
@fragment
def photos_preview(request: HttpRequest) -> HttpResponse:
    """What it would be, while somebody types."""
    shoot = _read(request)
    _look(shoot, int(request.user.pk or 0), typing=True, live=True)
    return render(request, "pages/create/photos_answer.html", _context(shoot))


def _context(shoot: Shoot) -> dict[str, Any]:
    return {"shoot": shoot, "campaign": shoot, "form": shoot.form, "figures": shoot.figures, "place": "new"}


def _read(request: HttpRequest) -> Shoot:
    """What was typed, with files that came along kept at once."""
    sent = request.POST
    owner_id = int(request.user.pk or 0)
    shoot = Shoot(
        Form.of(_controls(), sent),
        text_of(sent.get("token", ""))[:64] or new_token(),
        text_of(sent.get("zone", ""))[:64] or "UTC",
        leaves_out="leaves_out" in sent,
    )
    ids = [] if "forget_uploaded" in sent else text_of(sent.get("uploaded", "")).split()
    try:
        ids += [one.public_id for one in keep_uploads(request, "photos")]
        lists = keep_uploads(request, "list")
    except InvalidInput as refused:
        shoot.form.tell(refused.problems, {"photos": "urls", "list": "urls"})
        lists = []
    shoot.uploaded = "\n".join(ids)
    if lists:
        shoot.file = lists[-1]
    elif "forget_file" not in sent:
        shoot.file = own_upload(owner_id, sent.get("file", ""))
        if shoot.file is None and sent.get("file"):
            shoot.form.say("urls", "The file is not there any more: choose it again.")
    shoot.photos = PhotoList.of(owner_id, shoot.uploaded, shoot.form["urls"].value)
    return shoot


def _look(shoot: Shoot, owner_id: int, *, typing: bool, live: bool) -> None:
    """Read it as the API would; photos that cannot go are told, and left out where that is wanted."""
    body = _body(shoot)
    named = {**body, "shootId": body.get("shootId", "…")}  # what it costs does not depend on what it is called
    if live and shoot.file is not None and shoot.file.size > LARGEST_LIVE_FILE:
        shoot.is_too_large_to_look = True
        return
    if not typing and named != body:
        shoot.form.say("shoot", "Is required.")
    try:
        found = estimate(owner_id, named, build_photo_batch)
    except InvalidInput as wrong:
        others = shoot.refused.take(wrong.problems, partial(_refusal, shoot.photos))
        shoot.form.tell(others, _FIELDS, typing=typing)
        if not others:
            shoot.form.say("urls", "Mend these lines of the file." if shoot.file else "No photo can go.")
        return
    shoot.refused.take(found.refused, partial(_refusal, shoot.photos))
    shoot.found = found
    if "images" in body:
        gone = {int(problem.path.split(".")[1]) for problem in found.refused}
        body["images"] = [each for index, each in enumerate(body["images"]) if index not in gone]
    shoot.body = body


def _body(shoot: Shoot) -> dict[str, Any]:
    """The body of ``POST /api/batch/process`` that the form stands for."""
    form = shoot.form
    body = common_body(form, shoot.zone)
    for name, control in (("shootId", "shoot"), ("prompt", "prompt")):
        if form[control].value.strip():
            body[name] = form[control].value.strip()
    if shoot.file is not None:
        body["imagesFile"] = shoot.file.public_id
    if shoot.photos.photos or shoot.file is None:
        body["images"] = shoot.photos.images()
    return body


def _refusal(photos: PhotoList, problem: Problem) -> Refusal | None:
    """A problem of a photo, by where it was said; of a list by its line."""
    path = problem.path.split(".")
    if path[0] == "line" and len(path) > 1:
        return Refusal(f"line {path[1]}", problem.message, ".".join(path[2:]), int(path[1]) if path[1].isdigit() else 0)
    place = photos.place(problem.path)
    return None if place is None else Refusal(place, problem.message, order=int(path[1]))
