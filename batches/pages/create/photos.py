"""A batch of photos without code: drag them in, paste addresses, or give a file that lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from batches.operations.photos.rate_photos import (
    DEFAULT_PROMPT,
    DEFAULT_SYSTEM_PROMPT,
    LONGEST_PROMPT,
    build_photo_batch,
)
from batches.pages.access import fragment
from batches.pages.create.common_controls import FIELDS, common_body, common_controls, provider_controls
from batches.pages.create.controls import Control, text_of
from batches.pages.create.list_drafts import FILE, ListDraft, file_control, form_answer, form_page
from batches.pages.create.photo_list import PhotoList, shown_of, without
from batches.pages.create.refusals import Refusal
from batches.pages.create.submitting import Build
from batches.problems import Problem

LARGEST_LIVE_FILE = 4 * 1024 * 1024
"""Bytes of a list that is read again and again while somebody types."""


@dataclass(slots=True)
class Shoot(ListDraft):
    """Photos to be rated. ``uploaded``: the ids of those that are here, one a line."""

    uploaded: str = ""
    photos: PhotoList = field(default_factory=PhotoList)
    is_too_large_to_look: bool = False

    name: ClassVar[str] = "new-photos"
    title: ClassVar[str] = "New photo batch"
    list_name: ClassVar[str] = "images"
    list_control: ClassVar[str] = "urls"
    fields: ClassVar[Mapping[str, str]] = {
        **FIELDS,
        "shootId": "shoot",
        "prompt": "prompt",
        "systemPrompt": "system_prompt",
        "imagesFile": FILE,
        "line": FILE,
    }
    pieces: ClassVar[Sequence[str]] = ("pages/create/thumbs.html", "pages/create/chosen_file.html")
    build: ClassVar[Build] = staticmethod(build_photo_batch)
    nothing_started: ClassVar[str] = "Nothing was started yet: see what is marked below."
    some_refused: ClassVar[str] = "Some photos cannot go: mend them, or leave them out."

    @classmethod
    def controls(cls) -> list[Control]:
        """Addresses, what is asked, and how it runs."""
        return [
            file_control(),
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
                is_wide=True,
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
            Control(
                "system_prompt",
                "Who the model is to be",
                "area",
                is_wide=True,
                is_rare=True,
                longest=LONGEST_PROMPT,
                default=DEFAULT_SYSTEM_PROMPT,
            ),
            *provider_controls("chat", settings.DEFAULT_CHAT_PROVIDER, has_modes=True),
            *common_controls(),
        ]

    def read_list(self, request: HttpRequest, owner_id: int) -> None:
        """Photos by id and by address, without one that is taken out; or a file that lists them."""
        sent = request.POST
        ids = [] if "forget_uploaded" in sent else text_of(sent.get("uploaded", "")).split()
        ids += [one.public_id for one in self.keep(request, "photos", self.list_control)]
        urls = self.form["urls"]
        ids, urls.value = without(sent.get("take_out", ""), ids, urls.value)
        self.take_file(request, owner_id, "list")
        self.uploaded = "\n".join(ids)
        self.photos = PhotoList.of(owner_id, self.uploaded, urls.value, shown_of(sent.get("show", "")))

    def as_body(self) -> dict[str, Any]:
        """The body of ``POST /api/batch/process``."""
        body = common_body(self.form, self.zone)
        for name, control in (("shootId", "shoot"), ("prompt", "prompt"), ("systemPrompt", "system_prompt")):
            if text := self.form.answer(control):
                body[name] = text
        if self.file is not None:
            body["imagesFile"] = self.file.public_id
        if self.photos.photos or self.file is None:
            body["images"] = self.photos.images()
        return body

    def to_estimate(self, body: dict[str, Any]) -> dict[str, Any]:
        """What it costs does not depend on what it is called."""
        return {**body, "shootId": body.get("shootId", "…")}

    def look(self, owner_id: int, *, typing: bool) -> None:
        """A very long list is looked at when it is sent."""
        self.is_too_large_to_look = self.is_live and self.file is not None and self.file.size > LARGEST_LIVE_FILE
        if self.is_too_large_to_look:
            return
        if not typing and not self.form.answer("shoot"):
            self.form.say("shoot", "Say what they belong to: the batch is found by it later.")
        ListDraft.look(self, owner_id, typing=typing)

    def refusal(self, problem: Problem) -> Refusal | None:
        """By where the photo was said; of a list by its line."""
        path = problem.path.split(".")
        if path[0] == "line" and len(path) > 1:
            number = int(path[1]) if path[1].isdigit() else 0
            return Refusal(f"line {path[1]}", problem.message, ".".join(path[2:]), number)
        place = self.photos.place(problem.path)
        return None if place is None else Refusal(place, problem.message, order=int(path[1]))

    @property
    def all_refused(self) -> str:
        """A list goes whole or not at all."""
        return "Mend these lines of the file." if self.file else "No photo can go."

    @property
    def warnings(self) -> list[str]:
        """What is odd but allowed."""
        return self.in_labels(self.found.new.warnings) if self.found else []


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_photos(request: HttpRequest) -> HttpResponse:
    """The form, and what becomes of it."""
    return form_page(request, Shoot)


@require_POST
@fragment
def photos_preview(request: HttpRequest) -> HttpResponse:
    """What it would be, while somebody types."""
    return form_answer(request, Shoot)
