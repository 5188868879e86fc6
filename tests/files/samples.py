"""Files that tests upload, and how."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image
from werkzeug.test import TestResponse

from tests.factories import Api, Person

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(document.cookie)</script></html>"
TEXT = "Zwölf Boxkämpfer.\n".encode()


def picture(
    kind: str = "PNG",
    size: tuple[int, int] = (40, 30),
    mode: str = "RGB",
    color: Any = "teal",
    **options: Any,
) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, kind, **options)
    return file.getvalue()


def photograph() -> bytes:
    """A JPEG as a telephone writes it: lying on its side, with place and camera, red at its top."""
    image = Image.new("RGB", (60, 40), "blue")
    image.paste("red", (0, 0, 20, 40))  # the left third; upright it is the top, by orientation 6
    exif = Image.Exif()
    exif[0x010F] = "SpyPhone"
    exif[0x0112] = 6
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, comment=b"secret comment", quality=95)
    return file.getvalue()


def animation(kind: str, frames: int = 3, size: tuple[int, int] = (20, 10)) -> bytes:
    """Frames of different colours, 70 ms each."""
    made = [Image.new("RGB", size, (10 + 5 * number % 240, 90, 200)) for number in range(frames)]
    file = io.BytesIO()
    made[0].save(file, kind, save_all=True, append_images=made[1:], duration=70, loop=0)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, with hardly any content."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def upload(
    api: Api, content: bytes, name: str = "a.txt", *, by: Person, path: str = "/files", **options: Any
) -> TestResponse:
    """Send one file, as a browser's form does."""
    fields = options.pop("fields", {})
    method = "PUT" if path == "/users/me/avatar" else "POST"
    data = form(content, name, **fields)
    return api.call(method, path, by=by, data=data, content_type=FORM, **options)


FORM = "multipart/form-data; boundary=X"


def form(content: bytes, name: str, **fields: str) -> bytes:
    """A form with one file, as it is sent."""
    head = "--X\r\nContent-Disposition: form-data; name="
    others = "".join(f'{head}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items())
    quoted = name.replace("\\", "\\\\").replace('"', "%22")
    return f'{others}{head}"file"; filename="{quoted}"\r\n\r\n'.encode() + content + b"\r\n--X--\r\n"


def put_avatar(api: Api, content: bytes, *, by: Person, name: str = "me.png") -> TestResponse:
    return upload(api, content, name, by=by, path="/users/me/avatar")


def opened(content: bytes) -> Image.Image:
    """A picture, decoded."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
