"""Files that people upload under the name of a photograph, made here: each stands for its kind."""

import gzip
import io
import zipfile

import numpy as np
from PIL import Image

from tests.support.pixels import encoded, noise
from tests.support.tiffs import MASK, REDUCED, planes, tiff, with_sub_page

RGB = noise(16, 12)
SMALL = RGB[::2, ::2].copy()
SHAPE = RGB[..., 0].copy()
DEEP = (noise(16, 12, 1).astype(np.uint16) << 8) + 7
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 12345\n"


def box(brand: bytes, *compatible: bytes) -> bytes:
    """The start of an ISO base media file."""
    body = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08mdat"


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return stream.getvalue()


RAW_TIFF = tiff((RGB, {254: REDUCED, 50706: [1, 4, 0, 0]}))
# What the reason must say; every message also says what to do.
NOT_PHOTOGRAPHS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "zeros": (bytes(70_000), "zeros only"),
    "gif": (encoded(Image.fromarray(RGB).convert("P"), "GIF"), "GIF image: convert"),
    "html": (b"\xef\xbb\xbf \n<!DOCTYPE html><title>Sign in</title>", "web page"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "error as xml": (b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>", "XML"),
    "error as json": (b'{"error": {"code": 403, "message": "no access"}}', "JSON"),
    "git lfs": (LFS, "git lfs pull"),
    "dvc": (b"outs:\n- md5: 0a1b\n  size: 3\n  path: sky.jpg\n", "dvc pull"),
    "text": ("Wolken über Köln".encode(), "text"),
    "text of windows": ("clouds".encode("utf-16"), "text"),
    "text of two known letters": (b"BM is missing here", "text"),
    "pdf": (encoded(Image.fromarray(RGB), "PDF"), "PDF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "zip": (_zip(), "ZIP"),
    "gzip": (gzip.compress(b"x" * 99), "gzip"),
    "mp4": (box(b"isom", b"mp41"), r"video \(MP4\)"),
    "mov": (box(b"qt  "), "QuickTime"),
    "cr3": (box(b"crx ", b"isom"), "CR3"),
    "cr2": (b"II*\0\x10\0\0\0CR\x02\0" + tiff((RGB, {}))[12:], "CR2"),
    "raw tiff": (RAW_TIFF, "raw file"),
    "raw tiff below its thumbnail": (with_sub_page((SMALL, {254: REDUCED}), (SHAPE, {262: 32803})), "raw file"),
    "photoshop": (b"8BPS\0\1" + bytes(6) + b"\0\3", "Photoshop"),
    "jpeg 2000": (encoded(Image.fromarray(RGB), "JPEG2000"), "JPEG 2000"),
    "jpeg xl": (b"\xff\x0a\xfa\x1f", "JPEG XL"),
    "icon": (encoded(Image.new("RGB", (16, 16)), "ICO"), "icon"),
    "apple double": (b"\0\x05\x16\x07\0\2\0\0Mac OS X        ", "AppleDouble"),
    "netcdf": (b"\x89HDF\r\n\x1a\n" + bytes(8), "HDF5"),
    "jpeg without a header": (b"\xff\xd8\xff\xe0" + bytes(300), "JPEG"),
}

# What the reason must say of TIFFs that cannot be read, or that Pillow would read incorrectly.
UNREADABLE_TIFFS: dict[str, tuple[bytes, str]] = {
    "13 bands": (tiff((noise(16, 12, 13).astype(np.uint16), {})), "13 bands of 16 bits: only 1, 3 or 4 bands"),
    "5 bands": (tiff((noise(16, 12, 5).astype(np.uint16), {339: [1] * 5})), "5 bands of 16 bits: only 1, 3 or 4"),
    "2 bands": (tiff((noise(16, 12, 2), {})), "2 bands of 8 bits: only 1, 3 or 4 bands"),
    "bands without colors": (tiff((RGB, {262: 1})), "3 bands of 8 bits: .* red, green and blue"),
    "color floats": (tiff((RGB.astype(np.float32), {})), r"3 bands of 32 bits \(floating-point\): .* 1 band of 32"),
    "long floats": (tiff((DEEP.astype(np.float64), {})), r"1 band of 64 bits \(floating-point\)"),
    "complex": (tiff((DEEP.astype(np.complex64), {})), r"\(complex\)"),
    "signed colors": (tiff((RGB.astype(np.int16), {})), r"3 bands of 16 bits \(signed\)"),
    "signed bytes": (tiff((RGB[..., 0].astype(np.int8), {})), r"1 band of 8 bits \(signed\): .* unsigned"),
    "long integers": (tiff((DEEP.astype(np.uint64), {})), "1 band of 64 bits: .* at most 32 bits"),
    "color in deep planes": (tiff(planes(RGB.astype(np.uint16))), "3 bands of 16 bits: separate planes"),
    "0 is white": (tiff((DEEP, {262: 0})), "1 band of 16 bits, in which 0 is white"),
    "volume": (tiff((RGB, {32997: 7})), "a volume of 7 slices"),
    "lerc": (tiff((RGB, {259: 34887})), "LERC compression"),
    "webp": (tiff((RGB, {259: 50001})), "WebP compression"),
    "big-endian bigtiff": (tiff((RGB, {}), order=">", big=True), "a big-endian BigTIFF"),
    "without pages": (b"II*\0\0\0\0\0", "header is broken or truncated"),
}

# TIFFs of several pages of which one is the photograph, RGB.
SINGLE_PHOTOGRAPHS: dict[str, bytes] = {
    "overviews": tiff((RGB, {}), (SMALL, {254: REDUCED}), (SMALL[::2, ::2].copy(), {254: REDUCED})),
    "thumbnail first": tiff((SMALL, {254: REDUCED}), (RGB, {254: 0})),
    "old thumbnail": tiff((RGB, {255: 1}), (SMALL, {255: 2})),
    "mask": tiff((RGB, {}), (SHAPE, {254: MASK, 262: 4}), (SMALL, {254: REDUCED}), (SHAPE, {254: REDUCED | MASK})),
    "mask by its colors": tiff((RGB, {}), (SHAPE, {262: 4})),
    "bigtiff": tiff((SMALL, {254: REDUCED}), (RGB, {}), big=True),
    "big-endian": tiff((RGB, {}), (SMALL, {254: REDUCED}), order=">"),
    "marked as reduced": tiff((RGB, {254: REDUCED})),
    "planes": tiff(planes(RGB)),
    "a page of itself": tiff((RGB, {254: 2})),
}
SEVERAL_PHOTOGRAPHS: dict[str, bytes] = {
    "two pages": tiff((RGB, {}), (RGB, {})),
    "two pages and an overview": tiff((RGB, {}), (SMALL, {254: REDUCED}), (RGB, {})),
    "only thumbnails": tiff((SMALL, {254: REDUCED}), (SMALL, {254: REDUCED})),
    "more pages than are read": tiff((RGB, {}), *[(SMALL[:1, :1].copy(), {254: REDUCED})] * 100),
}
