"""Bytes to text: plain text of any kind, PDF, DOCX. What a file is, its bytes say, not its name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batches.extraction.problems import Unreadable

MOST_CHARACTERS = 1_200_000
"""Of one document, about 600 pages."""
MOST_PAGES = 2_000
MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_XML_BYTES = 40 * 1024 * 1024
MOST_ENTRIES = 5_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How the office files of before 2007 begin, and encrypted ones of today."""

ENCRYPTED = ("encrypted", "The document is encrypted with a password.")
UNSUPPORTED = ("unsupported_type", "The file is neither text nor PDF, DOCX or an image.")
DAMAGED = ("damaged", "The document is damaged and cannot be read.")
NO_TEXT = ("no_text", "The document holds no text. Scanned pages can be sent as images.")
TOO_LONG = ("too_long", f"The document has more than {MOST_CHARACTERS} characters or {MOST_PAGES} pages.")
BOMB = ("unpacks_too_large", f"The document unpacks to more than {MOST_UNPACKED_BYTES} bytes.")


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file. ``pages`` where the format knows what a page is."""

    text: str
    pages: int | None = None


def extract(content: bytes) -> Extracted:
    """The text of a document. Raises :class:`Unreadable`."""
    try:
        found = _extract(content)
    except (Unreadable, MemoryError):
        raise
    except Exception:  # parsers fail in as many ways as files can be broken
        raise Unreadable(*DAMAGED) from None
    if not found.text.strip():
        raise Unreadable(*NO_TEXT)
    if len(found.text) > MOST_CHARACTERS:
        raise Unreadable(*TOO_LONG)
    return found


def quickly_read(content: bytes) -> str | None:
    """The text of a file that is plain UTF-8, which any process may read in a millisecond; None for all others."""
    if len(content) > MOST_CHARACTERS * 4 or content.startswith((b"%PDF-", b"PK\x03\x04", OLE)) or b"\x00" in content:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if text.strip() and len(text) <= MOST_CHARACTERS and "%PDF-" not in text[:1024] else None


def _extract(content: bytes) -> Extracted:
    if b"%PDF-" in content[:1024]:
        return _pdf(content)
    if content.startswith(OLE):
        raise Unreadable(*(ENCRYPTED if "EncryptedPackage".encode("utf-16-le") in content else UNSUPPORTED))
    if content.startswith(b"PK\x03\x04"):
        return _docx(content)
    return Extracted(_plain(content))


# --- Plain text -------------------------------------------------------------------------------------


def _plain(content: bytes) -> str:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _storable(content.decode(encoding))
    if b"\x00" in content:
        raise Unreadable(*UNSUPPORTED)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    strange = sum(not (character.isprintable() or character in "\t\r\n\f") for character in text)
    if strange > len(text) // 50:
        raise Unreadable(*UNSUPPORTED)
    return text


# --- PDF --------------------------------------------------------------------------------------------


def _pdf(content: bytes) -> Extracted:
    from pypdf import PdfReader
    from pypdf.errors import FileNotDecryptedError, WrongPasswordError

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):  # many are, with an empty password
            raise Unreadable(*ENCRYPTED)
        pages = len(reader.pages)
        if pages > MOST_PAGES:
            raise Unreadable(*TOO_LONG)
        return Extracted(_joined(page.extract_text().strip() for page in reader.pages), pages)
    except (FileNotDecryptedError, WrongPasswordError):
        raise Unreadable(*ENCRYPTED) from None


# --- DOCX -------------------------------------------------------------------------------------------


def _docx(content: bytes) -> Extracted:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_UNPACKED_BYTES:
            raise Unreadable(*BOMB)
        if any(entry.file_size > MOST_XML_BYTES for entry in entries if entry.filename.endswith((".xml", ".rels"))):
            raise Unreadable(*BOMB)
        if "word/document.xml" not in archive.namelist():
            raise Unreadable(*UNSUPPORTED)
    import docx

    return Extracted(_joined(_blocks(docx.Document(io.BytesIO(content)))))


def _blocks(container: Any) -> Iterator[str]:
    """Paragraphs and tables in the order of the document; the cells of a row are parted by tabs."""
    from docx.table import Table

    for block in container.iter_inner_content():
        if isinstance(block, Table):
            yield "\n".join("\t".join(cell.text for cell in row.cells) for row in block.rows)
        else:
            yield block.text


# --- Both -------------------------------------------------------------------------------------------


def _joined(texts: Iterator[str]) -> str:
    """The texts under each other; reading ends as soon as there is too much."""
    parts: list[str] = []
    length = 0
    for text in texts:
        parts.append(_storable(text))
        length += len(text)
        if length > MOST_CHARACTERS:
            raise Unreadable(*TOO_LONG)
    return "\n\n".join(parts)


def _storable(text: str) -> str:
    """Without what no JSON in UTF-8 and no Postgres takes."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
