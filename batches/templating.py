"""The template language of text messages: ``Hello {{ name }}``, and nothing else.

A name starts with a letter or underscore and goes on with letters, digits, ``_``, ``.`` and ``-``. Two braces always
mean a variable; a single brace is text. A value is put in as it is: braces inside it are text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

_BRACES = re.compile(r"\{\{|\}\}")
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.\-]*)\s*")


class TemplateError(ValueError):
    """The template cannot be understood; the message says where, never what the text is."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: its texts, with one variable between each and the next."""

    texts: tuple[str, ...]
    variables: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables it uses, each once."""
        return frozenset(self.variables)

    def render(self, values: Mapping[str, str]) -> str:
        """The message for these values. Raises ``KeyError`` for a variable that has none."""
        parts = [self.texts[0]]
        for variable, text in zip(self.variables, self.texts[1:], strict=True):
            parts.append(values[variable])
            parts.append(text)
        return "".join(parts)


@functools.lru_cache(maxsize=256)
def parse(source: str) -> Template:
    """Read a template. Raises :class:`TemplateError` for unbalanced braces and for names that are none.

    Cached: the workers parse a batch's template once, not once per message.
    """
    texts: list[str] = []
    variables: list[str] = []
    position = 0
    while opening := _BRACES.search(source, position):
        if opening.group() == "}}":
            raise TemplateError(f"'}}}}' at character {opening.start()} closes nothing.")
        closing = _BRACES.search(source, opening.end())
        if closing is None or closing.group() == "{{":
            raise TemplateError(f"'{{{{' at character {opening.start()} is never closed.")
        texts.append(source[position : opening.start()])
        variables.append(_name_between(source, opening.end(), closing.start()))
        position = closing.end()
    texts.append(source[position:])
    return Template(tuple(texts), tuple(variables))


def _name_between(source: str, start: int, end: int) -> str:
    match = _NAME.fullmatch(source, start, end)
    if match is None:
        raise TemplateError(
            f"'{{{{' at character {start - 2} holds no variable name (letters, digits, '_', '.', '-';"
            " first a letter or '_')."
        )
    return match.group(1)
