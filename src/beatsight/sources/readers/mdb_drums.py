"""MDB Drums: 23 excerpts of MedleyDB with every drum hit annotated, by class and by playing technique.

Two annotations of the same hits: six classes (``KD SD TT HH CY OT``) or 21 subclasses, which name drum and
technique. Prefer the subclasses. A class does not say which drum it was: ``HH``, ``CY``, ``TT`` and ``OT``
get a label that folds to the class, marked as class-level in ``instrument_variant``, ``tags`` and ``notes``;
such events are for scores in the five-class vocabulary, not for training a finer one.

Mapping of subclasses: as named in the paper. Brushes (``SDB``) have no technique of their own in the
catalogue and are an ``instrument_variant``; both floor toms are ``tom_low``, told apart the same way.

Beats (``seconds number``, by R. Vogl; written to 10 ms) give bar, beat, meter and tempo: one tempo a track,
the mean from first to last beat; the upper number of the meter is the count of the bar, and the lower is
taken as 4, which the set does not say. Drummers, kits and rooms are not named, and there are no velocities.

Source: https://github.com/CarlSouthall/MDBDrums; C. Southall et al., ISMIR 2017. The tree is read as
published and as repacked with ``drum_only`` and ``full_mix`` beside ``annotations``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path

from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.strikes import Strike, gather
from beatsight.sources.timed_lines import read_timed_lines

CARD = Card(
    name="mdb_drums",
    title="MDB Drums",
    version="2017",
    licence="CC-BY-NC-SA-4.0",
    commercial=False,
    citation="C. Southall, C.-W. Wu, A. Lerch, J. Hockman: MDB Drums - An Annotated Subset of MedleyDB for "
    "Automatic Drum Transcription, ISMIR 2017",
    url="https://github.com/CarlSouthall/MDBDrums",
    layout="""\
annotations/subclass/TRACK_subclass.txt  seconds and subclass, one hit a line
annotations/class/TRACK_class.txt        seconds and class, the same hits
annotations/beats/TRACK_MIX.beats        seconds and beat number from 1 (optional)
audio/drum_only/TRACK_Drum.wav           the drums; also drum_only/, also .flac
audio/full_mix/TRACK_MIX.wav             the song; also full_mix/, full_mix_rebuilt/, also .flac""",
    has_audio=True,
)
ANNOTATIONS = Option(
    "annotations", "subclass", "which annotation: 21 subclasses or six classes", ("subclass", "class")
)
AUDIO = Option(
    "audio", "drum_only", "which recording the events are of", ("drum_only", "full_mix", "full_mix_rebuilt")
)

# name: label, instrument variant, technique of the catalogue.
_SUBCLASSES: dict[str, tuple[str, str | None, str | None]] = {
    "KD": ("kick", None, None),
    "SD": ("snare", None, None),
    "SDB": ("snare", "brushes", None),
    "SDD": ("snare", None, "drag"),
    "SDF": ("snare", None, "flam"),
    "SDG": ("snare", None, "ghost_note"),
    "SDNS": ("snare_off", None, None),
    "CHH": ("hihat_closed", None, None),
    "OHH": ("hihat_open", None, None),
    "PHH": ("hihat_pedal", None, None),
    "HIT": ("tom_high", None, None),
    "MHT": ("tom_mid", None, None),
    "HFT": ("tom_low", "high floor tom", None),
    "LFT": ("tom_low", "low floor tom", None),
    "RDC": ("ride_bow", None, None),
    "RDB": ("ride_bell", None, None),
    "CRC": ("crash", None, None),
    "CHC": ("china", None, None),
    "SPC": ("splash", None, None),
    "SST": ("cross_stick", None, None),
    "TMB": ("tambourine", None, None),
}
_CLASSES: dict[str, tuple[str, str | None, str | None]] = {
    "KD": ("kick", None, None),
    "SD": ("snare", None, None),
    "TT": ("tom_mid", "class TT", None),
    "HH": ("hihat_closed", "class HH", None),
    "CY": ("crash", "class CY", None),
    "OT": ("aux_percussion", "class OT", None),
}
_CLASS_LEVEL = "class-level annotation: the drums within HH, CY, TT and OT are not told apart"
# A hit so close before a beat belongs to it: beats are written to 10 ms and hits of the five development
# tracks lie up to 40 ms before theirs. 50 ms is also the tolerance of the literature's scores.
_BEFORE_BEAT_S = 0.05
_BEAT_NUMBER = re.compile(r"^[1-9][0-9]?\Z")


class _Beats:
    """Bar, beat and meter of any time, from the times and numbers of annotated beats."""

    def __init__(self, path: Path, report: Report) -> None:
        lines = read_timed_lines(path, report)
        if not lines:
            raise InputError(f"{path}: holds no beats")
        self._times = [line.time_s for line in lines]
        if self._times != sorted(self._times):
            raise InputError(f"{path}: the beats are not in order of time")
        self._numbers: list[int] = []
        for line in lines:
            if not _BEAT_NUMBER.match(line.name):
                raise InputError(
                    f"{path}:{line.where.rpartition(':')[2]}: {line.name!r} is not a beat number"
                )
            self._numbers.append(int(line.name))
        # Beats before the first "1" belong to the bar before bar 0.
        self._bars: list[int] = []
        for number in self._numbers:
            last = self._bars[-1] if self._bars else -1
            self._bars.append(last + (number == 1))
        self._meters = self._bar_meters()

    def _bar_meters(self) -> dict[int, str]:
        """Meter of each bar; an unfinished bar at either end has that of its neighbour."""
        counts: dict[int, int] = {}
        for bar, number in zip(self._bars, self._numbers, strict=True):
            counts[bar] = max(counts.get(bar, 0), number)
        whole = sorted(bar for bar in counts if 0 <= bar < self._bars[-1]) or sorted(counts)
        nearest = {bar: min(max(bar, whole[0]), whole[-1]) for bar in counts}
        return {bar: f"{counts[nearest[bar]]}/4" for bar in counts}

    @property
    def bpm(self) -> float | None:
        """Mean tempo; None where there is none. Single intervals are too coarse, being rounded to 10 ms."""
        lasts = self._times[-1] - self._times[0]
        return round(60 * (len(self._times) - 1) / lasts, 2) if lasts > 0 else None

    def place(self, time_s: float) -> tuple[int, int, str] | None:
        """Bar from 0, beat from 0 and meter; None before the first beat."""
        at = bisect_right(self._times, time_s + _BEFORE_BEAT_S) - 1
        if at < 0:
            return None
        bar = self._bars[at]
        return bar, self._numbers[at] - 1, self._meters[bar]


def _base(root: Path) -> Path:
    """The folder that holds ``annotations``: the root, or ``MDB Drums`` in a checkout of the repository."""
    inner = root / "MDB Drums"
    return inner if inner.is_dir() else root


def find(root: Path, settings: Settings) -> list[Path]:
    """The annotation files, by name.

    Raises:
        InputError: there are none.
    """
    kind = settings[ANNOTATIONS.name]
    files = sorted((_base(root) / "annotations" / kind).glob(f"*_{kind}.txt"))
    if not files:
        raise InputError(
            f"{root}: is not laid out as MDB Drums; expected annotations/{kind}/TRACK_{kind}.txt"
        )
    return files


def _audio(base: Path, track: str, folder: str, report: Report) -> str | None:
    name = f"{track}_{'Drum' if folder == 'drum_only' else 'MIX'}"
    folders = (base / "audio" / folder, base / folder)
    return report.audio(*(at / f"{name}{suffix}" for at in folders for suffix in (".wav", ".flac")))


def read(annotation: Path, report: Report, settings: Settings) -> list[Event]:
    """The events of one track.

    Raises:
        InputError: a faulty line of the annotation or of the beats (named).
    """
    base = annotation.parents[2]
    kind = settings[ANNOTATIONS.name]
    folder = settings[AUDIO.name]
    track = annotation.stem.removesuffix(f"_{kind}")
    by_class = kind == "class"
    names = _CLASSES if by_class else _SUBCLASSES
    beats_file = base / "annotations" / "beats" / f"{track}_MIX.beats"
    beats = _Beats(beats_file, report) if beats_file.is_file() else None
    strikes = []
    for time_s, name, where in read_timed_lines(annotation, report):
        if name not in names:
            report.unmapped(name, where)
            continue
        label, variant, technique = names[name]
        place = beats.place(time_s) if beats else None
        strikes.append(
            Strike(
                time_s,
                Component(label=label, instrument_variant=variant),
                where,
                bar=place[0] if place else None,
                beat=place[1] if place else None,
                meter=place[2] if place else None,
                techniques=(technique,) if technique else (),
            )
        )
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{track}",
        onset_time=0,
        components=[],
        track_id=track,
        source_set=CARD.title,
        is_synthetic=False,
        audio_path=_audio(base, track, folder, report),
        tempo_bpm=beats.bpm if beats else None,
        tags=["label_level:class"] if by_class else None,
        mix_context=None if folder == "drum_only" else "full_mix",
        metadata_ref=f"provenance:{report.relative(annotation)}",
        notes=_CLASS_LEVEL if by_class else None,
    )
    return gather(strikes, template, report)


SOURCES = (Source(CARD, find, read, (ANNOTATIONS, AUDIO)),)
