"""Folders of one-shots: single strikes, one file each, named after their drums.

Any kit that :func:`beatsight.synth.sample_kit.find_kits` knows: folders of files with drum words in their
names, with a ``kit.toml`` of their own, or of a bundled layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.sources.contract import Card, Report, Settings, Source
from beatsight.sources.kit_events import KitFolder, kit_events, kit_folders

CARD = Card(
    name="one_shots",
    title="One-shots",
    version="1",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="KIT/snare_01.wav       one strike a file, its drum in the name (.flac, .ogg, .mp3 … too)\n"
    "KIT/Snare/01.wav       or in the folder's name\n"
    "KIT/kit.toml           or by a layout file: pieces, velocity layers, microphones",
    has_audio=True,
)


def find(root: Path, settings: Settings) -> list[KitFolder]:
    """The kits."""
    if not root.is_dir():
        raise InputError(f"{root}: is a file; expected a folder of one-shots")
    return kit_folders(root)


def read(kit: KitFolder, report: Report, settings: Settings) -> Iterable[Event]:
    """The strikes of one kit, which is their session."""
    return kit_events(CARD, kit, report)


SOURCES = (Source(CARD, find, read),)
