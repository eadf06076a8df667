"""ENST-Drums: three drummers on their own kits, eight microphones, every hit annotated.

318 takes: single hits, phrases of many styles, solos, and playing along with recorded or MIDI music
("minus one"), with sticks, rods, brushes or mallets. Lines are ``seconds label``. A number after a label
names which cymbal or drum of the kit it was; it stays in ``instrument_variant`` (``cr2``), since nothing says
which of two crashes is the second one.

Mapping, by the table of labels in the paper. ``mtr`` and ``ltr`` are toms hit on the rim. ``sd-`` is not in
that table; the set records the snare drum with and without its snares, and the mapping to ``snare_off`` is
inferred from that. There is no "high tom": the middle and low-middle toms are ``tom_mid``, the low and lowest
``tom_low``. Counted as unmapped: ``c`` (a cymbal of unknown kind), ``sweep`` (a brush drawn over the head, no
strike) and ``sticks`` (sticks struck together).

Beater, kind of take and style come from the name of the file, as does the tempo of the MIDI takes. There are
no velocities, beats or meters. The terms of use below are those the set is known by; read the agreement that
comes with your copy.

Source: O. Gillet and G. Richard, ISMIR 2006, table 2; file names as in the public part ("ENST-drums-public").
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.strikes import Strike, gather
from beatsight.sources.timed_lines import read_timed_lines

CARD = Card(
    name="enst_drums",
    title="ENST-Drums",
    version="public part (2006)",
    licence="for research, by agreement with its authors",
    commercial=False,
    citation="O. Gillet, G. Richard: ENST-Drums: an extensive audio-visual database for drum signals "
    "processing, ISMIR 2006",
    url="http://www.telecom-paristech.fr/~grichard/ENST-drums/",
    layout="""\
drummer_1/annotation/NNN_TAKE.txt      seconds and label, one hit a line; likewise drummer_2, drummer_3
drummer_1/audio/wet_mix/NNN_TAKE.wav   stereo mix with effects, of the same name
drummer_1/audio/dry_mix/NNN_TAKE.wav   stereo mix without effects
drummer_1/audio/overhead_L, overhead_R, kick, snare, hi-hat, tom_1, tom_2, tom_3   one microphone each
drummer_1/audio/accompaniment          the music of the "minus one" takes; not read""",
    has_audio=True,
)
_MIX_CONTEXT: dict[str, Literal["close_mic", "overheads"] | None] = {
    "wet_mix": None,
    "dry_mix": None,
    "overhead_L": "overheads",
    "overhead_R": "overheads",
    "kick": "close_mic",
    "snare": "close_mic",
    "hi-hat": "close_mic",
    "tom_1": "close_mic",
    "tom_2": "close_mic",
    "tom_3": "close_mic",
}
AUDIO = Option("audio", "wet_mix", "which mix or microphone the events are of", tuple(_MIX_CONTEXT))

_LABELS = {
    "bd": "kick",
    "sd": "snare",
    "sd-": "snare_off",
    "rs": "rimshot",
    "cs": "cross_stick",
    "chh": "hihat_closed",
    "ohh": "hihat_open",
    "cb": "cowbell",
    "mt": "tom_mid",
    "mtr": "tom_mid",
    "lmt": "tom_mid",
    "lt": "tom_low",
    "ltr": "tom_low",
    "lft": "tom_low",
    "rc": "ride_bow",
    "ch": "china",
    "cr": "crash",
    "spl": "splash",
}
_ON_RIM = {"mtr", "ltr"}
# Toms and cymbals whose own name says more than the label does, and goes to `instrument_variant`.
_VARIANT_LABELS = {"tom_mid", "tom_low", "ride_bow", "china", "crash", "splash"}
_NO_LABEL = {
    "c": "a cymbal of a kind that is not stated",
    "sweep": "a brush drawn over the head is no strike",
    "sticks": "sticks struck together are no drum",
}
_NAME = re.compile(r"^([a-z]+-?)(\d*)$")
_TAKE = re.compile(r"^\d+_(hits|phrase|solo|minus-one|MIDI-minus-one)_(.+)$")
_BEATERS = ("sticks", "rods", "brushes", "mallets", "pedal")
_BEATER_TECHNIQUES = {"rods": "rod_playing", "mallets": "mallet_playing"}
# "162_MIDI-minus-one_fusion-125_sticks": the tempo of the MIDI file that was played along with.
_TEMPO = re.compile(r"-(\d{2,3})$")


def find(root: Path, settings: Settings) -> list[Path]:
    """The annotation files, by drummer and name.

    Raises:
        InputError: there are none.
    """
    files = sorted(root.glob("drummer_*/annotation/*.txt"))
    if not files:
        raise InputError(f"{root}: is not laid out as ENST-Drums; expected drummer_1/annotation/NNN_TAKE.txt")
    return files


def _describe(take: str) -> tuple[list[str], str | None, float | None]:
    """Tags, beater and tempo that a file name states.

    >>> _describe("162_MIDI-minus-one_fusion-125_sticks")
    (['take:MIDI-minus-one', 'style:fusion', 'beater:sticks'], 'sticks', 125.0)
    """
    match = _TAKE.match(take)
    if not match:
        return [], None, None
    kind, rest = match.groups()
    words = rest.split("_")
    beater = next((word for word in words if word in _BEATERS), None)
    tags, bpm = [f"take:{kind}"], None
    style = words[0]
    if kind == "MIDI-minus-one" and (tempo := _TEMPO.search(style)):
        bpm = float(tempo[1])
        style = style[: tempo.start()]
    if kind != "hits" and style != beater:
        tags.append(f"style:{style}")
    if beater:
        tags.append(f"beater:{beater}")
    return tags, beater, bpm


def _strike(time_s: float, name: str, where: str, beater: str | None, report: Report) -> Strike | None:
    match = _NAME.match(name)
    base = match[1] if match else name
    label = _LABELS.get(base)
    if label is None:
        report.unmapped(name, where, _NO_LABEL.get(base, "no label has this name"))
        return None
    component = Component(label=label)
    if label in _VARIANT_LABELS:
        component.instrument_variant = name
    if base in _ON_RIM:
        component.strike_position = "rim"
    # The bass drum is played with the foot, whatever the hands hold.
    technique = _BEATER_TECHNIQUES.get(beater or "") if label != "kick" else None
    return Strike(time_s, component, where, techniques=(technique,) if technique else ())


def read(annotation: Path, report: Report, settings: Settings) -> list[Event]:
    """The events of one take.

    Raises:
        InputError: a faulty line (named).
    """
    drummer, take = annotation.parents[1].name, annotation.stem
    folder = settings[AUDIO.name]
    tags, beater, bpm = _describe(take)
    lines = read_timed_lines(annotation, report)
    strikes = [_strike(time_s, name, where, beater, report) for time_s, name, where in lines]
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{drummer}/{take}",
        onset_time=0,
        components=[],
        track_id=f"{drummer}/{take}",
        drummer_id=f"{CARD.name}:{drummer}",
        kit_id=f"{CARD.name}:{drummer}",
        source_set=CARD.title,
        is_synthetic=False,
        audio_path=report.audio(annotation.parents[1] / "audio" / folder / f"{take}.wav"),
        tempo_bpm=bpm,
        tags=tags or None,
        mix_context=_MIX_CONTEXT.get(folder),
        metadata_ref=f"provenance:{report.relative(annotation)}",
    )
    return gather([strike for strike in strikes if strike], template, report)


SOURCES = (Source(CARD, find, read, (AUDIO,)),)
