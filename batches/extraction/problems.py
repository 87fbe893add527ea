"""Why a file cannot be used: one exception, raised in the child and again in the worker."""

from __future__ import annotations


class Unreadable(Exception):
    """Nothing can be got out of this file, now or later. The message is for its owner and quotes nothing of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
