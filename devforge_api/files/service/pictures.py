"""Pictures, made anew: only what is seen stays, and it is known what decoding costs before it begins."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image, ImageCms, ImageOps

from devforge_api.core.storage.base import CHUNK, StorageAway, scratch
from devforge_api.files.models import VARIANTS

MOST_PIXELS = 50_000_000  # of one picture, or of all frames of an animation
MOST_FRAMES = 500
# Of one that stands still: making a WebP takes five times the time and memory of a JPEG.
MOST_PIXELS_OF = {"image/webp": 16_000_000}
# The others' further pictures are not seen: a JPEG's hold what a screen needs for more brightness, or depth.
_ANIMATED = frozenset({"image/gif", "image/webp"})
AT_ONCE = 2
AVATAR_SIDE = 1024
FORMATS = {"image/gif": "GIF", "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_SAVED: dict[str, dict[str, Any]] = {
    "GIF": {},
    "JPEG": {"quality": 88, "optimize": True, "progressive": True},
    "PNG": {"compress_level": 4},
    "WEBP": {"quality": 85, "method": 1},
}
# A limit of the whole process: filters for a block of code would not be safe between threads.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


class PictureRefused(Exception):
    """It cannot be made anew.

    :param reason: ``unreadable_image``, ``too_many_pixels`` or ``too_many_frames``.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Made:
    """One picture. ``file`` is closed by whoever had it made."""

    file: BinaryIO
    media_type: str
    size: int
    sha256: str
    width: int
    height: int


def look(file: BinaryIO, media_type: str) -> tuple[int, int]:
    """Width and height by the header; nothing is decoded.

    :raises PictureRefused: there is none, or it says more than is decoded here.
    """
    with _refusing(), _opened(file, media_type) as image:
        return image.size


@contextmanager
def remade(file: BinaryIO, media_type: str, *, square: bool) -> Iterator[tuple[Made, dict[str, Made]]]:
    """The picture as it is seen, upright, without what a camera wrote; and smaller ones.

    :param square: cut to its middle, and still, for an avatar.
    :raises PictureRefused: it cannot be decoded within the limits.
    """
    with ExitStack() as stack:
        with _refusing(), _opened(file, media_type) as image, _room.taken(_needed(image)):
            frames = _count_frames(image) if media_type in _ANIMATED and not square else 1
            still = _clean(image, square=square)
            if frames > 1:
                whole = _save_animation(image, media_type, stack)
            else:
                whole = _save(still, media_type, stack)
            small_type = "image/png" if still.mode in {"RGBA", "LA"} else "image/jpeg"
            variants = {
                name: _save(_fitted(still, side, square=square), small_type, stack)
                for name, side in VARIANTS.items()
            }
        yield whole, variants


class _Room:
    """So many pictures are decoded at once, and together no more pixels than one may have."""

    def __init__(self) -> None:
        self._pixels: list[int] = []
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(pixels))
            self._pixels.append(pixels)
        try:
            yield
        finally:
            with self._changed:
                self._pixels.remove(pixels)
                self._changed.notify_all()

    def _has_room(self, pixels: int) -> bool:
        if not self._pixels:
            return True
        return len(self._pixels) < AT_ONCE and sum(self._pixels) + pixels <= MOST_PIXELS


_room = _Room()


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever a decoder makes of a file that somebody has bent: it is refused."""
    try:
        yield
    except (PictureRefused, StorageAway, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureRefused("too_many_pixels") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not a decoder's
            raise StorageAway(f"the data folder: {error.strerror}") from error
        raise PictureRefused("unreadable_image") from error


@contextmanager
def _opened(file: BinaryIO, media_type: str) -> Iterator[Image.Image]:
    file.seek(0)
    # Reads the header, and checks its size; the file stays its caller's.
    with Image.open(file, formats=[FORMATS[media_type]]) as image:
        if image.width * image.height > min(MOST_PIXELS, MOST_PIXELS_OF.get(media_type, MOST_PIXELS)):
            raise PictureRefused("too_many_pixels")
        yield image


def _needed(image: Image.Image) -> int:
    """How many pixels it takes to decode a picture, at most."""
    return MOST_PIXELS if getattr(image, "is_animated", False) else image.width * image.height


def _count_frames(image: Image.Image) -> int:
    """How many there are, by going from one to the next no further than is allowed."""
    if not getattr(image, "is_animated", False):
        return 1
    pixels = image.width * image.height
    for number in range(1, MOST_FRAMES + 1):
        try:
            image.seek(number)
        except EOFError:
            image.seek(0)
            return number
        pixels += image.width * image.height  # a later frame of a GIF may be larger than the first
        if number == MOST_FRAMES or pixels > MOST_PIXELS:
            break
    raise PictureRefused("too_many_frames")


def _clean(image: Image.Image, *, square: bool) -> Image.Image:
    """Its pixels alone, as a viewer shows them."""
    upright = ImageOps.exif_transpose(image)
    cleaned = _in_plain_colors(upright)
    cleaned.info.clear()  # some formats are saved with whatever stands there
    if square:
        side = min(AVATAR_SIDE, *cleaned.size)
        cleaned = ImageOps.fit(cleaned, (side, side), Image.Resampling.LANCZOS)
    return cleaned


def _in_plain_colors(image: Image.Image) -> Image.Image:
    """Grey, RGB or RGBA in sRGB: what every viewer shows alike without a profile."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in {"RGB", "RGBA", "CMYK", "L"}:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that nobody understands says nothing
    if image.mode.startswith("I"):  # 16 bits for each pixel
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in {"1", "L"} else "RGB")


def _fitted(image: Image.Image, side: int, *, square: bool) -> Image.Image:
    """The picture within a square of so many pixels; never larger than it is."""
    if max(image.size) <= side:
        return image
    if square:
        return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    return ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)


def _save(image: Image.Image, media_type: str, stack: ExitStack) -> Made:
    kind = FORMATS[media_type]
    if kind == "JPEG" and image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    return _written(lambda file: image.save(file, kind, **_SAVED[kind]), image.size, media_type, stack)


def _save_animation(image: Image.Image, media_type: str, stack: ExitStack) -> Made:
    kind = FORMATS[media_type]
    frames, durations = [], []
    loop = image.info.get("loop")
    for number in range(MOST_FRAMES):
        try:
            image.seek(number)
        except EOFError:
            break
        frame = image.convert("RGBA")
        durations.append(int(image.info.get("duration") or 100))
        frame.info.clear()
        frames.append(frame)
    options: dict[str, Any] = {
        **_SAVED[kind],
        "save_all": True,
        "append_images": frames[1:],
        "duration": durations,
    }
    if kind == "GIF":
        options["disposal"] = 2
    if loop is not None:
        options["loop"] = int(loop)
    return _written(lambda file: frames[0].save(file, kind, **options), image.size, media_type, stack)


def _written(
    save: Callable[[BinaryIO], object], size: tuple[int, int], media_type: str, stack: ExitStack
) -> Made:
    file = stack.enter_context(scratch())
    save(file)
    length = file.seek(0, 2)
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(CHUNK):
        digest.update(piece)
    return Made(file, media_type, length, digest.hexdigest(), *size)
