"""Groove MIDI and E-GMD: drummers on a Roland e-kit with a click, with drummer, session, style and split.

Groove MIDI (1150 takes, Roland TD-11) comes with or without its audio; E-GMD plays the same takes back
through 43 kits of a TD-17 and records them. Both are read by their table (``info.csv``,
``e-gmd-v1.0.0.csv``): a row whose MIDI file is not there and a MIDI file that no row names are listed as
skipped.

Labels: the taxonomy's Roland keys; which part of the drum was struck (``strike_position``) is from the table
of keys published with Groove MIDI. Every hi-hat hit keeps the raw pedal value and the openness the taxonomy
derives from it. Tempo, meter, bar and beat are those of the MIDI file, which hold the click; where the table
says otherwise, ``notes`` says so. A take that the table calls a fill has the technique ``drum_fill``.

Ids: a session is a take, so that a split by session never parts a take of E-GMD from itself on another kit;
the sample ids of the second and later kits end in the number of the kit's file. E-GMD holds takes of Groove
MIDI under ids of its own: where both are merged, what follows the source's name in ``session_id`` says which
are the same. Style, recording session, kind of take (beat or fill) and the published split are tags. The
sound is a drum module's, played by hand, and is not marked as synthetic.

Source: J. Gillick et al., ICML 2019; L. Callender et al., 2020; https://magenta.tensorflow.org/datasets.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from beatsight.charts.performance import Performance, read_performance
from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.files import inside, read_text
from beatsight.sources.contract import Card, Report, Settings, Source
from beatsight.sources.note_keys import Keys, strikes_of
from beatsight.sources.strikes import Strike, gather
from beatsight.taxonomy import note_map

GROOVE = Card(
    name="groove_midi",
    title="Groove MIDI",
    version="1.0.0",
    licence="CC-BY-4.0",
    commercial=True,
    citation="J. Gillick, A. Roberts, J. Engel, D. Eck, D. Bamman: Learning to Groove with Inverse Sequence "
    "Transformations, ICML 2019",
    url="https://magenta.tensorflow.org/datasets/groove",
    layout="""\
info.csv                        drummer, session, id, style, bpm, beat_type, time_signature, files, split
drummer1/session1/1_STYLE.mid   one take, named in info.csv
drummer1/session1/1_STYLE.wav   its recording (optional)""",
    has_audio=True,
)
EGMD = Card(
    name="egmd",
    title="E-GMD",
    version="1.0.0",
    licence="CC-BY-4.0",
    commercial=True,
    citation="L. Callender, C. Hawthorne, J. Engel: Improving Perceptual Quality of Drum Transcription with "
    "the Expanded Groove MIDI Dataset, arXiv:2004.00188, 2020",
    url="https://magenta.tensorflow.org/datasets/e-gmd",
    layout="""\
e-gmd-v1.0.0.csv                   the columns of Groove MIDI, and kit_name
drummer1/session1/1_STYLE_1.midi   a take as it was played back on the first kit, _2 on the second …
drummer1/session1/1_STYLE_1.wav    its recording (optional)""",
    has_audio=True,
)
_TABLES = {"groove_midi": "info.csv", "egmd": "e-gmd-v1.0.0.csv"}
_MODELS = {"groove_midi": "TD-11", "egmd": "TD-17"}
_COLUMNS = (
    "drummer", "session", "id", "style", "bpm", "beat_type", "time_signature",
    "midi_filename", "audio_filename", "split",
)  # fmt: skip
_KEYS = Keys(note_map("roland"), "roland")
# Part of the drum that a key stands for, as published with Groove MIDI.
_POSITIONS = {
    38: "head", 40: "rim", 48: "head", 50: "rim", 45: "head", 47: "rim", 43: "head", 58: "rim",
    42: "bow", 22: "edge", 46: "bow", 26: "edge", 49: "bow", 55: "edge", 57: "bow", 52: "edge",
    51: "bow", 59: "edge", 53: "bell",
}  # fmt: skip
# The table holds whole beats per minute.
_BPM_ROUNDING = 0.5
_TIME_SIGNATURE = re.compile(r"^[1-9][0-9]?-[1-9][0-9]?\Z")
_KIT_NUMBER = re.compile(r"_(\d+)$")


@dataclass(frozen=True)
class Take:
    """A MIDI file and the row of the table that names it.

    Attributes:
        path: the MIDI file.
        root: folder of the set.
        row: cells by column; None where no row names the file.
        line: the table and line of the row, for errors.
    """

    path: Path
    root: Path
    row: dict[str, str] | None
    line: str


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row."""
    reader = csv.reader(io.StringIO(read_text(table), newline=""), strict=True)
    try:
        header = next(reader, [])
        if missing := [name for name in _COLUMNS if name not in header]:
            raise InputError(f"{table}: has no column {missing[0]!r}")
        for cells in reader:
            if len(cells) != len(header):
                raise InputError(
                    f"{table}:{reader.line_num}: has {len(cells)} cells, the header has {len(header)}"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"{table}:{reader.line_num}: is not a CSV row: {error}") from None


def _find(card: Card, root: Path, settings: Settings) -> list[Take]:
    """The takes: rows of the table in its order, then MIDI files that no row names.

    Raises:
        InputError: the table is missing or damaged.
    """
    table = root / _TABLES[card.name]
    if not table.is_file():
        raise InputError(f"{root}: is not laid out as {card.title}; expected {table.name}")
    takes = [Take(root / row["midi_filename"], root, row, f"{table}:{line}") for line, row in _rows(table)]
    named = {take.path for take in takes}
    others = (path for suffix in ("*.mid", "*.midi") for path in root.rglob(suffix) if path not in named)
    return takes + [Take(path, root, None, str(table)) for path in sorted(others)]


def _meter(text: str, line: str) -> str:
    """``4/4`` of ``4-4``."""
    if not _TIME_SIGNATURE.match(text):
        raise InputError(f"{line}: time_signature {text!r} is not of the form 4-4")
    return text.replace("-", "/")


def _bpm(text: str, line: str) -> float:
    try:
        bpm = float(text)
    except ValueError:
        bpm = 0.0
    if not 0 < bpm < float("inf"):
        raise InputError(f"{line}: bpm {text!r} is not a tempo")
    return bpm


def _disagreement(performance: Performance, template: Event, table: str) -> str | None:
    """What the table says otherwise than the MIDI file, for ``notes``."""
    bpm, meter = template.tempo_bpm or 0.0, template.meter
    said = []
    if performance.has_tempo and any(abs(note.bpm - bpm) > _BPM_ROUNDING for note in performance.notes):
        said.append(f"{bpm:g} bpm")
    if performance.has_meter and any(note.meter != meter for note in performance.notes):
        said.append(f"{meter}")
    return f"{table} says {' and '.join(said)}" if said else None


def _placed(performance: Performance, where: str, report: Report) -> list[Strike]:
    """The strikes of a performance, each with the part of the drum that its key stands for."""
    strikes = list(strikes_of(performance, _KEYS, where, report))
    labelled = [note for note in performance.notes if note.note in _KEYS.labels]
    for strike, note in zip(strikes, labelled, strict=True):
        strike.component.strike_position = _POSITIONS.get(note.note)
    return strikes


def _template(card: Card, take: Take, row: dict[str, str], report: Report) -> Event:
    """What all events of a take share."""
    kit = row.get("kit_name")
    return Event(
        sample_id="-",
        session_id=f"{card.name}:{row['id']}",
        onset_time=0,
        components=[],
        track_id=row["midi_filename"],
        drummer_id=f"{card.name}:{row['drummer']}",
        kit_id=f"{card.name}:{kit}" if kit else None,
        source_set=card.title,
        is_synthetic=False,
        audio_path=report.audio(inside(take.root, row["audio_filename"])),
        tempo_bpm=_bpm(row["bpm"], take.line),
        meter=_meter(row["time_signature"], take.line),
        techniques=["drum_fill"] if row["beat_type"] == "fill" else None,
        tags=[
            f"style:{row['style']}",
            f"beat_type:{row['beat_type']}",
            f"session:{card.name}:{row['session']}",
            f"split:{row['split']}",
        ],
        device_vendor="Roland",
        device_model=_MODELS[card.name],
    )


def _read(card: Card, take: Take, report: Report, settings: Settings) -> list[Event]:
    """The events of one take.

    Raises:
        InputError: the MIDI file is missing, damaged or not named in the table, or its row has a fault.
    """
    table = _TABLES[card.name]
    if take.row is None:
        raise InputError(f"{take.path}: no row of {table} names it")
    inside(take.root, take.row["midi_filename"])
    if not take.path.is_file():
        raise InputError(f"{take.path}: is not there, though {table} names it")
    template = _template(card, take, take.row, report)
    performance = read_performance(take.path)
    where = report.used(take.path)
    template.metadata_ref = f"provenance:{where}"
    template.notes = _disagreement(performance, template, table)
    events = gather(_placed(performance, where, report), template, report)
    number = _KIT_NUMBER.search(take.path.stem) if take.row.get("kit_name") else None
    if number and int(number[1]) > 1:
        for event in events:
            event.sample_id += f"-{int(number[1])}"
    return events


SOURCES = tuple(Source(card, partial(_find, card), partial(_read, card)) for card in (GROOVE, EGMD))
