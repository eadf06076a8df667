"""IDMT-SMT-Drums, version 2: loops of kick, snare and hi-hat, from acoustic kits, samples and synthesizers.

Three parts, told by the file's name: ``RealDrum`` (acoustic kits), ``WaveDrum`` (sample libraries) and
``TechnoDrum`` (drum synthesizers); the latter two are rendered and marked as synthetic. Each loop has a
``#MIX`` recording; many also have the three instruments alone (``#HH``, ``#KD``, ``#SD``). Single hits to
train on (``…#train``) carry no annotation and are not read.

Annotations are XML: ``<event>`` with ``<onsetSec>`` and ``<instrument>`` (``KD``, ``SD`` or ``HH``). Only the
``#MIX`` files are read: they hold the hits of all three. ``HH`` does not say how open the hat was; it becomes
``hihat_closed`` and says so in ``instrument_variant``. A few onsets near the start are written as small
negative numbers; they are moved to 0. A file with a document type is refused: these have none,
and entity declarations can make a small file huge.

There are no velocities, tempi or drummers. The number after the part ("WaveDrum02") is taken as the kit; the
set does not say that it is.

Source: https://zenodo.org/records/7544164; C. Dittmar and D. Gärtner, DAFx 2014.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.parsers import expat

from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.files import read_bytes
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.strikes import Strike, gather

CARD = Card(
    name="idmt_smt_drums",
    title="IDMT-SMT-Drums",
    version="2",
    licence="CC-BY-NC-ND-4.0",
    commercial=False,
    citation="C. Dittmar, D. Gärtner: Real-time Transcription and Separation of Drum Recordings Based on NMF "
    "Decomposition, DAFx 2014",
    url="https://zenodo.org/records/7544164",
    layout="""\
annotation_xml/RealDrum01_00#MIX.xml  onsets and instruments of a loop; also WaveDrum, TechnoDrum
audio/RealDrum01_00#MIX.wav           the loop
audio/WaveDrum02_01#HH.wav            one instrument alone, where there is one; also #KD, #SD
audio/RealDrum01_00#HH#train.wav      single hits to train on; not read
annotation_svl/                       the same for Sonic Visualiser; not read""",
    has_audio=True,
)
AUDIO = Option(
    "audio",
    "mix",
    "the loops, or each hit in the recording of its own instrument",
    ("mix", "stems"),
)
# Label and instrument variant. In this order the stems of a loop are numbered.
_INSTRUMENTS: dict[str, tuple[str, str | None]] = {
    "HH": ("hihat_closed", "HH, openness not stated"),
    "KD": ("kick", None),
    "SD": ("snare", None),
}
_RENDERED = ("WaveDrum", "TechnoDrum")
_FIELDS = ("onsetSec", "instrument")
# Onsets before the start by less than this are taken as 0: half of the 50 ms within which scores of the
# literature match, so that the hit still matches.
_BEFORE_START_S = 0.025


class _EventReader:
    """Collects line, onset and instrument of every ``<event>``."""

    def __init__(self, path: Path) -> None:
        self.events: list[tuple[int, dict[str, str]]] = []
        self._path = path
        self._inside = False
        self._field: str | None = None
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def parse(self, data: bytes) -> list[tuple[int, dict[str, str]]]:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code)
            raise InputError(f"{self._path}:{error.lineno}: is not valid XML: {why}") from None
        except LookupError as error:
            raise InputError(f"{self._path}: is not valid XML: {error}") from None
        return self.events

    def _refuse(self, *_: object) -> None:
        raise InputError(f"{self._path}:{self._parser.CurrentLineNumber}: declares a document type")

    def _start(self, name: str, _: object) -> None:
        if name == "event":
            self.events.append((self._parser.CurrentLineNumber, {}))
            self._inside = True
        self._field = name if self._inside and name in _FIELDS else None

    def _end(self, name: str) -> None:
        self._field = None
        if name == "event":
            self._inside = False

    def _text(self, text: str) -> None:
        if self._field:
            fields = self.events[-1][1]
            fields[self._field] = fields.get(self._field, "") + text


def _onset(value: str, place: str) -> float:
    try:
        onset_s = float(value)
    except ValueError:
        raise InputError(f"{place}: onsetSec {value.strip()!r} is not a time in seconds") from None
    if not math.isfinite(onset_s) or onset_s < -_BEFORE_START_S:
        raise InputError(f"{place}: onsetSec {value.strip()} s is not in the recording")
    return max(0.0, onset_s)


def _strikes(path: Path, report: Report) -> dict[str, list[Strike]]:
    """The hits of a loop by instrument, in the order of :data:`_INSTRUMENTS`."""
    found: dict[str, list[Strike]] = {name: [] for name in _INSTRUMENTS}
    events = _EventReader(path).parse(read_bytes(path))
    relative = report.used(path)
    for line, fields in events:
        place, where = f"{path}:{line}", f"{relative}:{line}"
        if missing := [name for name in _FIELDS if name not in fields]:
            raise InputError(f"{place}: the event has no {missing[0]}")
        onset_s = _onset(fields["onsetSec"], place)
        name = fields["instrument"].strip()
        if name not in _INSTRUMENTS:
            report.unmapped(name, where)
            continue
        label, variant = _INSTRUMENTS[name]
        found[name].append(Strike(onset_s, Component(label=label, instrument_variant=variant), where))
    return found


def find(root: Path, settings: Settings) -> list[Path]:
    """The annotations of the loops, by name.

    Raises:
        InputError: there are none.
    """
    files = sorted((root / "annotation_xml").glob("*#MIX.xml"))
    if not files:
        raise InputError(f"{root}: is not laid out as IDMT-SMT-Drums; expected annotation_xml/NAME#MIX.xml")
    return files


def read(annotation: Path, report: Report, settings: Settings) -> list[Event]:
    """The events of one loop; of its stems, those of each stem after the other.

    Raises:
        InputError: the XML is damaged, declares a document type, or an event (named) has a fault.
    """
    loop = annotation.stem.removesuffix("#MIX")
    part = loop.partition("_")[0]
    by_instrument = _strikes(annotation, report)
    audio = annotation.parents[1] / "audio"
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{loop}",
        onset_time=0,
        components=[],
        track_id=loop,
        kit_id=f"{CARD.name}:{part}",
        source_set=CARD.title,
        is_synthetic=loop.startswith(_RENDERED),
        tags=[f"part:{part.rstrip('0123456789')}"],
        metadata_ref=f"provenance:{report.relative(annotation)}",
    )
    if settings[AUDIO.name] == "mix":
        template.audio_path = report.audio(audio / f"{loop}#MIX.wav")
        return gather((one for strikes in by_instrument.values() for one in strikes), template, report)
    events = []
    for number, (name, strikes) in enumerate(by_instrument.items(), start=1):
        if not strikes:
            continue
        template.audio_path = report.audio(audio / f"{loop}#{name}.wav")
        stem = gather(strikes, template, report)
        if number > 1:  # so that a kick and a hat of one instant have ids of their own
            for event in stem:
                event.sample_id += f"-{number}"
        events += stem
    return events


SOURCES = (Source(CARD, find, read, (AUDIO,)),)
