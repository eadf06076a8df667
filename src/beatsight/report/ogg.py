"""Ogg streams that are the same on every run: encoders draw a serial number at random, here it becomes 1.

Source: RFC 3533 (The Ogg Encapsulation Format). A page begins with ``OggS``; its serial number stands in
bytes 14 to 17, its CRC-32 (polynomial 0x04C11DB7, not reflected, from 0, over the page with a zero in this
field) in bytes 22 to 25, the number of its segments in byte 26, their lengths behind it.
"""

from __future__ import annotations

import struct

from beatsight.errors import InputError

_POLYNOMIAL = 0x04C11DB7
_HEADER_BYTES = 27
_SERIAL = 1


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x8000_0000 else 0)
        table.append(value & 0xFFFF_FFFF)
    return tuple(table)


_TABLE = _crc_table()


def page_crc(page: bytes) -> int:
    """The checksum of a page whose own checksum field holds zeros.

    >>> hex(page_crc(b"123456789"))
    '0x89a1897f'
    """
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFF_FFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc


def fixed_serial(stream: bytes) -> bytes:
    """The same stream with serial number 1, its checksums made new.

    Args:
        stream: a whole Ogg file with one logical stream.

    Raises:
        InputError: it is no Ogg file, or cut short.
    """
    pages, at = [], 0
    while at < len(stream):
        if stream[at : at + 4] != b"OggS" or len(stream) < at + _HEADER_BYTES:
            raise InputError(f"the Ogg stream has no page at byte {at}")
        segments = stream[at + 26]
        body = at + _HEADER_BYTES + segments
        end = body + sum(stream[at + _HEADER_BYTES : body])
        if end > len(stream):
            raise InputError(f"the Ogg stream is cut short in the page at byte {at}")
        page = bytearray(stream[at:end])
        page[14:18] = struct.pack("<I", _SERIAL)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", page_crc(bytes(page)))
        pages.append(bytes(page))
        at = end
    return b"".join(pages)
