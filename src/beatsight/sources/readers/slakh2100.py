"""Slakh2100: songs of the Lakh MIDI collection rendered with sampled instruments, each instrument a stem.

The drums of a song are its stems with ``is_drum: true``; their MIDI files are what was rendered, to the tick.
Labels are General MIDI's meaning of the keys. Some of the drum plug-ins have sounds of their own on some
keys, so a label may differ from what is heard; the plug-in is the event's ``kit_id``, to choose by.

``audio=mix`` (default) names the whole song and joins the drum stems of a song; ``audio=stem`` names each
drum stem's own file. A stem that was not rendered is not in the song either; its hits are counted as
unmapped. The set is read in full, as Slakh2100 redux (duplicate songs in ``omitted``) or as BabySlakh (no
split folders, wav). All of it is marked as synthetic. The split is a tag; ``track_id`` is the identifier of
the Lakh file, equal for duplicates.

Source: http://www.slakh.com; E. Manilow et al., WASPAA 2019. Needs PyYAML (extra ``sources``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beatsight.charts.performance import read_performance
from beatsight.errors import InputError, require
from beatsight.events import Event
from beatsight.files import read_text
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.note_keys import Keys, strikes_of
from beatsight.sources.strikes import Strike, gather
from beatsight.taxonomy import note_map

CARD = Card(
    name="slakh2100",
    title="Slakh2100",
    version="2100 and redux (2019, 2021)",
    licence="CC-BY-4.0",
    commercial=True,
    citation="E. Manilow, G. Wichern, P. Seetharaman, J. Le Roux: Cutting Music Source Separation Some "
    "Slakh: A Dataset to Study the Impact of Training Data Quality and Quantity, WASPAA 2019",
    url="http://www.slakh.com",
    layout="""\
train/Track00001/metadata.yaml    stems and what they are; also validation, test, omitted, or no such folder
train/Track00001/MIDI/S01.mid     the notes of a stem
train/Track00001/mix.flac         the song (BabySlakh: .wav)
train/Track00001/stems/S01.flac   the stem alone""",
    has_audio=True,
)
AUDIO = Option("audio", "mix", "the song, or the drum stem alone", ("mix", "stem"))
_SPLITS = ("train", "validation", "test", "omitted")
_SUFFIXES = (".flac", ".wav")
_NOT_RENDERED = "hit of a stem that was not rendered"
_KEYS = Keys(note_map("gm"), "gm")


@dataclass(frozen=True)
class _Stem:
    """A drum stem: its plug-in, its notes, and where its recording may be."""

    plugin: str
    midi: Path
    audio: tuple[Path, ...]


def find(root: Path, settings: Settings) -> list[Path]:
    """The ``metadata.yaml`` of the songs, split by split.

    Raises:
        InputError: there are none.
        MissingDependencyError: PyYAML is not installed.
    """
    require("yaml", "sources")
    folders = [path for split in (*_SPLITS, ".") for path in sorted((root / split).glob("Track*"))]
    songs = [path / "metadata.yaml" for path in folders if path.is_dir()]
    if not songs:
        raise InputError(f"{root}: is not laid out as Slakh2100; expected train/Track00001/metadata.yaml")
    return songs


def _metadata(path: Path) -> dict[str, Any]:
    yaml = require("yaml", "sources")
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else f"{path}"
        why = getattr(error, "problem", None) or "it cannot be read as plain values"
        raise InputError(f"{place}: is not valid YAML: {why}") from None
    if not isinstance(content, dict) or not isinstance(content.get("stems"), dict):
        raise InputError(f"{path}: holds no table of stems")
    content["stems"] = {str(name): facts for name, facts in content["stems"].items()}
    return content


def _drum_names(path: Path, stems: dict[str, Any]) -> list[str]:
    """Names of the stems with ``is_drum: true``; ``path`` is for errors."""
    for key, facts in stems.items():
        if not isinstance(facts, dict):
            raise InputError(f"{path}: stem {key} is not a table")
        if Path(key).name != key:
            raise InputError(f"{path}: {key!r} is not the name of a stem")
    names = sorted(key for key, facts in stems.items() if facts.get("is_drum") is True)
    if not names:
        raise InputError(f"{path}: has no stem with is_drum: true")
    return names


def _stems(metadata: Path, content: dict[str, Any], report: Report) -> list[_Stem]:
    """The drum stems that are part of the song; the others are counted, or listed where they should be."""
    song = metadata.parent
    found = []
    for name in _drum_names(metadata, content["stems"]):
        facts = content["stems"][name]
        audio = tuple(song / "stems" / f"{name}{suffix}" for suffix in _SUFFIXES)
        midi = song / "MIDI" / f"{name}.mid"
        if not midi.is_file():
            report.skip(midi, "is not there, though metadata.yaml names the stem")
        elif facts.get("audio_rendered") is False and not any(path.is_file() for path in audio):
            count = len(read_performance(midi, channels="all").notes)
            report.unmapped(_NOT_RENDERED, report.used(midi), "it is not in the recording", count)
        else:
            found.append(_Stem(str(facts.get("plugin_name") or "unknown"), midi, audio))
    return found


def _strikes(stem: _Stem, report: Report) -> list[Strike]:
    performance = read_performance(stem.midi, channels="all")
    return list(strikes_of(performance, _KEYS, report.used(stem.midi), report))


def _template(song: Path, uuid: Any) -> Event:
    split = song.parent.name if song.parent.name in _SPLITS else None
    return Event(
        sample_id="-",
        session_id=f"{CARD.name}:{song.name}",
        onset_time=0,
        components=[],
        track_id=f"{CARD.name}:{uuid}" if uuid else None,
        source_set=CARD.title,
        is_synthetic=True,
        tags=[f"split:{split}"] if split else None,
    )


def read(metadata: Path, report: Report, settings: Settings) -> list[Event]:
    """The events of one song; of its stems, those of each stem after the other.

    Raises:
        InputError: its metadata or a MIDI file is missing or damaged, or it has no drum stem.
    """
    song, content = metadata.parent, _metadata(metadata)
    report.used(metadata)
    stems = _stems(metadata, content, report)
    if not stems:
        return []
    template = _template(song, content.get("UUID"))
    if settings[AUDIO.name] == "mix":
        strikes = [strike for stem in stems for strike in _strikes(stem, report)]
        template.audio_path = report.audio(*(song / f"mix{suffix}" for suffix in _SUFFIXES))
        template.mix_context = "full_mix"
        template.kit_id = f"{CARD.name}:{'+'.join(sorted({stem.plugin for stem in stems}))}"
        template.metadata_ref = f"provenance:{report.relative(stems[0].midi)}"
        return gather(strikes, template, report)
    events = []
    for number, stem in enumerate(stems, start=1):
        template.audio_path = report.audio(*stem.audio)
        template.kit_id = f"{CARD.name}:{stem.plugin}"
        template.metadata_ref = f"provenance:{report.relative(stem.midi)}"
        found = gather(_strikes(stem, report), template, report)
        if number > 1:
            for event in found:
                event.sample_id += f"-{number}"
        events += found
    return events


SOURCES = (Source(CARD, find, read, (AUDIO,)),)
