"""A small picture of a large one."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from batches.extraction.problems import Unreadable

LONGEST_SIDE = 320
MOST_PIXELS = 100_000_000
MEDIA_TYPE = "image/webp"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

DAMAGED = ("damaged", "The image is damaged and cannot be read.")
TOO_LARGE = ("too_many_pixels", f"The image has more than {MOST_PIXELS} pixels.")


def thumbnail(content: bytes) -> bytes:
    """A WebP of at most 320 pixels a side, turned upright; of an animation its first frame.

    Raises :class:`Unreadable`.
    """
    Image.MAX_IMAGE_PIXELS = None  # our own limit, looked at before a pixel is read
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(*TOO_LARGE)
            image.draft("RGB", (LONGEST_SIDE * 2, LONGEST_SIDE * 2))
            picture = ImageOps.exif_transpose(image)
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            out = io.BytesIO()
            picture.save(out, "WEBP", quality=80)
            return out.getvalue()
    except (Unreadable, MemoryError):
        raise
    except Exception:  # a broken image breaks Pillow in many ways
        raise Unreadable(*DAMAGED) from None
