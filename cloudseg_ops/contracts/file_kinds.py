"""Names what a file is by its first bytes, for files that are not photographs although their names say so.

It is a table instead of a library, because libraries that detect types know neither pointers of Git LFS nor error
messages, login pages and files of zeros, which are what people upload by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

Data = bytes | bytearray

_TEXT_BYTES = 1024
_CONVERT = "convert it to JPEG and upload it again"
_AGAIN = "upload the photograph again"


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is.

    Attributes:
        name: With its article: `a PDF document`.
        advice: What to do.
        format: Pillow's name of the format, if it can be a photograph's; otherwise None.
    """

    name: str
    advice: str
    format: str | None = None


def _photograph(name: str, image_format: str) -> FileKind:
    return FileKind(name, _AGAIN, image_format)


_EMPTY = FileKind("an empty file (zero bytes)", _AGAIN)
_ZEROS = FileKind("a file of zeros only, as an interrupted transfer leaves it", _AGAIN)
_AVIF = FileKind("an AVIF image", _CONVERT, "AVIF")
_HEIC = FileKind("a HEIC image", _CONVERT, "HEIF")
_RAW = "a camera's raw file"
_TIFF = _photograph("a TIFF image", "TIFF")
RAW_TIFF = FileKind(f"{_RAW} (TIFF with the sensor's values: DNG, NEF, ARW)", _CONVERT)
"""Raw files that begin like any TIFF; `tiff_pages` tells them apart."""
_BMP = _photograph("a BMP image", "BMP")
_UNKNOWN_MEDIA = FileKind("a video (MP4)", "upload a photograph")

# (offset, first bytes, kind); the first match counts.
_SIGNATURES: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"\xff\xd8\xff", _photograph("a JPEG", "JPEG")),
    (0, b"\x89PNG\r\n\x1a\n", _photograph("a PNG image", "PNG")),
    (8, b"WEBP", _photograph("a WebP image", "WEBP")),
    (8, b"CR\x02", FileKind(f"{_RAW} (CR2)", _CONVERT)),
    (0, b"II*\0", _TIFF),
    (0, b"MM\0*", _TIFF),
    (0, b"II+\0", _TIFF),
    (0, b"MM\0+", _TIFF),
    (0, b"GIF8", FileKind("a GIF image", _CONVERT)),
    (0, b"IIRO", FileKind(f"{_RAW} (ORF)", _CONVERT)),
    (0, b"IIU\0", FileKind(f"{_RAW} (RW2)", _CONVERT)),
    (0, b"FUJIFILMCCD-RAW", FileKind(f"{_RAW} (RAF)", _CONVERT)),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", FileKind("a JPEG 2000 image", _CONVERT)),
    (0, b"\xff\x4f\xff\x51", FileKind("a JPEG 2000 image", _CONVERT)),
    (0, b"\xff\x0a", FileKind("a JPEG XL image", _CONVERT)),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", FileKind("a JPEG XL image", _CONVERT)),
    (0, b"8BPS", FileKind("a Photoshop document", _CONVERT)),
    (0, b"v/1\x01", FileKind("an OpenEXR image", _CONVERT)),
    (0, b"\0\0\x01\0", FileKind("an icon (ICO)", "upload a photograph")),
    (0, b"SIMPLE  =", FileKind("a FITS file", _CONVERT)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 or netCDF file", _CONVERT)),
    (0, b"CDF", FileKind("a netCDF file", _CONVERT)),
    (0, b"GRIB", FileKind("a GRIB file", _CONVERT)),
    (0, b"%PDF", FileKind("a PDF document", "extract its images and upload those")),
    (0, b"%!PS", FileKind("a PostScript document", _CONVERT)),
    (0, b"PK\x03\x04", FileKind("a ZIP archive or an Office document", "unpack it and upload the photographs")),
    (0, b"\x1f\x8b", FileKind("a gzip file", "unpack it and upload the photographs")),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", "unpack it and upload the photographs")),
    (0, b"Rar!", FileKind("a RAR archive", "unpack it and upload the photographs")),
    (257, b"ustar", FileKind("a tar archive", "unpack it and upload the photographs")),
    (8, b"AVI ", FileKind("a video (AVI)", "upload a photograph")),
    (0, b"\x1aE\xdf\xa3", FileKind("a video (Matroska or WebM)", "upload a photograph")),
    (0, b"\0\x05\x16\x07", FileKind("macOS metadata (AppleDouble, a file `._…`)", "upload the photograph itself")),
    (0, b"Obj\x01", FileKind("an Avro file", "upload a photograph")),
)

# Brands of the ISO base media file format, bytes 8 to 11.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), _HEIC),
    b"crx ": FileKind(f"{_RAW} (CR3)", _CONVERT),
    b"qt  ": FileKind("a video (QuickTime)", "upload a photograph"),
}
_COMMON_BRANDS = (b"mif1", b"msf1")
"""Brands of both AVIF and HEIC."""

_LFS = FileKind("a pointer of Git LFS that stands for the file", "run `git lfs pull` and upload the file itself")
_DVC = FileKind("a pointer of DVC that stands for the file", "run `dvc pull` and upload the file itself")
_HTML = FileKind("a web page (HTML), such as a login or error page", "download the photograph again and upload it")
_SVG = FileKind("a drawing (SVG)", "upload a photograph")
_XML = FileKind("an XML document, such as a storage service's error", "download the photograph again and upload it")
_JSON = FileKind("JSON text, such as a service's error", "download the photograph again and upload it")
_TEXT = FileKind("text", "upload the photograph itself")


def identify(data: Data) -> FileKind | None:
    """Return what a file is; None if its first bytes are unknown.

    Args:
        data: The file. Only the first kilobyte counts, unless that is all zeros.
    """
    if not data:
        return _EMPTY
    start = bytes(data[:_TEXT_BYTES])
    if not any(start):
        return _ZEROS if data.count(0) == len(data) else None
    if start[4:8] == b"ftyp":
        return _media(start)
    for offset, magic, kind in _SIGNATURES:
        if start.startswith(magic, offset):
            return kind
    # Last, because text can begin with these two letters.
    return _text(start) or (_BMP if start.startswith(b"BM") else None)


def _media(start: bytes) -> FileKind:
    brand = start[8:12]
    if brand in _COMMON_BRANDS:
        compatible = start[16 : int.from_bytes(start[:4], "big")]
        return _AVIF if b"avif" in compatible or b"avis" in compatible else _HEIC
    return _BRANDS.get(brand, _UNKNOWN_MEDIA)


def _text(start: bytes) -> FileKind | None:
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    # The last character may be cut.
    text = start.decode(encoding, "ignore" if len(start) == _TEXT_BYTES else "replace").strip()
    if not text or not all(character.isprintable() or character in "\r\n\t" for character in text) or "\ufffd" in text:
        return None
    return _kind_of_text(text.lower())


def _kind_of_text(text: str) -> FileKind:
    if text.startswith("version https://git-lfs"):
        return _LFS
    if "outs:" in text and "\n- md5:" in text:
        return _DVC
    if text.startswith(("<!doctype html", "<html", "<head", "<body", "<script")):
        return _HTML
    if text.startswith("<"):
        return _SVG if "<svg" in text else _XML
    return _JSON if text[0] in "{[" else _TEXT
