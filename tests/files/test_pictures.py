"""Pictures: only what is seen stays, and nobody can make us decode more than we want to."""

import io
import threading
import tracemalloc

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from devforge_api.files.service import pictures
from devforge_api.files.service.pictures import PictureRefused, look, remade
from tests.factories import code_of
from tests.files.samples import animation, opened, photograph, picture, png_header, upload


def content_of(api, ada, answer, variant=None):
    assert answer.status_code == 201, answer.json
    query = f"?variant={variant}" if variant else ""
    return api.get(f"/files/{answer.json['data']['id']}/content{query}", by=ada).data


def test_place_camera_and_comments_are_gone_and_the_picture_stands_upright(api):
    ada = api.person()
    sent = photograph()
    assert b"SpyPhone" in sent
    assert Image.open(io.BytesIO(sent)).getexif().get_ifd(0x8825)
    answer = upload(api, sent, "holiday.jpg", by=ada)
    for variant in (None, "small", "medium"):
        kept = content_of(api, ada, answer, variant)
        assert b"SpyPhone" not in kept
        assert b"secret comment" not in kept
        image = opened(kept)
        assert dict(image.getexif()) == {}
        assert not set(image.info) & {"exif", "comment", "xmp", "icc_profile"}
        assert image.size == (40, 60)
        red, _, blue = image.convert("RGB").getpixel((20, 5))
        assert red > 200 > 100 > blue
    assert (answer.json["data"]["width"], answer.json["data"]["height"]) == (40, 60)


def test_texts_in_a_png_and_what_stands_behind_it_are_gone(api):
    ada = api.person()
    note = PngImagePlugin.PngInfo()
    note.add_text("Author", "Ada at home")
    sent = picture("PNG", pnginfo=note) + b"<script>alert(1)</script>PK\x03\x04"
    kept = content_of(api, ada, upload(api, sent, "a.png", by=ada))
    for hidden in (b"Ada at home", b"script", b"PK\x03\x04"):
        assert hidden in sent
        assert hidden not in kept
    assert opened(kept).getpixel((1, 1)) == opened(sent).getpixel((1, 1))


def test_a_gif_that_is_a_script_as_well_is_one_no_more(api):
    ada = api.person()
    sent = animation("GIF") + b"*/=1;alert(1)//"
    kept = content_of(api, ada, upload(api, sent, "a.gif", by=ada))
    assert b"alert" not in kept


def test_colours_of_another_profile_are_brought_into_srgb(api):
    ada = api.person()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = picture("JPEG", icc_profile=lab)
    image = opened(content_of(api, ada, upload(api, sent, "a.jpg", by=ada)))
    assert "icc_profile" not in image.info
    assert all(abs(a - b) < 8 for a, b in zip(image.getpixel((3, 3)), (0, 128, 128), strict=True))
    broken = picture("PNG", icc_profile=b"no profile at all")
    assert opened(content_of(api, ada, upload(api, broken, "a.png", by=ada))).size == (40, 30)


@pytest.mark.parametrize(
    ("kind", "mode", "color"),
    [
        ("PNG", "1", 1), ("PNG", "L", 200), ("PNG", "LA", (200, 10)), ("PNG", "P", 3),
        ("PNG", "RGBA", (1, 2, 3, 9)),
        ("PNG", "I;16", 40_000), ("JPEG", "L", 9), ("JPEG", "CMYK", (1, 2, 3, 4)), ("GIF", "P", 4),
        ("GIF", "L", 4), ("WEBP", "RGBA", (9, 8, 7, 6)),
    ],
)  # fmt: skip
def test_every_kind_of_pixel_is_taken(api, kind, mode, color):
    ada = api.person()
    sent = picture(kind, mode=mode, color=color, size=(700, 300))
    answer = upload(api, sent, f"a.{kind.lower()}", by=ada)
    whole = opened(content_of(api, ada, answer))
    assert (whole.format, whole.size) == (kind, (700, 300))
    assert opened(content_of(api, ada, answer, "small")).size == (128, 55)
    assert opened(content_of(api, ada, answer, "medium")).size == (512, 219)


def test_sixteen_bits_become_eight_and_keep_their_brightness(api):
    ada = api.person()
    sent = picture("PNG", mode="I;16", color=32_768)
    image = opened(content_of(api, ada, upload(api, sent, "a.png", by=ada)))
    assert abs(image.convert("L").getpixel((0, 0)) - 128) <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_stay_animations(api, kind):
    ada = api.person()
    answer = upload(api, animation(kind, frames=4), f"a.{kind.lower()}", by=ada)
    image = opened(content_of(api, ada, answer))
    assert (image.n_frames, image.size) == (4, (20, 10))
    image.seek(2)
    image.load()
    assert image.info["duration"] == 70
    assert not getattr(opened(content_of(api, ada, answer, "small")), "is_animated", False)


def test_a_photograph_with_pictures_behind_it_is_the_first_of_them(api):
    """As many telephones write them (CIPA DC-007): what they add is for screens, or a preview."""
    ada, file = api.person(), io.BytesIO()
    whole, behind = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (30, 20), "blue")
    whole.save(file, "MPO", save_all=True, append_images=[behind])
    image = opened(content_of(api, ada, upload(api, file.getvalue(), "photo.jpg", by=ada)))
    assert (image.format, image.size) == ("JPEG", (60, 40))
    assert image.getpixel((30, 20))[0] > 200


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_with_too_many_frames_or_pixels_in_all_are_refused(monkeypatch, api, kind):
    ada = api.person()
    monkeypatch.setattr(pictures, "MOST_FRAMES", 5)
    assert upload(api, animation(kind, 5), f"a.{kind.lower()}", by=ada).status_code == 201
    refused = upload(api, animation(kind, 6), f"a.{kind.lower()}", by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED")
    assert refused.json["error"]["params"]["reason"] == "too_many_frames"
    monkeypatch.setattr(pictures, "MOST_PIXELS", 20 * 10 * 4)
    refused = upload(api, animation(kind, 5), f"a.{kind.lower()}", by=ada)
    assert refused.json["error"]["params"]["reason"] == "too_many_frames"


def test_a_later_frame_that_is_larger_than_the_first_counts_as_large_as_it_is(monkeypatch, api):
    sent = bytearray(animation("GIF", 3))
    second = sent.index(b",", sent.index(b",") + 1)
    assert sent[second + 5 : second + 9] == b"\x14\0\x0a\0"  # 20 x 10
    sent[second + 5 : second + 9] = b"\xe8\x03\xe8\x03"  # 1000 x 1000
    monkeypatch.setattr(pictures, "MOST_PIXELS", 900_000)
    refused = upload(api, bytes(sent), "a.gif", by=api.person())
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED"), refused.json
    assert refused.json["error"]["params"]["reason"] == "too_many_frames"


def test_a_header_is_read_without_memory_for_what_it_says():
    tracemalloc.start()
    try:
        for size in [(50_000, 50_000), (100_000, 100_000), (7_100, 7_100)]:
            with pytest.raises(PictureRefused) as refused:
                look(io.BytesIO(png_header(*size)), "image/png")
            assert refused.value.reason == "too_many_pixels"
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert look(io.BytesIO(png_header(7_000, 7_000)), "image/png") == (7_000, 7_000)


def test_a_picture_whose_pixels_are_missing_is_quarantined_and_never_served(api):
    ada = api.person()
    whole = picture("JPEG", size=(300, 300), quality=95)
    for content, name in [(whole[: len(whole) // 2], "half.jpg"), (png_header(500, 500), "empty.png")]:
        refused = upload(api, content, name, by=ada)
        assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED"), refused.json
        assert refused.json["error"]["params"]["reason"] == "unreadable_image"
        file_id = refused.json["error"]["params"]["file_id"]
        shown = api.get(f"/files/{file_id}", by=ada).json["data"]
        assert (shown["status"], shown["reason"]) == ("quarantined", "unreadable_image")
        assert (shown["content_url"], shown["variants"]) == (None, [])
        assert code_of(api.get(f"/files/{file_id}/content", by=ada)) == "CONTENT_NOT_FOUND"


def test_a_decoder_is_only_asked_for_its_own_format():
    """A TIFF or an EPS that begins like a PNG is none."""
    with pytest.raises(PictureRefused), remade(io.BytesIO(picture("BMP")), "image/png", square=False):
        pass


def test_no_more_than_two_are_decoded_at_once_nor_more_pixels_than_one_may_have():
    room, most, inside = pictures._Room(), [], []
    guard = threading.Lock()

    def decode(pixels):
        with room.taken(pixels):
            with guard:
                inside.append(pixels)
                most.append((len(inside), sum(inside)))
            threading.Event().wait(0.002)
            with guard:
                inside.remove(pixels)

    threads = [
        threading.Thread(target=decode, args=(size,))
        for size in [1_000, 30_000_000, 30_000_000, 50_000_000, 2_000] * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(count for count, _ in most) == 2
    assert max(pixels for _, pixels in most) <= pictures.MOST_PIXELS
    assert len(most) == 20
