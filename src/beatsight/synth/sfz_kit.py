"""A drum kit told by an ``.sfz`` file, as the same typed hits that a kit with a layout gives.

What a region is: the drum in its sample's name, else in the labels of its region, group, master and global,
else the General MIDI key it is on; a file ``keys.toml`` beside the instrument, a table like ``36 = "kick"``,
goes before all of these. Velocity is
the middle of the range of all regions that play a sample, None where that is the whole range: one layer for
all does not say how hard a stroke was. Regions that differ only in the folder of their sample
(``oh/kick_1.wav``, ``near/kick_1.wav``) are microphones of one stroke.

Openness: controller 4 has no standard direction, so a kit's own names tell which end is open, when its closed
and open hats lie on different values of it; otherwise the articulation's nominal openness is taken.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from beatsight.errors import InputError
from beatsight.files import read_text
from beatsight.synth.kit_layouts import Mic
from beatsight.synth.kit_layouts.matching import MAIN_MIC
from beatsight.synth.kit_layouts.names import NO_DRUM, read_name
from beatsight.synth.sample_kit import NOMINAL_OPENNESS, KitHit, SampleKit
from beatsight.synth.sfz import Instrument, Region, key_number, read_sfz
from beatsight.taxonomy import is_hihat, is_known, note_map, resolve

# A user's table of keys, beside the instrument.
KEYS = "keys.toml"
_NUMBERED = re.compile(r"([A-Za-z]+)(\d+)([A-Z][a-z]+|[A-Z]+)")
_CHOKE = re.compile(r"choked?(?![a-z])", re.IGNORECASE)
_WHOLE_RANGE = (1, 127)
_PEDAL_MAX = 127
# Words of a sample's name that do not tell instruments apart.
_NO_NAME = re.compile(
    r"\d+|(v|vl|vel|velocity|layer|r|rr|take|hit)\d+|p{1,3}|m[pf]|f{1,3}|ghost|soft|med|medium|hard|oh|choked?",
    re.IGNORECASE,
)
# What a microphone's folder is called, by where it stands.
_OVERHEAD = re.compile(r"(?<![a-z])(oh|over|overhead|overheads)(?![a-z])", re.IGNORECASE)
_ROOM = re.compile(r"(?<![a-z])(room|amb|ambience|far|hall)", re.IGNORECASE)


def _joined(match: re.Match[str]) -> str:
    """``ride1Bell`` is the bell of the first ride; ``crash2Choke`` stays: no drum is called crash choke."""
    first, _, second = match.groups()
    return f"{first}_{second}" if is_known(f"{first}_{second}") else match.group()


def region_label(region: Region, keys: Mapping[int, str] | None = None) -> tuple[str | None, str]:
    """The label of a region, or None and the reason.

    Args:
        region: of an instrument.
        keys: key -> canonical label, of the kit; goes before what names say.
    """
    key = region.keys[0] if region.keys and region.keys[0] == region.keys[1] else None
    if keys and key is not None and key in keys:
        return keys[key], ""
    named = read_name(PurePosixPath(_NUMBERED.sub(_joined, region.sample)))
    if named.label or named.reason != NO_DRUM:
        return named.label, named.reason
    for text in region.labels:
        label = read_name(PurePosixPath(text.replace("/", " "))).label
        if label:
            return label, ""
    if key is not None and key in note_map("gm"):
        return note_map("gm")[key], ""
    return None, NO_DRUM


def spanned(ranges: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    """The range from the lowest to the highest, or None where one of them is not stated.

    >>> spanned([(1, 63), (40, 90)]), spanned([(1, 63), None])
    ((1, 90), None)
    """
    stated = [pair for pair in ranges if pair is not None]
    if len(stated) < len(ranges) or not stated:
        return None
    return min(low for low, _ in stated), max(high for _, high in stated)


def strike_velocity(regions: list[Region]) -> float | None:
    """Velocity 0..1 of the sample that some regions play; None where they do not tell."""
    span = spanned([region.velocities for region in regions])
    if span is None or (max(1, span[0]), span[1]) == _WHOLE_RANGE:
        return None
    return round(sum(span) / 2 / 127, 4)


def is_choke(region: Region) -> bool:
    """Whether the sample's name says that the cymbal was grabbed."""
    return bool(_CHOKE.search(region.sample))


def _pedal(regions: list[Region]) -> float | None:
    span = spanned([region.pedal for region in regions])
    return None if span is None else sum(span) / 2


def _opens_upwards(hats: list[tuple[str, float]]) -> bool | None:
    """Whether higher pedal values are more open, told by what is called closed and open; None if untold."""
    closed = [pedal for label, pedal in hats if label == "hihat_closed"]
    opened = [pedal for label, pedal in hats if label in ("hihat_half", "hihat_open")]
    if not closed or not opened:
        return None
    difference = sum(opened) / len(opened) - sum(closed) / len(closed)
    return None if difference == 0.0 else difference > 0.0


def _instrument_name(path: Path, label: str, keys: tuple[int, int] | None) -> str:
    """What takes of one instrument share: their drum and key.

    A ride's bow and bell lie on two keys, and some regions on none; there it is what is left of the sample's
    name without layer, take, dynamic and microphone.
    """
    if keys is not None and not label.startswith("ride"):
        return f"{label}_{keys[0]}"
    words = [word for word in re.split(r"[\W_]+", path.stem) if word and not _NO_NAME.fullmatch(word)]
    return "_".join(words) or label


def _strikes(instrument: Instrument) -> dict[tuple[object, ...], dict[Path, list[Region]]]:
    """Samples that sound together, with the regions that play each."""
    by_sample: dict[Path, list[Region]] = {}
    for region in instrument.regions:
        if region.path is not None:
            by_sample.setdefault(region.path, []).append(region)
    strikes: dict[tuple[object, ...], dict[Path, list[Region]]] = {}
    for path, regions in by_sample.items():
        first = regions[0]
        key: tuple[object, ...] = (path,)
        if first.keys is not None:
            key = (path.stem.lower(), first.keys, first.velocities, first.pedal, first.seq_position)
        strikes.setdefault(key, {})[path] = regions
    return strikes


def _mic_role(name: str) -> Mic:
    if _OVERHEAD.search(name):
        return Mic(role="overhead")
    return Mic(role="room" if _ROOM.search(name) else "close")


class _Hits:
    """The strikes of an instrument as hits."""

    def __init__(self, instrument: Instrument, keys: Mapping[int, str] | None) -> None:
        self.hits: list[KitHit] = []
        self.mics: dict[str, Mic] = {}
        self.skipped = [(Path(line), why) for line, why in (*instrument.faults, *instrument.no_strikes)]
        missing = [region for region in instrument.regions if region.path is None]
        self.skipped += [(Path(r.line), f"{r.sample}: the sample file is missing") for r in missing]
        self._takes: dict[tuple[str, float | None], int] = {}
        labelled = []
        for files in _strikes(instrument).values():
            region = next(iter(files.values()))[0]
            label, why = region_label(region, keys)
            if label is None:
                self.skipped += [(path, why) for path in files]
            else:
                labelled.append((label, files))
        hats = [
            (label, pedal)
            for label, files in labelled
            if is_hihat(label) and (pedal := _pedal(next(iter(files.values())))) is not None
        ]
        self._upwards = _opens_upwards(hats)
        for label, files in labelled:
            self._add(label, files)

    def _openness(self, label: str, regions: list[Region]) -> float | None:
        if not is_hihat(label):
            return None
        pedal = _pedal(regions)
        if pedal is None or self._upwards is None or label in ("hihat_pedal", "hihat_foot_splash"):
            return NOMINAL_OPENNESS.get(label)
        share = pedal / _PEDAL_MAX
        return round(share if self._upwards else 1.0 - share, 4)

    def _add(self, label: str, files: dict[Path, list[Region]]) -> None:
        regions = next(iter(files.values()))
        velocity = strike_velocity(regions)
        variant = _instrument_name(next(iter(files)), label, regions[0].keys)
        take = self._takes[variant, velocity] = self._takes.get((variant, velocity), 0) + 1
        mics = {MAIN_MIC if len(files) == 1 else path.parent.name: path for path in files}
        if len(mics) < len(files):  # folders of one name at two places
            mics = {path.parent.as_posix(): path for path in files}
        for name in mics:
            self.mics.setdefault(name, _mic_role(name))
        gain_db = regions[0].gain_db(1.0 if velocity is None else velocity)
        openness = self._openness(label, regions)
        self.hits.append(
            KitHit(label, velocity, openness, is_choke(regions[0]), variant, take, mics, gain_db)
        )


def _read_keys(path: Path) -> dict[int, str]:
    """The table of keys beside an instrument; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    found = {}
    for key, label in table.items():
        try:
            found[key_number(key)] = resolve(str(label))
        except InputError as error:
            raise InputError(f"{path}: {key}: {error}") from None
    return found


def read_sfz_kit(path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> SampleKit:
    """Read a kit of an ``.sfz`` file; no audio is decoded.

    Args:
        path: the file.
        root: the folder that samples may not leave; by default that of the file.

    Returns:
        the kit, named after the file; what is no labelled stroke stands in ``skipped`` with a reason.

    Raises:
        InputError: it or its ``keys.toml`` cannot be read, or no drum's sample is there.
    """
    path = Path(path)
    instrument = read_sfz(path, root)
    found = _Hits(instrument, _read_keys(path.with_name(KEYS)))
    if not found.hits:
        raise InputError(f"{path}: holds no drum hit whose sample file is there")
    return SampleKit(
        name=path.stem,
        licence="unknown",
        attribution="",
        folder=path.parent.resolve(),
        hits=tuple(found.hits),
        skipped=tuple(found.skipped),
        mics=found.mics,
    )
