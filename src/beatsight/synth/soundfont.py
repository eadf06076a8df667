"""SoundFont 2 files: which sample sounds on which key, at which velocity, with which gain.

What is read is what a drum or a single note needs: key and velocity ranges, root key and tuning, attenuation,
loop and start offsets. Envelopes, filters and modulators are left out: a one-shot plays as it was recorded.

Conventions: samples are mono int16 in the file, float32 when read; gains in dB; keys and velocities 0..127.

Source: SoundFont Technical Specification 2.04 (E-mu Systems, 2006). Deviation: attenuation counts two fifths
of its centibels, as hardware and FluidSynth have it, not the whole of them.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from beatsight.errors import InputError

# Generators of the specification's section 8.1.2.
_START, _END, _START_COARSE, _END_COARSE = 0, 1, 4, 12
_INSTRUMENT, _KEYS, _VELOCITIES, _ATTENUATION = 41, 43, 44, 48
_COARSE, _FINE, _SAMPLE, _MODES, _ROOT = 51, 52, 53, 54, 58
_SIZES = {"phdr": 38, "pbag": 4, "pgen": 4, "inst": 22, "ibag": 4, "igen": 4, "shdr": 46}
_ATTENUATION_SHARE = 0.4
_ROM, _COMPRESSED = 0x8000, 0x10
# The specification warns below 400 Hz and above 50 kHz; sounds of studios are sampled up to 192 kHz. What
# lies outside would be stretched to hours.
_SAMPLE_RATES = (400, 192_000)
# Semitones: the range of coarse tuning in the specification.
_MOST_TUNING = 120.0
DRUM_BANK = 128


@dataclass(frozen=True)
class Zone:
    """One sample on some keys.

    Attributes:
        keys, velocities: lowest and highest, inclusive.
        sample: name of the sample.
        first, last: its extent in the file's sample data, last exclusive.
        loop: likewise of its loop; empty where it plays once.
        sample_rate: in Hz.
        root: the key at which it sounds as recorded, with its fraction (fine tuning).
        gain_db: 0 or less, as a rule.
    """

    keys: tuple[int, int]
    velocities: tuple[int, int]
    sample: str
    first: int
    last: int
    loop: tuple[int, int]
    sample_rate: int
    root: float
    gain_db: float


@dataclass(frozen=True)
class Preset:
    """A program of a bank: its zones in order of the file."""

    name: str
    bank: int
    program: int
    zones: tuple[Zone, ...]


@dataclass(frozen=True, eq=False)
class SoundFont:
    """A file's presets, in order of bank and program; sample data stays on disk."""

    path: Path
    presets: tuple[Preset, ...]
    data: np.ndarray = field(repr=False)

    def audio(self, zone: Zone) -> np.ndarray:
        """A zone's sample, float32, at its own sample rate."""
        return self.data[zone.first : zone.last].astype(np.float32) / np.float32(32768.0)


def read_soundfont(path: str | os.PathLike[str]) -> SoundFont:
    """Read a SoundFont's presets.

    Raises:
        InputError: the file is missing, damaged, compressed (.sf3) or not a SoundFont.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if content[:4] != b"RIFF" or content[8:12] != b"sfbk":
        raise InputError(f"{path}: is not a SoundFont 2 file")
    chunks = dict(_chunks(path, content, 12, len(content)))
    if missing := [name for name in (*_SIZES, "smpl") if name not in chunks]:
        raise InputError(f"{path}: is damaged: it has no {missing[0]!r} chunk")
    start, end = chunks["smpl"]
    data = np.frombuffer(content, "<i2", (end - start) // 2, start)
    tables = _Tables(path, content, chunks)
    return SoundFont(path, tuple(sorted(tables.presets(len(data)), key=lambda p: (p.bank, p.program))), data)


def _chunks(path: Path, content: mmap.mmap, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and extent of every chunk, those inside lists too."""
    while start + 8 <= end:
        name, size = content[start : start + 4], int.from_bytes(content[start + 4 : start + 8], "little")
        first, last = start + 8, start + 8 + size
        if last > end:
            raise InputError(f"{path}: is truncated in its {name.decode('latin-1')!r} chunk")
        if name == b"LIST":
            yield from _chunks(path, content, first + 4, last)
        else:
            yield name.decode("latin-1"), (first, last)
        start = last + size % 2


class _Tables:
    """The file's tables of presets, instruments, zones and samples."""

    def __init__(self, path: Path, content: mmap.mmap, chunks: dict[str, tuple[int, int]]) -> None:
        self._path = path
        self._rows: dict[str, list[bytes]] = {}
        for name, size in _SIZES.items():
            first, last = chunks[name]
            if (last - first) % size or last - first < size:
                raise InputError(f"{path}: is damaged: its {name!r} chunk has {last - first} bytes")
            self._rows[name] = [content[at : at + size] for at in range(first, last, size)]

    def presets(self, samples: int) -> Iterator[Preset]:
        """All presets; ``samples`` are in the file."""
        headers = self._rows["phdr"]
        for row, after in pairwise(headers):
            program, bank, first = struct.unpack("<HHH", row[20:26])
            last = struct.unpack("<H", after[24:26])[0]
            zones: list[Zone] = []
            for over in self._zones("pbag", "pgen", first, last):
                if _INSTRUMENT in over:
                    zones += self._instrument(over, samples)
            yield Preset(_name(row), bank, program, tuple(zones))

    def _instrument(self, over: dict[int, int], samples: int) -> Iterator[Zone]:
        headers, index = self._rows["inst"], over[_INSTRUMENT]
        if index + 1 >= len(headers):
            raise InputError(f"{self._path}: is damaged: it has no instrument {index}")
        first, last = (struct.unpack("<H", headers[i][20:22])[0] for i in (index, index + 1))
        for settings in self._zones("ibag", "igen", first, last):
            if _SAMPLE in settings and (zone := self._zone(settings, over, samples)) is not None:
                yield zone

    def _zones(self, bags: str, generators: str, first: int, last: int) -> Iterator[dict[int, int]]:
        """Settings of each zone over those of the global one, which is the first without a target."""
        rows, target = self._rows[bags], _INSTRUMENT if bags == "pbag" else _SAMPLE
        if not first <= last < len(rows):
            raise InputError(f"{self._path}: is damaged: its zones {first} to {last} are not there")
        shared: dict[int, int] = {}
        for index in range(first, last):
            start, end = (struct.unpack("<H", rows[i][:2])[0] for i in (index, index + 1))
            own = {}
            for row in self._rows[generators][start:end]:
                number, amount = struct.unpack("<HH", row)
                own[number] = amount
            if target not in own and index == first:
                shared = own
            else:
                yield {**shared, **own}

    def _zone(self, own: dict[int, int], over: dict[int, int], samples: int) -> Zone | None:
        headers = self._rows["shdr"]
        if own[_SAMPLE] >= len(headers):
            raise InputError(f"{self._path}: is damaged: it has no sample {own[_SAMPLE]}")
        row = headers[own[_SAMPLE]]
        start, end, loop_start, loop_end, rate, root, correction, _, kind = struct.unpack(
            "<IIIIIBbHH", row[20:46]
        )
        keys = _overlap(own.get(_KEYS), over.get(_KEYS))
        velocities = _overlap(own.get(_VELOCITIES), over.get(_VELOCITIES))
        if kind & _ROM or keys is None or velocities is None or not rate:
            return None
        if kind & _COMPRESSED:
            raise InputError(f"{self._path}: is compressed (.sf3); give it as .sf2")
        if not _SAMPLE_RATES[0] <= rate <= _SAMPLE_RATES[1]:
            raise InputError(f"{self._path}: is damaged: sample {_name(row)!r} has a rate of {rate} Hz")
        first = start + _signed(own.get(_START, 0)) + 32768 * _signed(own.get(_START_COARSE, 0))
        last = end + _signed(own.get(_END, 0)) + 32768 * _signed(own.get(_END_COARSE, 0))
        if not 0 <= first < last <= samples:
            raise InputError(f"{self._path}: is damaged: sample {_name(row)!r} lies outside its data")
        pitch = own.get(_ROOT, root if root < 128 else 60)
        tuning = sum(
            _signed(part.get(_COARSE, 0)) + _signed(part.get(_FINE, 0)) / 100.0 for part in (own, over)
        )
        loops = bool(own.get(_MODES, 0) & 1) and first <= loop_start < loop_end <= last
        quieter = sum(_signed(part.get(_ATTENUATION, 0)) for part in (own, over)) / 10.0
        return Zone(
            keys=keys,
            velocities=velocities,
            sample=_name(row),
            first=first,
            last=last,
            loop=(loop_start - first, loop_end - first) if loops else (0, 0),
            sample_rate=rate,
            root=pitch - min(max(tuning, -_MOST_TUNING), _MOST_TUNING) - correction / 100.0,
            gain_db=-_ATTENUATION_SHARE * quieter,
        )


def _name(row: bytes) -> str:
    return row[:20].split(b"\0")[0].decode("latin-1").strip()


def _signed(value: int) -> int:
    return value - 65536 if value >= 32768 else value


def _overlap(one: int | None, other: int | None) -> tuple[int, int] | None:
    """The range that two words of (low, high) bytes share; None where they share nothing."""
    low, high = 0, 127
    for word in (one, other):
        if word is not None:
            low, high = max(low, word & 255), min(high, word >> 8)
    return (low, high) if low <= high else None
