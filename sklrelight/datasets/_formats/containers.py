"""What JPEG and PNG files say beside their pixels: size, EXIF block, colour profile."""

import struct
import zlib

__all__ = ["add_profile", "read_exif", "read_profile", "read_size"]

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
_ICC = b"ICC_PROFILE\0"
_LARGEST_PROFILE = 2**24
_FRAMES = {0xC0 + number for number in range(16)} - {0xC4, 0xC8, 0xCC}


def read_size(data):
    """Return height, width, channels and bytes of a value of an encoded JPEG or PNG file; None where it says none."""
    for kind, content in _parts(data):
        if kind == b"IHDR" and len(content) >= 10:
            width, height, bits, colour_type = struct.unpack_from(">IIBB", content)
            return height, width, {2: 3, 3: 3, 4: 2, 6: 4}.get(colour_type, 1), -(-bits // 8)
        if kind in _FRAMES and len(content) >= 6:
            bits, height, width, channels = struct.unpack_from(">BHHB", content)
            return height, width, channels, -(-bits // 8)
    return None


def read_exif(data):
    """Return the EXIF block of an encoded JPEG or PNG file; empty where it has none."""
    for kind, content in _parts(data):
        if kind == b"eXIf":
            return content
        if kind == 0xE1 and content.startswith(b"Exif\0\0"):
            return content[6:]
    return b""


def read_profile(data):
    """Return the ICC profile of an encoded JPEG or PNG file, or None."""
    found = b""
    for kind, content in _parts(data):
        if kind == b"iCCP":
            try:
                return zlib.decompressobj().decompress(content.partition(b"\0")[2][1:], _LARGEST_PROFILE)
            except zlib.error:
                return None
        if kind == 0xE2 and content.startswith(_ICC):
            # Profiles of more than 64 KB are in several parts, which come in their order.
            found += content[len(_ICC) + 2 :]
    return found or None


def add_profile(data, profile):
    """Put an ICC profile into an encoded JPEG or PNG file."""
    if data.startswith(PNG):
        content = b"ICC profile\0\0" + zlib.compress(profile)
        chunk = struct.pack(">I", len(content)) + b"iCCP" + content + struct.pack(">I", zlib.crc32(b"iCCP" + content))
        place = 33  # behind the first chunk
    else:
        content = _ICC + b"\x01\x01" + profile
        chunk = b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content
        # Behind the segment that says JFIF, if it is there.
        place = 4 + struct.unpack_from(">H", data, 4)[0] if data[2:4] == b"\xff\xe0" else 2
    return data[:place] + chunk + data[place:]


def _parts(data):
    """Yield the kind and the content of each part before the pixels: markers of a JPEG file, chunks of a PNG file."""
    try:
        if data.startswith(JPEG):
            position = 2
            while data[position : position + 1] == b"\xff":
                marker, length = struct.unpack_from(">xBH", data, position)
                if marker == 0xDA or length < 2:
                    return
                yield marker, data[position + 4 : position + 2 + length]
                position += 2 + length
        elif data.startswith(PNG):
            position = 8
            while True:
                length, kind = struct.unpack_from(">I4s", data, position)
                yield kind, data[position + 8 : position + 8 + length]
                position += 12 + length
    except struct.error:
        # The end of the file, which the decoder reports if it comes too early.
        return
