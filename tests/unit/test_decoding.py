"""One image from bytes to BGR: every kind of image has one outcome."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from perftool.images.decoding import Decoded, decode

SIZE = (90, 140)


def picture(channels: int = 3) -> np.ndarray:
    """Draw something smooth, which a lossy format keeps, with every value somewhere."""
    small = np.random.default_rng(11).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return cv2.resize(small, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC)


def pil(mode: str = "RGB") -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture()[:, :, ::-1]))
    return image if mode == "RGB" else image.convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def reference(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)


def pixels(decoded: Decoded) -> np.ndarray:
    assert decoded.pixels is not None, decoded.reason
    assert decoded.pixels.dtype == np.uint8
    return decoded.pixels


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def turned(orientation: int) -> bytes:
    """Return an EXIF block that says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


WHOLE = {
    "jpeg": saved(pil(), "JPEG"),
    "progressive": saved(pil(), "JPEG", progressive=True),
    "png": saved(pil(), "PNG"),
    "bmp": saved(pil(), "BMP"),
    "ppm": saved(pil(), "PPM"),
    "tiff": saved(pil(), "TIFF"),
    "tiff-lzw": saved(pil(), "TIFF", compression="tiff_lzw"),
    "tiff-strips-last": encoded(".tif", picture()),
    "webp": saved(pil(), "WEBP"),
    "webp-lossless": saved(pil(), "WEBP", lossless=True),
}


# ---------------------------------------------------------------- plain images


@pytest.mark.parametrize("name", WHOLE)
def test_a_plain_image_is_opencvs_to_the_bit(name: str) -> None:
    decoded = decode(WHOLE[name])
    assert np.array_equal(pixels(decoded), reference(WHOLE[name]))
    assert decoded.found == ()


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 95])
def test_jpegs_of_every_making_are_opencvs(subsampling: int, quality: int) -> None:
    content = saved(pil(), "JPEG", subsampling=subsampling, quality=quality)
    assert np.array_equal(pixels(decode(content)), reference(content))


def test_alpha_is_dropped_and_the_colour_below_stays() -> None:
    clear = np.dstack([picture(), np.zeros(SIZE, dtype=np.uint8)])
    decoded = decode(encoded(".png", clear))
    assert (difference(pixels(decoded), picture()), decoded.found) == (0, ())


def test_a_palette_is_looked_up() -> None:
    palette = pil("P")
    decoded = decode(saved(palette, "PNG", transparency=3))
    assert difference(pixels(decoded), np.asarray(palette.convert("RGB"))[:, :, ::-1]) == 0
    assert decoded.found == ()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_of_many_frames_the_first_is_read(form: str) -> None:
    frames = [Image.new("RGB", (20, 10), (value, value, value)) for value in (10, 100, 200)]
    options = {"lossless": True} if form == "WEBP" else {}
    decoded = decode(saved(frames[0], form, save_all=True, append_images=frames[1:], **options))
    assert pixels(decoded).shape == (10, 20, 3)
    assert np.unique(pixels(decoded)).tolist() == [10]
    assert decoded.found == ()


# ---------------------------------------------------------------- kinds that are read and counted


@pytest.mark.parametrize(
    "content",
    [
        saved(pil("L"), "JPEG"),
        saved(pil("L"), "PNG"),
        saved(pil("L").convert("LA"), "PNG"),
        saved(pil("1"), "PNG"),
        saved(pil("L"), "BMP"),
        saved(pil("L"), "TIFF"),
        saved(pil("L"), "PPM"),
    ],
    ids=["jpeg", "png", "png-alpha", "png-1-bit", "bmp", "tiff", "pgm"],
)
def test_grey_is_spread_over_three_channels(content: bytes) -> None:
    decoded = decode(content)
    assert np.array_equal(pixels(decoded), reference(content))
    assert np.ptp(pixels(decoded), axis=2).max() == 0
    assert decoded.found == ("greyscale",)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_16_bits_become_8(suffix: str) -> None:
    deep = picture().astype(np.uint16) * 256 + 255
    decoded = decode(encoded(suffix, deep))
    # PNG and PNM take the upper 8 bits, TIFF rounds.
    assert difference(pixels(decoded), picture()) <= 1
    assert np.array_equal(pixels(decoded), reference(encoded(suffix, deep)))
    assert decoded.found == ("sixteen_bit",)
    grey = decode(encoded(suffix.replace("ppm", "pgm"), deep[:, :, 0]))
    assert difference(pixels(grey)[:, :, 2], picture()[:, :, 0]) <= 1
    assert grey.found == ("greyscale", "sixteen_bit")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_exif_orientation_is_obeyed(form: str, orientation: int) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(pil(), form, exif=turned(orientation), **options)
    decoded = decode(content)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    # Pillow brings a libjpeg of its own.
    assert difference(pixels(decoded), np.asarray(upright)[:, :, ::-1]) <= (2 if form == "JPEG" else 0)
    assert np.array_equal(pixels(decoded), reference(content))
    assert decoded.found == (("rotated",) if orientation > 1 else ())


def test_an_orientation_behind_a_pngs_pixels_is_obeyed() -> None:
    content = WHOLE["png"]
    late = chunk(b"eXIf", turned(6)[len(b"Exif\0\0") :])
    end = chunk(b"IEND", b"")
    decoded = decode(content.removesuffix(end) + late + end)
    assert (pixels(decoded).shape[:2], decoded.found) == ((SIZE[1], SIZE[0]), ("rotated",))


def test_an_orientation_in_xmp_is_not_obeyed_and_not_counted() -> None:
    said = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li tiff:Orientation="6"/></x:xmpmeta>'
    content = saved(pil(), "JPEG", xmp=said)
    decoded = decode(content)
    assert (pixels(decoded).shape[:2], decoded.found) == (SIZE, ())


def test_several_kinds_at_once() -> None:
    assert decode(saved(pil("L"), "JPEG", exif=turned(6))).found == ("greyscale", "rotated")


# ---------------------------------------------------------------- CMYK


def ink() -> Image.Image:
    return Image.frombytes("CMYK", (SIZE[1], SIZE[0]), picture(4).tobytes())


def colours(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def without_adobe(content: bytes) -> bytes:
    """Take the marker away that says that Adobe wrote the ink, inverted."""
    start = content.index(b"\xff\xee")
    return content[:start] + content[start + 2 + struct.unpack_from(">H", content, start + 2)[0] :]


def negative(image: Image.Image) -> Image.Image:
    return Image.frombytes("CMYK", image.size, (255 - np.asarray(image)).tobytes())


def test_adobes_cmyk_jpeg_has_its_colours() -> None:
    content = saved(ink(), "JPEG", quality=98, subsampling=0)
    decoded = decode(content)
    assert difference(pixels(decoded), colours(ink())) <= 8
    assert np.array_equal(pixels(decoded), reference(content))
    assert decoded.found == ("cmyk",)


def test_a_cmyk_jpeg_as_the_standard_has_it_is_no_negative() -> None:
    content = without_adobe(saved(negative(ink()), "JPEG", quality=98, subsampling=0))
    decoded = decode(content)
    assert difference(pixels(decoded), colours(ink())) <= 8
    assert difference(reference(content), colours(ink())) > 200, "what OpenCV makes of it"
    assert decoded.found == ("cmyk",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cmyk_jpeg_as_the_standard_has_it_is_turned(orientation: int) -> None:
    content = saved(negative(ink()), "JPEG", quality=98, subsampling=0, exif=turned(orientation))
    upright = ink()
    upright.getexif()[0x0112] = orientation
    decoded = decode(without_adobe(content))
    assert difference(pixels(decoded), colours(ImageOps.exif_transpose(upright))) <= 8
    assert decoded.found == (("cmyk", "rotated") if orientation > 1 else ("cmyk",))


def test_ink_stored_as_luminance_has_the_colours_that_pillow_finds() -> None:
    content = bytearray(saved(ink(), "JPEG", quality=98, subsampling=0))
    content[content.index(b"Adobe") + 11] = 2  # the four components are now read as YCCK
    decoded = decode(bytes(content))
    found = colours(Image.open(io.BytesIO(bytes(content))))
    assert difference(pixels(decoded), found) <= 4
    assert decoded.found == ("cmyk",)


def test_a_cmyk_tiff_has_its_colours() -> None:
    decoded = decode(saved(ink(), "TIFF"))
    assert difference(pixels(decoded), colours(ink())) <= 1
    assert decoded.found == ("cmyk",)


# ---------------------------------------------------------------- truncated


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97, -1])
@pytest.mark.parametrize("name", WHOLE)
def test_an_image_that_ends_early_is_truncated(name: str, share: float) -> None:
    content = WHOLE[name]
    decoded = decode(content[: int(len(content) * share) if share > 0 else share])
    assert (decoded.pixels, decoded.found) == (None, ("truncated",))
    assert "truncated" in decoded.reason


def test_a_jpeg_whose_rest_is_empty_is_truncated_though_opencv_decodes_it() -> None:
    half = len(WHOLE["jpeg"]) // 2
    preallocated = WHOLE["jpeg"][:half] + bytes(8 * half)
    assert reference(preallocated) is not None, "or this would prove nothing"
    assert decode(preallocated).found == ("truncated",)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    thumbnail = saved(pil().resize((16, 12)), "JPEG")
    content = WHOLE["jpeg"][:2] + segment(0xE3, b"thumb\0" + thumbnail) + WHOLE["jpeg"][2:]
    assert np.array_equal(pixels(decode(content)), reference(WHOLE["jpeg"]))
    half = len(content) - len(WHOLE["jpeg"]) // 2
    assert b"\xff\xd9" in content[:half]
    assert decode(content[:half] + bytes(500)).found == ("truncated",)


def test_what_follows_a_jpegs_end_does_not_matter() -> None:
    content = WHOLE["jpeg"] + b"\0" * 4096
    assert np.array_equal(pixels(decode(content)), reference(WHOLE["jpeg"]))


def test_a_wrong_length_in_a_bmp_does_not_matter_if_all_is_there() -> None:
    content = bytearray(WHOLE["bmp"])
    struct.pack_into("<I", content, 2, len(content) * 2)
    assert difference(pixels(decode(bytes(content))), picture()) == 0


# ---------------------------------------------------------------- corrupt


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "an empty file"),
        (b"a note, not a picture", "not an image"),
        (b"BM and so on", "not an image"),
        (b"P is no PPM", "not an image"),
        (b"\0" * 5000, "not an image"),
        (saved(pil("P"), "GIF"), "a format that is not read"),
        (WHOLE["png"][:60] + b"\xff" * 40 + WHOLE["png"][100:], "damaged"),
    ],
    ids=["empty", "text", "bmp-in-name", "ppm-in-name", "zeros", "gif", "damaged-png"],
)
def test_what_is_no_image_is_corrupt(content: bytes, complaint: str) -> None:
    decoded = decode(content)
    assert (decoded.pixels, decoded.found) == (None, ("corrupt",))
    assert complaint in decoded.reason
    assert "\n" not in decoded.reason


def test_an_image_of_floats_is_corrupt() -> None:
    assert decode(encoded(".tif", picture().astype(np.float32))).found == ("corrupt",)


def test_random_damage_never_raises() -> None:
    rng = np.random.default_rng(2)
    for content in WHOLE.values():
        for _ in range(15):
            damaged = bytearray(content)
            for at in rng.integers(0, len(content), 12):
                damaged[at] = int(rng.integers(0, 256))
            first = decode(bytes(damaged))
            again = decode(bytes(damaged))
            assert (first.found, first.reason) == (again.found, again.reason)
            assert (first.pixels is None) == bool({"corrupt", "truncated"} & set(first.found))


@pytest.mark.parametrize("side", [14_000, 30_000, 2**31 - 1])
def test_a_bomb_is_corrupt_before_memory_is_given(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000)))
    assert decode(bomb + chunk(b"IEND", b"")).found == ("corrupt",)


def test_a_bomb_of_a_jpeg_is_corrupt() -> None:
    content = bytearray(WHOLE["jpeg"])
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 65_000, 65_000)
    decoded = decode(bytes(content))
    assert decoded.found == ("corrupt",)
    assert "65000x65000" in decoded.reason
