"""Actions that cannot be taken back ask first: what will be done, to which rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

SHOWN = 20

Action = Callable[[Any, HttpRequest, QuerySet[Any]], Any]


def confirmed(question: str) -> Callable[[Action], Action]:
    """The action runs only from the page that asks the question; from a list it leads there."""

    def decorate(action: Action) -> Action:
        @wraps(action)
        def asked(self: Any, request: HttpRequest, rows: QuerySet[Any]) -> Any:
            if request.POST.get("confirmed") == "yes":
                return action(self, request, rows)
            shown = list(rows[: SHOWN + 1])
            context = {
                **self.admin_site.each_context(request),
                "title": question,
                "opts": self.model._meta,
                "rows": shown[:SHOWN],
                "more": len(shown) > SHOWN,
                "action": request.POST.get("action", ""),
                "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "checkbox": ACTION_CHECKBOX_NAME,
                "across": request.POST.get("select_across", "0"),
            }
            return TemplateResponse(request, "admin/confirm_action.html", context)

        return asked

    return decorate
