"""Documents that take several calls."""

from __future__ import annotations

from batches.operations.long_texts import LONGEST_PART


def long_text(parts: int) -> str:
    """Of about so many parts, in paragraphs."""
    return "\n\n".join(f"Paragraph {n}. " + "word " * 180 for n in range(parts * LONGEST_PART // 920))
