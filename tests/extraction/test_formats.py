"""Which text comes out of which file, and which files are refused with which words."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batches.extraction import formats
from batches.extraction.formats import extract
from batches.extraction.problems import Unreadable
from batches.extraction.thumbnails import thumbnail
from tests.extraction.files import laughing_docx, pdf, picture, word, zip_bomb


def refusal(content: bytes) -> str:
    with pytest.raises(Unreadable) as raised:
        extract(content)
    return raised.value.code


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain", "plain"),
        ("naïve Straße 你好".encode(), "naïve Straße 你好"),
        ("\ufeffwith a mark".encode(), "with a mark"),
        ("sixteen bits: ж".encode("utf-16"), "sixteen bits: ж"),
        ("caf\u00e9 \u20ac5 \u201cquoted\u201d".encode("cp1252"), "café €5 “quoted”"),
        (b'{"a": 1}', '{"a": 1}'),
    ],
)
def test_plain_text_is_read_in_its_encoding(content: bytes, text: str) -> None:
    assert extract(content).text == text


def test_a_pdf_is_read_page_by_page() -> None:
    found = extract(pdf("Invoice 17\nTotal: 99 EUR", "Second page"))
    assert found.text == "Invoice 17\nTotal: 99 EUR\n\nSecond page"
    assert found.pages == 2


def test_a_pdf_that_anybody_may_open_is_read_although_it_is_encrypted() -> None:
    assert extract(pdf("Open to all", owner_password="boss")).text == "Open to all"


def test_a_document_of_word_is_read_in_its_order() -> None:
    found = extract(word("Before", "After", table=[["Name", "Age"], ["Ada", "36"]]))
    assert found.text.split("\n\n") == ["Before", "Name\tAge\nAda\t36", "After"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (pdf("Secret", password="x"), "encrypted"),
        (formats.OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (formats.OLE + b"\x00" * 100, "unsupported_type"),
        (pdf("Cut off")[:300], "damaged"),
        (word("Cut off")[:-300], "damaged"),
        (zip_bomb(), "unpacks_too_large"),
        (laughing_docx(), "damaged"),
        (pdf(" "), "no_text"),
        (b" \n\t ", "no_text"),
        (b"PK\x03\x04 no archive", "damaged"),
        (b"\x7fELF\x00\x01\x02", "unsupported_type"),
        (bytes(range(1, 256)) * 20, "unsupported_type"),
        (b"word " * 300_000, "too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_named(content: bytes, code: str) -> None:
    assert refusal(content) == code


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"%PDF-1.7\n" + tail))
def test_any_bytes_are_text_or_a_problem(content: bytes) -> None:
    try:
        found = extract(content)
    except Unreadable as problem:
        assert problem.code.replace("_", "").isalpha()
    else:
        found.text.encode()
        assert "\x00" not in found.text


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_broken_document_of_word_is_a_problem_of_its_own(place: int, value: int) -> None:
    content = bytearray(WORD)
    content[place % len(content)] = value
    with contextlib.suppress(Unreadable):
        extract(bytes(content))


WORD = word("Something", "to break")


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("GIF", "RGB")])
def test_a_thumbnail_keeps_the_shape_and_is_small(kind: str, mode: str) -> None:
    small = thumbnail(picture(1600, 800, kind, mode))
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("WEBP", (320, 160))
        assert image.has_transparency_data is (mode == "RGBA")
    assert len(small) < 5_000


def test_a_photo_taken_sideways_stands_upright() -> None:
    out = io.BytesIO()
    sideways = Image.Exif()
    sideways[0x0112] = 6
    Image.new("RGB", (800, 400)).save(out, "JPEG", exif=sideways)
    with Image.open(io.BytesIO(thumbnail(out.getvalue()))) as image:
        assert image.size == (160, 320)


def test_an_image_with_too_many_pixels_is_not_unpacked() -> None:
    with pytest.raises(Unreadable) as raised:
        thumbnail(picture(20_000, 6_000, "PNG", "1"))
    assert raised.value.code == "too_many_pixels"


@pytest.mark.parametrize("content", [b"", b"no image", picture()[:500]])
def test_a_broken_image_is_named(content: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        thumbnail(content)
    assert raised.value.code == "damaged"
