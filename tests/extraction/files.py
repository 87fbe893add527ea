"""Documents made for tests, good and bad."""

from __future__ import annotations

import io
import zipfile

import docx
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def pdf(*pages: str, password: str | None = None, owner_password: str | None = None) -> bytes:
    """A PDF with a page per text; a text's lines are lines."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(612, 792)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.splitlines()]
        stream = DecodedStreamObject()
        stream.set_data(
            ("BT /F1 11 Tf 40 760 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET").encode()
        )
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None or owner_password is not None:
        writer.encrypt(password or "", owner_password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    assert PdfReader(out) is not None
    return out.getvalue()


def word(*paragraphs: str, table: list[list[str]] | None = None) -> bytes:
    """A DOCX with these paragraphs, and a table after the first."""
    document = docx.Document()
    for number, text in enumerate(paragraphs):
        document.add_paragraph(text)
        if table and number == 0:
            grid = document.add_table(len(table), len(table[0]))
            for row, cells in zip(grid.rows, table, strict=True):
                for cell, value in zip(row.cells, cells, strict=True):
                    cell.text = value
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zip_bomb(megabytes: int = 300) -> bytes:
    """A small DOCX whose text unpacks to so much."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(megabytes):
                part.write(b" " * 1024 * 1024)
    return out.getvalue()


TEXT = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>&a30;</w:t></w:r></w:p></w:body></w:document>"
)


def laughing_docx() -> bytes:
    """A DOCX whose XML doubles an entity thirty times."""
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 31))
    body = f'<?xml version="1.0"?><!DOCTYPE d [{entities}]>{TEXT}'
    good = io.BytesIO(word("x"))
    out = io.BytesIO()
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, body if entry.filename == "word/document.xml" else source.read(entry))
    return out.getvalue()


def picture(width: int = 640, height: int = 480, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    colors = {"RGB": (200, 30, 30), "RGBA": (200, 30, 30, 100)}
    out = io.BytesIO()
    Image.new(mode, (width, height), colors.get(mode, 1)).save(out, kind)
    return out.getvalue()
