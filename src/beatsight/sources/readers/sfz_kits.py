"""SFZ-style kits: recorded strikes in velocity layers and round robins, told by an ``.sfz`` file or a layout.

A kit with a layout (its own ``kit.toml`` or a bundled one) is read by it, since a layout knows openness and
microphones; any other ``.sfz`` is read itself. There, a strike's drum is the one in the sample's name, else
in the labels of its region, group, master and global, else the General MIDI key it is on; its velocity is the
middle of the range of all regions that play it, its ``openness_raw`` that of controller 4 for a hi-hat (which
end is open differs between kits, so there is no openness). A sample that several regions play is one strike.
Regions whose sample is missing or names no drum are counted, those with a faulty value listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.kit_events import KitFolder, kit_events, kit_folders, strike_event
from beatsight.synth.sfz import Region, read_sfz
from beatsight.synth.sfz_kit import is_choke, region_label, spanned, strike_velocity
from beatsight.taxonomy import is_hihat

CARD = Card(
    name="sfz_kits",
    title="SFZ kits",
    version="1",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="KIT/NAME.sfz     regions with sample, key, velocity and pedal range\n"
    "KIT/…            the samples, at the paths it names (a .wav may lie there as .flac)\n"
    "KIT/kit.toml     or, instead of the .sfz, a layout file; some kits are known without one",
    has_audio=True,
)
_BY = Option(
    "by",
    "auto",
    "read layouts and, for kits without, .sfz files (auto), or only one",
    ("auto", "layout", "sfz"),
)


@dataclass(frozen=True)
class SfzFile:
    """An instrument to read, and the folder that its samples lie in."""

    path: Path
    root: Path


def find(root: Path, settings: Settings) -> list[KitFolder | SfzFile]:
    """The kits with a layout, then the ``.sfz`` files outside them."""
    folders: list[KitFolder] = []
    if root.is_dir() and settings["by"] != "sfz":
        try:
            folders = [folder for folder in kit_folders(root) if folder.known_layout]
        except InputError:
            if (root / "kit.toml").exists():
                raise
    instruments: list[SfzFile] = []
    if settings["by"] != "layout":
        base = root if root.is_dir() else root.parent
        found = sorted(path for path in base.rglob("*") if path.suffix.lower() == ".sfz" and path.is_file())
        known = {folder.home for folder in folders}
        instruments = [
            SfzFile(path, base)
            for path in found
            if root in (base, path) and known.isdisjoint(path.resolve().parents)
        ]
    if not folders and not instruments:
        raise InputError(f"{root}: holds no SFZ kit; expected an .sfz file, or a kit with a layout")
    return [*folders, *instruments]


def _component(regions: list[Region], label: str) -> Component:
    pedal = spanned([region.pedal for region in regions]) if is_hihat(label) else None
    return Component(
        label=label,
        velocity=strike_velocity(regions),
        openness_raw=sum(pedal) / 2 if pedal else None,
        choke=True if is_choke(regions[0]) else None,
    )


def _instrument_events(file: SfzFile, report: Report) -> list[Event]:
    instrument = read_sfz(file.path, file.root)
    report.used(file.path)
    for line, why in instrument.faults:
        report.skip(Path(line), why)
    for line, text in instrument.no_strikes:
        name, _, why = text.partition(": ")
        report.unmapped(name, _place(line, report), why)
    session = PurePosixPath(report.relative(file.path)).with_suffix("").as_posix()
    by_sample: dict[Path, list[Region]] = {}
    for region in instrument.regions:
        if region.path is None:
            report.unmapped(region.sample, _place(region.line, report), "the sample file is missing")
        else:
            by_sample.setdefault(region.path, []).append(region)
    events = []
    for path, regions in by_sample.items():
        label, why = region_label(regions[0])
        if label is None:
            report.unmapped(regions[0].sample, _place(regions[0].line, report), why)
            continue
        component = _component(regions, label)
        gain_db = regions[0].gain_db(1.0 if component.velocity is None else component.velocity)
        chain: dict[str, object] = {"gain_db": round(gain_db, 3)}
        try:
            events.append(strike_event(CARD, session, path, component, chain, report))
        except InputError as error:
            report.skip(path, str(error).removeprefix(f"{path}: "))
    return events


def _place(line: str, report: Report) -> str:
    path, _, number = line.rpartition(":")
    return f"{report.relative(Path(path))}:{number}"


def read(item: KitFolder | SfzFile, report: Report, settings: Settings) -> Iterable[Event]:
    """The strikes of one kit, which is their session."""
    return kit_events(CARD, item, report) if isinstance(item, KitFolder) else _instrument_events(item, report)


SOURCES = (Source(CARD, find, read, (_BY,)),)
