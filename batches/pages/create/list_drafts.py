"""Forms whose batch is made of a list: recipients, photos. One way from what was typed to a preview and to a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from batches.files import TABLE_TYPES
from batches.models import StoredFile
from batches.money.estimating.estimate import estimate
from batches.pages.create.controls import Control, Form
from batches.pages.create.drafts import Draft
from batches.pages.create.refusals import Refusal, Refusals
from batches.pages.create.submitting import Build
from batches.pages.create.uploads import keep_uploads, own_upload
from batches.problems import InvalidInput, Problem

FILE = "list_file"
"""The control of a list that is a file."""


def file_control() -> Control:
    """Its template is the form's own: it draws what is wrong with it."""
    return Control(FILE, "A list as a file", "files")


@dataclass(slots=True)
class ListDraft(Draft, ABC):
    """What of the list cannot go is told by its place, and left out where that is wanted (``leaves_out``).

    ``is_live``: somebody is still typing, so of very much only the beginning is looked at.
    """

    file: StoredFile | None = None
    leaves_out: bool = False
    is_live: bool = False
    refused: Refusals = field(default_factory=Refusals)

    name: ClassVar[str]
    """Of its route, and of its templates."""
    title: ClassVar[str]
    """Above the form."""
    list_name: ClassVar[str]
    """The list in a body."""
    list_control: ClassVar[str]
    fields: ClassVar[Mapping[str, str]]
    """The control of a body's field."""
    pieces: ClassVar[Sequence[str]]
    """Templates of what changes inside the form while somebody types."""
    build: ClassVar[Build]
    nothing_started: ClassVar[str]
    some_refused: ClassVar[str]

    @classmethod
    @abstractmethod
    def controls(cls) -> list[Control]:
        """The form's fields, new and empty."""

    @abstractmethod
    def read_list(self, request: HttpRequest, owner_id: int) -> None:
        """The list, as it was typed, uploaded or chosen."""

    @abstractmethod
    def as_body(self) -> dict[str, Any]:
        """The body of the API's create that the form stands for."""

    @abstractmethod
    def refusal(self, problem: Problem) -> Refusal | None:
        """A problem by its place in the list as a person sees it; None where it is about no entry of the list."""

    @property
    @abstractmethod
    def all_refused(self) -> str:
        """What is said beside the list where nothing of it can go."""

    @classmethod
    def empty(cls) -> Self:
        """The form before anybody typed."""
        return cls(Form.of(cls.controls(), None))

    @classmethod
    def sent(cls, request: HttpRequest, owner_id: int, *, is_live: bool) -> Self:
        """The form as it was sent; files that came along are kept at once, and named by their ids from then on."""
        draft = cls(Form.of(cls.controls(), request.POST), is_live=is_live)
        draft.take_over(request.POST)
        draft.leaves_out = "leaves_out" in request.POST
        draft.read_list(request, owner_id)
        return draft

    @property
    def list_place(self) -> str:
        """Where a problem of the whole list is said: beside the file that it is in, else where it is typed."""
        return FILE if self.file is not None else self.list_control

    def keep(self, request: HttpRequest, name: str, place: str) -> list[StoredFile]:
        """The files that came in a field of this name; what is wrong with one is said at the place."""
        try:
            return keep_uploads(request, name)
        except InvalidInput as refused:
            self.form.tell(refused.problems, {name: place})
            return []

    def take_file(self, request: HttpRequest, owner_id: int, name: str) -> None:
        """The list as a file: the one that came in the field of this name, or the one that was there before."""
        if kept := self.keep(request, name, FILE):
            self.file = kept[-1]
        elif "forget_file" not in request.POST and (file_id := request.POST.get("file", "")):
            self.file = own_upload(owner_id, file_id)
            if self.file is None:
                self.form.say(FILE, "The file is not there any more: choose it again.")

    def to_estimate(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as it is estimated: what it costs may not depend on all of it."""
        return body

    def look(self, owner_id: int, *, typing: bool) -> None:
        """Read it as the API would; what cannot go is told, and left out of ``body``. Nothing is stored."""
        body = self.as_body()
        try:
            found = estimate(owner_id, self.to_estimate(body), type(self).build)
        except InvalidInput as wrong:
            others = self.refused.take(wrong.problems, self.refusal)
            self._tell(others, typing=typing)
            if not others:
                self.form.say(self.list_place, self.all_refused)
            return
        self.refused.take(found.refused, self.refusal)
        self.found = found
        if self.list_name in body:
            gone = {int(problem.path.split(".")[1]) for problem in found.refused}
            body[self.list_name] = [each for index, each in enumerate(body[self.list_name]) if index not in gone]
        self.body = body

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known yet that stands against all of it."""
        return not self.form.has_problems

    @property
    def may_start(self) -> bool:
        """Whether nothing stands against it, or against what is left of it."""
        return bool(self.found) and not self.form.has_problems and (not self.refused.count or self.leaves_out)

    def start(self, owner_id: int) -> str | None:
        """The id of the batch that it became; None where something stands against it, which the form then says."""
        place = reverse(self.name)
        try:
            if self.is_whole and (
                started := self.submit(owner_id, place=place, body=self.as_body(), build=type(self).build)
            ):
                return started
        except InvalidInput:
            pass  # it is read once more, for what may be left out
        self.look(owner_id, typing=False)
        if self.found and self.refused.count and not self.leaves_out:
            self.form.say(self.list_place, self.some_refused)
        try:
            return (
                self.submit(owner_id, place=place, body=self.body, build=type(self).build) if self.may_start else None
            )
        except InvalidInput as refused:
            self._tell(refused.problems)
            return None

    def _tell(self, problems: Sequence[Problem], *, typing: bool = False) -> None:
        self.form.tell(problems, {**self.fields, self.list_name: self.list_place}, typing=typing)

    def was_started(self, owner_id: int) -> None:
        """What is left to do once it is a batch."""


def form_page(request: HttpRequest, kind: type[ListDraft]) -> HttpResponse:
    """The form; what was sent comes back with what is wrong with it, or becomes a batch."""
    if request.method != "POST":
        return _form(request, kind.empty())
    owner_id = int(request.user.pk or 0)
    draft = kind.sent(request, owner_id, is_live=False)
    if request.POST.get("action") != "start":
        draft.look(owner_id, typing=True)
    elif started := draft.start(owner_id):
        draft.was_started(owner_id)
        return redirect("batch-detail", started)
    else:
        messages.error(request, kind.nothing_started)
    return _form(request, draft)


def form_answer(request: HttpRequest, kind: type[ListDraft]) -> HttpResponse:
    """What it would be, while somebody types."""
    owner_id = int(request.user.pk or 0)
    draft = kind.sent(request, owner_id, is_live=True)
    draft.look(owner_id, typing=True)
    return render(request, "pages/create/answer.html", _context(draft))


def _form(request: HttpRequest, draft: ListDraft) -> HttpResponse:
    return render(request, f"pages/create/{draft.name.removeprefix('new-')}.html", _context(draft))


def _context(draft: ListDraft) -> dict[str, Any]:
    return {
        "draft": draft,
        "form": draft.form,
        "figures": draft.figures,
        "pieces": draft.pieces,
        "outlook": f"pages/create/{draft.name.removeprefix('new-')}_preview.html",
        "address": reverse(draft.name),
        "preview_address": reverse(f"{draft.name}-preview"),
        "endings": ",".join([*TABLE_TYPES]),
        "place": "new",
    }
