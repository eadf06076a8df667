"""Recorded strikes of a drum kit, one file (or one file a microphone) each, as events.

One event a strike: ``audio_path`` is its main microphone, the first overhead of the kit, else the first that
stands at the drum; ``processing_chain`` names that microphone, all others with their files, and the gain in
dB that restores the level of the strike. The onset is measured in the file (10 % of the attack's peak).
``sample_id`` holds the file's name, as thousands of strikes of one kit start at the same moment of their
files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from beatsight.audio.io import load_channels
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.sources.contract import Card, Report
from beatsight.synth.kit_layouts import USER_LAYOUT, layout_of
from beatsight.synth.sample_kit import KitHit, SampleKit, attack_s, find_kits, read_kit, unique_hits

ONE_SHOT_TAG = "one_shot"
_CONTEXTS: dict[str, Literal["close_mic", "overheads"]] = {"close": "close_mic", "overhead": "overheads"}


@dataclass(frozen=True)
class KitFolder:
    """A kit to read.

    Attributes:
        path: as :func:`beatsight.synth.sample_kit.find_kits` gives it.
        home: the folder that holds all its files: the kit, or the one over it where kits share pieces.
        before: kits read earlier that may share pieces with it, so that each strike is read once.
        known_layout: whether a layout describes it, not only the names of its files.
    """

    path: Path
    home: Path
    before: tuple[Path, ...]
    known_layout: bool


def kit_folders(root: Path) -> list[KitFolder]:
    """The kits of a folder in path order.

    Raises:
        InputError: there is none, or a faulty ``kit.toml``.
    """
    found = find_kits(root)
    folders = []
    for index, path in enumerate(found):
        above = layout_of(path.parent)
        is_part = above is not None and path.name in above.parts
        before = tuple(other for other in found[:index] if is_part and other.parent == path.parent)
        home = path.parent if is_part else path
        folders.append(KitFolder(path, home, before, layout_of(home) is not None))
    return folders


def strike_event(
    card: Card, session: str, audio: Path, component: Component, chain: dict[str, object], report: Report
) -> Event:
    """The event of one strike, its onset measured.

    Args:
        card: of the source.
        session: names the kit within the source.
        audio: the file of its main microphone.
        component: label and what is known of the strike.
        chain: becomes ``processing_chain``.
        report: of the ingest; the file is noted as used.

    Raises:
        InputError: the file cannot be decoded, or is silent.
    """
    sound, sample_rate = load_channels(audio)
    try:
        onset_s = attack_s(sound.mean(axis=0), sample_rate)
    except InputError as error:
        raise InputError(f"{audio}: {error}") from None
    name = report.used(audio)
    session_id = f"{card.name}:{session}"
    return Event(
        sample_id=f"{session_id}/{PurePosixPath(name).with_suffix('')}:{round(onset_s * 1e6):09d}",
        session_id=session_id,
        onset_time=onset_s,
        components=[component],
        kit_id=session_id,
        source_set=card.title,
        audio_path=name,
        sample_rate=sample_rate,
        channels=len(sound),
        tags=[ONE_SHOT_TAG],
        processing_chain=chain,
        metadata_ref=f"provenance:{name}",
    )


def _main_mic(hit: KitHit, kit: SampleKit) -> str:
    overheads = [name for name in kit.mics if name in hit.mics and kit.mics[name].role == "overhead"]
    hearing = [name for name in hit.mics if kit.mics[name].hears(hit.label)]
    return (overheads or hearing or list(hit.mics))[0]


def _hit_event(card: Card, session: str, hit: KitHit, kit: SampleKit, report: Report) -> Event:
    mic = _main_mic(hit, kit)
    component = Component(
        label=hit.label,
        velocity=hit.velocity,
        openness=hit.openness,
        choke=hit.choke or None,
        instrument_variant=hit.variant or None,
    )
    chain: dict[str, object] = {
        "microphone": mic,
        "microphones": {name: report.relative(path) for name, path in hit.mics.items()},
        "gain_db": round(hit.gain_db, 3),
        "licence": kit.licence,
        "attribution": kit.attribution,
    }
    event = strike_event(card, session, hit.mics[mic], component, chain, report)
    event.mix_context = _CONTEXTS.get(kit.mics[mic].role)
    return event


def kit_events(card: Card, folder: KitFolder, report: Report) -> list[Event]:
    """The strikes of one kit; files that are no labelled strike are counted, damaged ones listed.

    Raises:
        InputError: the folder holds no strike that can be labelled.
    """
    own = read_kit(folder.path)
    kits = [*(read_kit(path) for path in folder.before), own]
    session = report.relative(folder.path)
    session = own.name if session == "." else session
    if (folder.home / USER_LAYOUT).is_file():
        report.used(folder.home / USER_LAYOUT)
    for path, why in own.skipped:
        report.unmapped(report.relative(path), report.relative(path), why)
    events = []
    for kit, hit in unique_hits(kits):
        if kit is not own:
            continue
        try:
            events.append(_hit_event(card, session, hit, kit, report))
        except InputError as error:
            path = next(iter(hit.mics.values()))
            report.skip(path, str(error).removeprefix(f"{path}: "))
    return events
