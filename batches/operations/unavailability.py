"""What a batch does while its provider is unavailable, as a create may say: ``whenUnavailable`` and ``fallbacks``."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from batches.operations.payload import Fields
from batches.states import WhenUnavailable
from providers.registry import Kind, UnknownProvider, resolve

MOST_FALLBACKS = 10
NAMES = ("fallbacks",)


def read_when_unavailable(fields: Fields) -> str:
    """Wait, switch or fail; who names fallbacks and nothing else means to switch."""
    _, named = fields.find(*NAMES)
    default = WhenUnavailable.SWITCH if named else WhenUnavailable.WAIT
    return fields.choice("whenUnavailable", choices=WhenUnavailable.values, default=default)


def read_fallbacks(fields: Fields) -> tuple[str, ...]:
    """The aliases that were named, as they stand there: :func:`check_fallbacks` says what is wrong with them."""
    _, named = fields.find(*NAMES)
    if not isinstance(named, list | tuple):
        return ()
    return tuple(alias for alias in named if isinstance(alias, str))


def check_fallbacks(fields: Fields, provider: str, kind: Kind) -> None:
    """Fallbacks are aliases of the batch's own kind, each once, and not the provider itself."""
    path, named = fields.find(*NAMES)
    if named is None:
        return
    if not isinstance(named, list | tuple):
        fields.problems.add(path, "Must be a list of aliases.", "invalid_type")
        return
    if len(named) > MOST_FALLBACKS:
        fields.problems.add(path, f"Must hold at most {MOST_FALLBACKS} aliases.", "too_many")
        return
    for place, alias in enumerate(named):
        if fault := _fault(alias, provider, kind, [*named[:place]]):
            fields.problems.add(f"{path}.{place}", *fault)


def _fault(alias: object, provider: str, kind: Kind, before: list[object]) -> tuple[str, str] | None:
    if not isinstance(alias, str):
        return "Must be a string.", "invalid_type"
    if alias == provider or alias in before:
        return "Is named already.", "duplicate"
    try:
        known = resolve(alias[:64], kind).alias == alias
    except ImproperlyConfigured:
        return "Cannot be used here: it is not configured.", "unusable_provider"
    except UnknownProvider as error:
        return f"No {kind} provider has this alias. Known: {', '.join(error.known) or 'none'}.", "unknown_provider"
    return None if known else ("Must be an alias, not a model.", "unknown_provider")
