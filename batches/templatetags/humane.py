"""Numbers and names as people read them."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def grouped(number: int) -> str:
    """12345 as 12,345."""
    return f"{number:,}"


@register.filter
def spelled(name: str) -> str:
    """``rate_photos`` as "rate photos"."""
    return name.replace("_", " ")


@register.filter
def duration(seconds: int) -> str:
    """4000 seconds as "1 h 6 min"."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
