"""A small SoundFont, planted: a drum preset and a melodic one, made of three samples."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from beatsight.audio.io import SAMPLE_RATE


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def generators(*pairs: tuple[int, int]) -> list[bytes]:
    return [struct.pack("<HH", number, amount & 0xFFFF) for number, amount in pairs]


def soundfont(path: Path) -> Path:
    """A drum preset with a snare of two layers on key 38, and an organ that loops on key 60."""
    seconds = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    hit = (np.exp(-20 * seconds) * np.sin(2 * np.pi * 200 * seconds) * 20000).astype("<i2")
    tone = (np.sin(2 * np.pi * 441 * seconds) * 10000).astype("<i2")
    data = np.concatenate([hit, hit // 2, tone])
    n = len(hit)
    samples = [
        (b"loud", 0, n, 0, 0, 38),
        (b"soft", n, 2 * n, 0, 0, 38),
        (b"organ", 2 * n, 3 * n, 2 * n, 2 * n + 22000, 69),
    ]
    shdr = b"".join(
        name.ljust(20, b"\0") + struct.pack("<IIIIIBbHH", a, b, c, d, SAMPLE_RATE, key, 0, 0, 1)
        for name, a, b, c, d, key in samples
    ) + bytes(46)  # fmt: skip
    # Zones of the instruments: the snare's layers, then the organ's single one.
    igen = [
        *generators((43, 38 | 38 << 8), (44, 64 | 127 << 8), (53, 0)),
        *generators((43, 38 | 38 << 8), (44, 0 | 63 << 8), (48, 100), (53, 1)),
        *generators((54, 1), (53, 2)),
    ]
    ibag = b"".join(struct.pack("<HH", at, 0) for at in (0, 3, 7, 9))
    inst = b"".join(
        name.ljust(20, b"\0") + struct.pack("<H", at)
        for name, at in ((b"Snare", 0), (b"Organ", 2), (b"EOI", 3))
    )
    pgen = generators((41, 0), (41, 1))
    pbag = b"".join(struct.pack("<HH", at, 0) for at in (0, 1, 2))
    phdr = b"".join(
        name.ljust(20, b"\0") + struct.pack("<HHHIII", program, bank, bag, 0, 0, 0)
        for name, program, bank, bag in ((b"Kit", 0, 128, 0), (b"Organ", 16, 0, 1), (b"EOP", 0, 0, 2))
    )
    tables = {
        b"phdr": phdr, b"pbag": pbag, b"pmod": bytes(10), b"pgen": b"".join(pgen) + bytes(4),
        b"inst": inst, b"ibag": ibag, b"imod": bytes(10), b"igen": b"".join(igen) + bytes(4), b"shdr": shdr,
    }  # fmt: skip
    body = b"sfbk" + chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", data.tobytes()))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(name, table) for name, table in tables.items()))
    path.write_bytes(chunk(b"RIFF", body))
    return path
