"""SFZ instruments: which sample file plays which key, velocity and pedal range, and how loud.

Read is what a drum kit needs of SFZ 1 and 2 (https://sfzformat.com): the headers control, global, master,
group and region with their inheritance, ``#define``, ``#include``, comments, and the opcodes sample, key,
lokey, hikey, pitch_keycenter, lovel, hivel, locc4, hicc4, seq_position, volume, the volumes of group, master
and global, amp_veltrack, trigger, default_path, note_offset, octave_offset and the labels. Other opcodes
shape the sound and say nothing about the drum. Conventions: keys and velocities 0..127, gains in dB.

A sample that is named ``.wav`` and lies there as ``.flac`` (or in another case, as on a Windows disk) is
found. A region whose sample is missing stays, with ``path`` None; a region with a faulty value stands in
``faults``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from beatsight.audio.io import AUDIO_SUFFIXES
from beatsight.errors import InputError
from beatsight.files import inside, read_bytes

# An include inside an include … ends somewhere; players stop at 32 too.
_MAX_INCLUDES = 32
_LEVELS = ("global", "master", "group", "region")
_DEFINE = re.compile(r"#define\s+\$(\w+)\s+(\S+)")
_INCLUDE = re.compile(r'#include\s+"([^"]*)"')
_TOKEN = re.compile(r"<(\w+)>|([A-Za-z_]\w*)=(.*?)(?=\s+[A-Za-z_]\w*=|\s*<\w+>|\s*$)")
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NOTE = re.compile(r"^([a-g])([#b]?)(-?\d+)$", re.IGNORECASE)
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_LABELS = ("region_label", "group_label", "master_label", "global_label")
_VOLUMES = ("volume", "group_volume", "master_volume", "global_volume")
# -100 dB: a strike that the velocity curve silences has a gain, not minus infinity.
_FAINTEST = 1e-5


@dataclass(frozen=True)
class Region:
    """One sample of an instrument and when it sounds.

    Attributes:
        sample: its path as the file names it, with ``default_path``, forward slashes.
        path: the file, or None when it is missing.
        keys: lowest and highest key, or None where the region states none.
        velocities: lowest and highest velocity, or None where the region states none.
        pedal: lowest and highest value of controller 4, or None where the region states none.
        seq_position: place in a round robin, from 1.
        volume_db: sum of the volumes that hold for it.
        veltrack: how far the velocity sets the level, in percent.
        labels: its own label and those of its group, master and global, innermost first.
        line: where it begins, ``file:line``.
    """

    sample: str
    path: Path | None
    keys: tuple[int, int] | None
    velocities: tuple[int, int] | None
    pedal: tuple[int, int] | None
    seq_position: int
    volume_db: float
    veltrack: float
    labels: tuple[str, ...]
    line: str

    def gain_db(self, velocity: float) -> float:
        """The gain at a velocity 0..1: the volumes, and the part of it that follows the velocity squared."""
        share = self.veltrack / 100
        level = 1 - share + share * velocity**2 if share >= 0 else 1 + share * velocity**2
        return self.volume_db + 20 * math.log10(max(level, _FAINTEST))


@dataclass(frozen=True)
class Instrument:
    """An ``.sfz`` file: its regions in order, and those that are none, each as ``(file:line, why)``.

    ``no_strikes`` are well-formed regions that are no recorded strike (a generator, a sound at the key's
    release); ``faults`` are regions with a value that cannot be read.
    """

    path: Path
    regions: tuple[Region, ...]
    no_strikes: tuple[tuple[str, str], ...]
    faults: tuple[tuple[str, str], ...]


class _NoStrikeError(InputError):
    """A region that is no recorded strike."""


def _text(path: Path) -> str:
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    # Comments go, line numbers stay.
    return _BLOCK_COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)


class _Reader:
    """One pass over a file and its includes."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._defines: dict[str, str] = {}
        self._listed: dict[Path, dict[str, Path]] = {}

    def lines(self, path: Path, depth: int = 0) -> Iterator[tuple[str, str]]:
        """``(file:line, text)`` of every line, definitions put in and includes followed."""
        if depth > _MAX_INCLUDES:
            raise InputError(f"{self._path}: includes go deeper than {_MAX_INCLUDES} files")
        for number, line in enumerate(_text(path).splitlines(), start=1):
            line = line.partition("//")[0]
            for name, value in _DEFINE.findall(line):
                self._defines[name] = value
            line = _DEFINE.sub("", line)
            if include := _INCLUDE.search(line):
                # Written from the folder of the main file, also inside an included one.
                target = self._inside(include.group(1).replace("\\", "/"))
                if not target.is_file():
                    raise InputError(f"{path}:{number}: includes {include.group(1)}, which is not there")
                yield from self.lines(target, depth + 1)
                continue
            # The longest name first: $KEY2 is not $KEY and a 2.
            for name in sorted(self._defines, key=len, reverse=True):
                line = line.replace(f"${name}", self._defines[name])
            if line.strip():
                yield f"{path}:{number}", line

    def _inside(self, relative: str) -> Path:
        start = self._path.parent.resolve().relative_to(self._root.resolve())
        return inside(self._root, os.path.normpath(start / relative))

    def locate(self, sample: str) -> Path | None:
        """The file of a sample, whatever its case and audio suffix; None when there is none."""
        try:
            wanted = self._inside(sample)
        except InputError:
            return None
        if wanted.is_file():
            return self._root / wanted.relative_to(self._root.resolve())
        folder = wanted.parent
        if folder not in self._listed:
            there = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listed[folder] = {
                p.stem.lower(): p for p in there if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file()
            }
        found = self._listed[folder].get(wanted.stem.lower())
        return None if found is None else self._root / found.relative_to(self._root.resolve())


def key_number(text: str) -> int:
    """A key by number or by name, c4 being 60.

    Raises:
        InputError: it is neither, or outside 0..127.

    >>> key_number("38"), key_number("c4"), key_number("F#1")
    (38, 60, 30)
    """
    if match := _NOTE.match(text):
        letter, sharp, octave = match.groups()
        number = _SEMITONES[letter.lower()] + {"#": 1, "b": -1, "": 0}[sharp] + 12 * (int(octave) + 1)
    else:
        number = _whole(text, "key")
    if not 0 <= number <= 127:
        raise InputError(f"key {text!r} is outside 0..127")
    return number


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} {text!r} is not a whole number") from None


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{name} {text!r} is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"{name} {text!r} is not a finite number")
    return value


def _keys(opcodes: Mapping[str, str], offset: int) -> tuple[int, int] | None:
    low = opcodes.get("lokey", opcodes.get("key", opcodes.get("pitch_keycenter")))
    high = opcodes.get("hikey", opcodes.get("key", opcodes.get("pitch_keycenter")))
    if low == "-1" or high == "-1":
        return None  # played by a controller, not by a key
    if low is None and high is None:
        return None
    pair = key_number(low or "0") + offset, key_number(high or "127") + offset
    if not 0 <= pair[0] <= pair[1] <= 127:
        raise InputError(f"keys {pair[0]} to {pair[1]} are no range within 0..127")
    return pair


def _range(opcodes: Mapping[str, str], low: str, high: str, lowest: int) -> tuple[int, int] | None:
    if low not in opcodes and high not in opcodes:
        return None
    pair = _whole(opcodes.get(low, str(lowest)), low), _whole(opcodes.get(high, "127"), high)
    if not 0 <= pair[0] <= pair[1] <= 127:
        raise InputError(f"{low} {pair[0]} and {high} {pair[1]} are no range within 0..127")
    return pair


def _region(opcodes: Mapping[str, str], control: Mapping[str, str], line: str, reader: _Reader) -> Region:
    sample = opcodes.get("sample", "").strip()
    if not sample:
        raise InputError("the region names no sample")
    if sample.startswith("*"):
        raise _NoStrikeError(f"sample {sample}: is a generator, no recording")
    if opcodes.get("trigger", "attack") not in ("attack", "first"):
        raise _NoStrikeError(f"trigger {opcodes['trigger']}: it does not sound when the drum is struck")
    name = str(PurePosixPath((control.get("default_path", "") + sample).replace("\\", "/")))
    offset = _whole(control.get("note_offset", "0"), "note_offset")
    offset += 12 * _whole(control.get("octave_offset", "0"), "octave_offset")
    return Region(
        sample=name,
        path=reader.locate(name),
        keys=_keys(opcodes, offset),
        velocities=_range(opcodes, "lovel", "hivel", 1),
        pedal=_range(opcodes, "locc4", "hicc4", 0),
        seq_position=_whole(opcodes.get("seq_position", "1"), "seq_position"),
        volume_db=sum(_number(opcodes[volume], volume) for volume in _VOLUMES if volume in opcodes),
        veltrack=_number(opcodes.get("amp_veltrack", "100"), "amp_veltrack"),
        labels=tuple(opcodes[label] for label in _LABELS if label in opcodes),
        line=line,
    )


def _blocks(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """``(file:line, header, opcodes)`` of every header."""
    header, start, opcodes = "", "", dict[str, str]()
    for line, text in lines:
        for match in _TOKEN.finditer(text):
            if match.group(1):
                if header:
                    yield start, header, opcodes
                header, start, opcodes = match.group(1), line, {}
            else:
                opcodes[match.group(2)] = match.group(3)
    if header:
        yield start, header, opcodes


def read_sfz(path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Instrument:
    """Read an ``.sfz`` file.

    Args:
        path: the file.
        root: the folder that samples and includes may not leave; by default that of the file.

    Raises:
        InputError: the file or an include cannot be read, or it holds no region.
    """
    path = Path(path)
    reader = _Reader(path, Path(root) if root is not None else path.parent)
    control: dict[str, str] = {}
    held: dict[str, dict[str, str]] = {level: {} for level in _LEVELS}
    regions: list[Region] = []
    no_strikes: list[tuple[str, str]] = []
    faults: list[tuple[str, str]] = []
    for line, header, opcodes in _blocks(reader.lines(path)):
        if header == "control":
            control |= opcodes
        elif header in held:
            at = _LEVELS.index(header)
            held |= {header: opcodes} | {level: {} for level in _LEVELS[at + 1 :]}
            if header == "region":
                merged = {key: value for level in _LEVELS for key, value in held[level].items()}
                try:
                    regions.append(_region(merged, control, line, reader))
                except _NoStrikeError as error:
                    no_strikes.append((line, str(error)))
                except InputError as error:
                    faults.append((line, str(error)))
    if not (regions or no_strikes or faults):
        raise InputError(f"{path}: is no SFZ instrument: it holds no <region>")
    return Instrument(path, tuple(regions), tuple(no_strikes), tuple(faults))
