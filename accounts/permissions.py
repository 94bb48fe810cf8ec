from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.authentication import caller_of
from core.errors import Code
from core.problems import ProblemError


class HasScope(BasePermission):
    """Views name what they need in `required_scopes`: a scope for each action or method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.user is None:
            raise NotAuthenticated
        caller = caller_of(request)
        if getattr(view, "action_map", None) is not None and view.action in {None, "metadata"}:
            return True  # No handler for this method: the answer is 405, not a missing scope.
        scope = view.required_scopes[getattr(view, "action", None) or request.method]
        if scope not in caller.scopes:
            raise ProblemError(
                Code.MISSING_SCOPE, f"The key {caller.key_id} lacks the scope {scope}."
            )
        return True
