"""What an API key may do: its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from batches.models import ApiKey
from batches.states import Scope

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which reads the settings that name this module


class HasScope(BasePermission):
    """Safe methods need the scope ``read``, all others ``write``.

    A view whose POST changes nothing declares ``only_reads = True``. A signed-in browser may do both.
    """

    code = "missing_scope"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the key's scopes allow this method."""
        if not isinstance(request.auth, ApiKey):
            return True
        reads = request.method in SAFE_METHODS or getattr(view, "only_reads", False)
        needed = Scope.READ if reads else Scope.WRITE
        self.message = f"This API key does not have the scope '{needed}'."
        return needed.value in request.auth.scopes
