"""Decode one image from its bytes to BGR, and say what kind of image it was.

OpenCV decodes, since the reference preprocessing does; whatever it reads is taken as it reads it, except for
a CMYK JPEG without Adobe's marker. Pillow reads headers: the kind of an image, its size before memory is
given for it, and where its data begin.

What this does not do: judge an image's content. Damage that leaves a file's structure whole (bits that turned
over within a JPEG's data) goes unnoticed, as it does in every decoder.
"""

import contextlib
import io
import struct
from typing import Any, Final, Literal

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageChops,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

Pixels = NDArray[np.uint8]
"""One image: height x width x 3, BGR."""

Finding = Literal["greyscale", "cmyk", "sixteen_bit", "rotated", "missing", "corrupt", "truncated"]
"""What was odd about an image, as `record.ImageFaults` counts it. Several of the first four may hold at once;
with one of the last three there are no pixels."""


class Decoded(Struct, frozen=True, kw_only=True, eq=False):
    """What an image file came to: pixels, or None with the reason, which goes on after the file's name.

    `found` is empty for a plain colour image of 8 bits, and sorted.
    """

    pixels: Pixels | None
    found: tuple[Finding, ...] = ()
    reason: str = ""


#: More pixels than any photograph has (this is where Pillow refuses by itself); 537 MB as BGR.
PIXELS_AT_MOST: Final = 178_956_970

_START_OF_JPEG: Final = b"\xff\xd8\xff"
_END_OF_JPEG: Final = b"\xff\xd9"
_START_OF_PNG: Final = b"\x89PNG\r\n\x1a\n"
#: What a file begins with, and who reads such a header.
_READERS: Final[tuple[tuple[bytes, type[ImageFile]], ...]] = (
    (_START_OF_JPEG, JpegImagePlugin.JpegImageFile),
    (_START_OF_PNG, PngImagePlugin.PngImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II", TiffImagePlugin.TiffImageFile),
    (b"MM", TiffImagePlugin.TiffImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"P", PpmImagePlugin.PpmImageFile),
)
#: The last chunk's type and its checksum, which is always the same.
_END_OF_PNG: Final = b"IEND\xaeB`\x82"

_ORIENTATION: Final = 0x0112
#: Bytes per value of a TIFF's types, and its tags that place strips and tiles: offsets, byte counts.
_TIFF_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_DATA: Final = ((273, 279), (324, 325))

_TRUNCATED: Final = Decoded(pixels=None, found=("truncated",), reason="truncated: its end is missing")
_CORRUPT: Final = Decoded(
    pixels=None, found=("corrupt",), reason="not an image, of a format that is not read, or a damaged one"
)
#: A grey image stays of one channel and 16 bits stay 16, so that both are seen.
_AS_IT_IS: Final = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH


def decode(encoded: bytes) -> Decoded:
    """Decode an image file's content to BGR uint8, with what was odd about it, or say why that cannot be.

    JPEG, PNG, BMP, TIFF, WebP and PNM are read, whatever the file's name says. An EXIF orientation is obeyed,
    grey spread over three channels, 16 bits scaled to 8, alpha dropped; of an animation the first
    frame is taken, of a TIFF the first page. All pixels but those of a CMYK JPEG without Adobe's marker are
    those of OpenCV's IMREAD_COLOR, to the bit.
    """
    if not encoded:
        return Decoded(pixels=None, found=("corrupt",), reason="an empty file")
    header = _header(encoded)
    if _unfinished(encoded, header):
        return _TRUNCATED
    if header is None and not encoded.startswith(_START_OF_JPEG):
        return _TRUNCATED if _shorter_than_stated(encoded, header) else _CORRUPT
    if header is not None and header.width * header.height > PIXELS_AT_MOST:
        size = f"{header.width}x{header.height} pixels"
        reason = f"claims {size}, more than the {PIXELS_AT_MOST} allowed"
        return Decoded(pixels=None, found=("corrupt",), reason=reason)
    return _decoded(encoded, header)


def _decoded(encoded: bytes, header: ImageFile | None) -> Decoded:
    """Decode what looks like an image of a sound size."""
    kinds = _kinds(encoded, header)
    negative = header is not None and header.mode == "CMYK" and _without_adobe(header)
    found = _ink(header) if header is not None and negative else _opencv(encoded, _AS_IT_IS)
    if found is not None and found.ndim == 2:
        kinds.add("greyscale")
    if found is not None and found.dtype != np.uint8:
        kinds.add("sixteen_bit")
        found = _opencv(encoded, cv2.IMREAD_COLOR)
    if found is None:
        return _TRUNCATED if _shorter_than_stated(encoded, header) else _CORRUPT
    if found.ndim == 2:
        found = cv2.cvtColor(found, cv2.COLOR_GRAY2BGR)
    return Decoded(pixels=np.asarray(found, dtype=np.uint8), found=tuple(sorted(kinds)))


def _opencv(encoded: bytes, flags: int) -> NDArray[Any] | None:
    try:
        found = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), flags)
    except cv2.error:
        return None
    return None if found is None else np.asarray(found)


# ---------------------------------------------------------------- the header


def _header(encoded: bytes) -> ImageFile | None:
    """Return a file's header as Pillow reads it, None for what it does not know or cannot read.

    The readers are called by themselves: Image.open would judge the size by a warning, and look for the
    second picture of a stereo JPEG.
    """
    for start, reader in _READERS:
        if encoded.startswith(start):
            # Pillow raises a dozen classes for bytes that are no image, and they all mean the same.
            with contextlib.suppress(Exception):
                return reader(io.BytesIO(encoded))
    return None


def _kinds(encoded: bytes, header: ImageFile | None) -> set[Finding]:
    """Return what the header tells; OpenCV shows the rest, channels and depth, by what it decodes to."""
    kinds: set[Finding] = set()
    if header is None:
        return kinds
    if header.mode == "CMYK":
        kinds.add("cmyk")
    if header.mode == "LA":
        kinds.add("greyscale")
    if _orientation(encoded, header) in range(2, 9):
        kinds.add("rotated")
    return kinds


def _orientation(encoded: bytes, header: ImageFile) -> object:
    """Return the orientation that OpenCV obeys: a TIFF's tag, or that of an EXIF block. XMP is not read."""
    with contextlib.suppress(Exception):
        if isinstance(header, TiffImagePlugin.TiffImageFile):
            return header.tag_v2.get(_ORIENTATION)
        is_png = isinstance(header, PngImagePlugin.PngImageFile)
        if is_png and "exif" not in header.info and _has_chunk(encoded, b"eXIf"):
            # It follows the pixels, and is read with them.
            header.load()
        if block := header.info.get("exif"):
            exif = Image.Exif()
            exif.load(block)
            return exif.get(_ORIENTATION)
    return None


def _has_chunk(png: bytes, wanted: bytes) -> bool:
    """Tell whether a PNG has a chunk of a type. (Searching the bytes for it takes ten times as long.)"""
    at = len(_START_OF_PNG)
    while at + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if name == wanted:
            return True
        at += 12 + length
    return False


# ---------------------------------------------------------------- CMYK


def _without_adobe(header: ImageFile) -> bool:
    """Tell whether a CMYK JPEG stores ink as the standard has it, and not as Adobe does, inverted.

    Only Adobe's marker tells. OpenCV and Pillow both take every such file for Adobe's, which turns the
    colours of the others into their negative.
    """
    return isinstance(header, JpegImagePlugin.JpegImageFile) and "adobe" not in header.info


def _ink(header: ImageFile) -> NDArray[Any] | None:
    """Convert a CMYK JPEG without Adobe's marker to BGR, upright; None where it cannot be decoded."""
    with contextlib.suppress(Exception):
        ink = ImageChops.invert(header)
        # Nothing but EXIF turns an image here; Pillow would obey XMP too.
        ink.info = {"exif": header.info["exif"]} if "exif" in header.info else {}
        upright = ImageOps.exif_transpose(ink)
        return np.ascontiguousarray(np.asarray(upright.convert("RGB"))[:, :, ::-1])
    return None


# ---------------------------------------------------------------- truncation


def _unfinished(encoded: bytes, header: ImageFile | None) -> bool:
    """Tell whether a JPEG or PNG lacks the mark of its end, which decoders may pass over in silence.

    In a JPEG it is looked for after the first scan's header: thumbnails in the segments before have ends of
    their own, and within a scan's data the two bytes cannot occur. From behind, since there it is.
    """
    if encoded.startswith(_START_OF_PNG):
        return encoded.rfind(_END_OF_PNG) < 0
    if encoded.startswith(_START_OF_JPEG):
        scan = header.fp.tell() if header is not None and header.fp is not None else len(_START_OF_JPEG)
        return encoded.rfind(_END_OF_JPEG, scan) < 0
    return False


def _shorter_than_stated(encoded: bytes, header: ImageFile | None) -> bool:
    """Tell whether a file that cannot be decoded is shorter than it says itself.

    Asked only then: some writers state a length that is wrong, and the image is whole all the same.
    """
    try:
        if encoded.startswith(b"RIFF") and encoded[8:12] == b"WEBP":
            return len(encoded) < 8 + int(struct.unpack_from("<I", encoded, 4)[0])
        if isinstance(header, BmpImagePlugin.BmpImageFile):
            return len(encoded) < int(struct.unpack_from("<I", encoded, 2)[0])
        if encoded.startswith((b"II*\0", b"MM\0*")):
            return _directory_cut(encoded) or _strips_cut(header, len(encoded))
    except struct.error:
        return True
    if header is None:
        return False
    try:
        header.load()
    except Exception as error:
        return "truncated" in str(error)
    return False


def _directory_cut(encoded: bytes) -> bool:
    """Tell whether a TIFF's first directory, or a value it points at, lies beyond the end (TIFF 6.0, part 1).

    Raises struct.error where the directory itself does.
    """
    order = "<" if encoded.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", encoded, 4)
    (count,) = struct.unpack_from(f"{order}H", encoded, at)
    for index in range(count):
        _, kind, number, place = struct.unpack_from(f"{order}HHII", encoded, at + 2 + 12 * index)
        length = _TIFF_BYTES.get(kind, 0) * number
        if length > 4 and place + length > len(encoded):
            return True
    return False


def _strips_cut(header: ImageFile | None, length: int) -> bool:
    """Tell whether a TIFF's strips or tiles reach beyond the end of the file."""
    if not isinstance(header, TiffImagePlugin.TiffImageFile):
        return False
    tags = header.tag_v2
    return any(
        place + size > length
        for places, sizes in _TIFF_DATA
        for place, size in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False)
    )
