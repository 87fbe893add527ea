"""A form that starts work, as it was sent, and what is known of the batch that it would be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batches.money.estimating.estimate import Estimate
from batches.pages.create.common_controls import FIELDS
from batches.pages.create.controls import Form, text_of
from batches.pages.create.figures import Figures, figures_of
from batches.pages.create.submitting import Build, TooManyBatches, new_token, submit_once

_FIELD_NAME = re.compile(r"\b[a-z]+[A-Z][A-Za-z]*\b")


@dataclass(slots=True)
class Draft:
    """What every form has. ``zone``: of the clock by which moments were typed; ``body``: what the API would be sent."""

    form: Form
    token: str = field(default_factory=new_token)
    zone: str = "UTC"
    found: Estimate | None = None
    body: dict[str, Any] = field(default_factory=dict)

    def take_over(self, sent: Mapping[str, str]) -> None:
        """What a form carries beside its fields."""
        self.token = text_of(sent.get("token", ""))[:64] or self.token
        self.zone = text_of(sent.get("zone", ""))[:64] or self.zone

    @property
    def figures(self) -> Figures | None:
        """What it costs and how long it takes."""
        return figures_of(self.found) if self.found else None

    @property
    def later(self) -> str:
        """The word on the button, where it starts nothing yet."""
        if self.form.answer("by_hand"):
            return "Prepare"
        return "Schedule" if self.form.answer("schedule") else ""

    def in_labels(self, warnings: Sequence[str]) -> list[str]:
        """Warnings with the labels of fields in the place of their names in a body."""

        def label(match: re.Match[str]) -> str:
            control = self.form.controls.get(FIELDS.get(match[0], match[0]))
            return f"“{control.label}”" if control else match[0]

        return [_FIELD_NAME.sub(label, warning) for warning in warnings]

    def submit(self, owner_id: int, *, place: str, body: Mapping[str, Any], build: Build) -> str | None:
        """The id of the batch that it became; None where too many were started, which is said above the form.

        Raises :class:`InvalidInput`.
        """
        try:
            return submit_once(owner_id, place=place, token=self.token, body=body, build=build)
        except TooManyBatches as too_many:
            self.form.say("", f"{too_many} What you typed is kept.")
            return None
