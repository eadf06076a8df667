"""Kit layouts: TOML files that say how the file names of a drum sample kit turn into labelled hits.

A layout is matched against paths relative to the kit folder, with ``/`` between parts and without the file
suffix (so that a wav and a flac copy of one kit share it). Its keys:

- ``name``, ``licence`` (SPDX identifier), ``attribution``: the kit, and what its licence asks to be said.
- ``detect``: glob patterns; a folder in which every one finds something is this kit. Not needed in the
  ``kit.toml`` of a user, which lies in its kit and wins over every bundled layout.
- ``files``: regular expression with the named groups ``piece`` and, where the names tell them, ``layer``,
  ``take`` and ``mic``. Absent: the files are mapped by the drum words in their names (names.py).
- ``parts``, ``shared``: a folder that holds several kits names their folders, and those that all of them
  use.
- ``layers.NAME``: layer -> upper MIDI velocity, softest first, or [lower, upper]. The set ``default`` holds
  for pieces that name no other; the set name ``rank`` means that layers are ranks, softest first, one equal
  range each.
- ``pieces.PIECE``: ``label`` and optional ``variant``, ``openness`` 0..1, ``choke``, ``layers``, ``velocity``
  (0..1, for a piece without layers), ``gain_db`` and ``veltrack`` (a number, or a table by layer).
- ``mics.MIC``: ``role`` close, overhead or room, ``gain_db`` in the default mix, ``labels``: those of the
  drums it stands at (the others are bleed on it, and it stays out of their default mix). ``default_mic``
  is the microphone of files that name none.
- ``level``: absent for natural levels. ``veltrack`` 0..100 scales with velocity as the sfz format's
  ``amp_veltrack`` does; ``normalise_peak`` first brings each mixed hit to 0 dBFS.
- ``skip``: list of ``match`` (regular expression) and ``reason``.

Unknown keys are refused: in a hand-written file they are misspellings.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.events import Name, Unit
from beatsight.files import read_text
from beatsight.taxonomy import UnknownLabelError, is_hihat, resolve

USER_LAYOUT = "kit.toml"
RANK = "rank"
_MIDI_MAX = 127
# The word list of names.py lies in the same folder and is no layout.
_NOT_LAYOUTS = frozenset({"words.toml"})

Percent = Annotated[float, Meta(ge=0, le=100)]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: a misspelt key is an error."""


class Piece(_Strict, frozen=True, kw_only=True):
    """One instrument and articulation of the kit; ``gain_db`` and ``veltrack`` may differ by layer."""

    label: Name
    variant: Name | None = None
    openness: Unit | None = None
    choke: bool = False
    layers: str = "default"
    velocity: Unit | None = None
    gain_db: float | dict[str, float] = 0.0
    veltrack: Percent | dict[str, Percent] | None = None


class Mic(_Strict, frozen=True, kw_only=True):
    """One microphone: where it stands, its gain in the default mix (dB), the labels it is meant for."""

    role: Literal["close", "overhead", "room"]
    gain_db: float = 0.0
    labels: tuple[str, ...] = ()

    def hears(self, label: str) -> bool:
        """Whether a hit of ``label`` is more than bleed on this microphone."""
        return not self.labels or label in self.labels


class Level(_Strict, frozen=True, kw_only=True):
    """How strike levels are restored; without ``veltrack`` only the gains of the pieces apply."""

    veltrack: Percent | None = None
    normalise_peak: bool = False


class Skip(_Strict, frozen=True, kw_only=True):
    """Files left out, and why."""

    match: Name
    reason: Name


class Layout(_Strict, frozen=True, kw_only=True):
    """One layout file; see the module's docstring for every key."""

    name: Name
    licence: str = "unknown"
    attribution: str = ""
    detect: tuple[Name, ...] = ()
    files: Name | None = None
    parts: tuple[Name, ...] = ()
    shared: tuple[Name, ...] = ()
    default_mic: Name | None = None
    mics: dict[str, Mic] = {}
    layers: dict[str, dict[str, int | list[int]]] = {}
    pieces: dict[str, Piece] = {}
    level: Level = Level()
    skip: tuple[Skip, ...] = ()

    def layer_velocity(self, piece: Piece, layer: str) -> float | None:
        """Middle of the layer's velocity range over 127, or None when the layer is not in the piece's set."""
        bounds = layer_bounds(self.layers.get(piece.layers, {})).get(layer)
        return None if bounds is None else (bounds[0] + bounds[-1]) / 2 / _MIDI_MAX


def layer_bounds(layers: dict[str, int | list[int]]) -> dict[str, list[int]]:
    """Lower and upper MIDI velocity of each layer; a lone upper bound starts above the layer before it.

    >>> layer_bounds({"P": 39, "F": 127})
    {'P': [1, 39], 'F': [40, 127]}
    """
    found: dict[str, list[int]] = {}
    lower = 1
    for layer, bound in layers.items():
        found[layer] = bound if isinstance(bound, list) else [lower, bound]
        lower = found[layer][-1] + 1
    return found


def _regex(text: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"{where}: is not a regular expression: {error}") from None


def _label(text: str, where: str) -> str:
    try:
        return resolve(text)
    except UnknownLabelError as error:
        raise InputError(f"{where}: {error}") from None


def _check_layers(layout: Layout, path: Path) -> None:
    if RANK in layout.layers:
        raise InputError(f"{path}: layers.{RANK}: is a reserved name; call the set something else")
    for name, layers in layout.layers.items():
        for layer, bounds in layer_bounds(layers).items():
            if len(bounds) != 2 or not 1 <= bounds[0] <= bounds[1] <= _MIDI_MAX:
                raise InputError(
                    f"{path}: layers.{name}.{layer}: {bounds} is no range of velocities within 1..{_MIDI_MAX}"
                )


def _check_pieces(layout: Layout, path: Path) -> None:
    for name, piece in layout.pieces.items():
        where = f"{path}: pieces.{name}"
        if piece.layers not in {"default", RANK, *layout.layers}:
            raise InputError(f"{where}.layers: there is no layer set {piece.layers!r}")
        if piece.openness is not None and not is_hihat(piece.label):
            raise InputError(f"{where}.openness: {piece.label} is no hi-hat and has no openness")


def _check_files(layout: Layout, path: Path) -> None:
    if layout.files is not None and "piece" not in _regex(layout.files, f"{path}: files").groupindex:
        raise InputError(f"{path}: files: needs a named group (?P<piece>...)")
    for rule in layout.skip:
        _regex(rule.match, f"{path}: skip.match")
    if (layout.files is None) != (not layout.pieces):
        raise InputError(f"{path}: files and pieces belong together; one of them is missing")
    if layout.default_mic is not None and layout.default_mic not in layout.mics:
        raise InputError(f"{path}: default_mic: there is no microphone {layout.default_mic!r} in mics")
    for pattern in layout.detect:
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise InputError(f"{path}: detect: {pattern!r} leaves the kit folder")
    for name in (*layout.parts, *layout.shared):
        if name in {".", ".."} or "/" in name or "\\" in name:
            raise InputError(
                f"{path}: parts and shared: {name!r} is not the name of a folder in the kit folder"
            )


def _with_canonical_labels(layout: Layout, path: Path) -> Layout:
    """The layout with every label resolved, so that readers compare canonical names only."""
    replace = msgspec.structs.replace
    pieces = {
        name: replace(piece, label=_label(piece.label, f"{path}: pieces.{name}.label"))
        for name, piece in layout.pieces.items()
    }
    mics = {
        name: replace(mic, labels=tuple(_label(text, f"{path}: mics.{name}.labels") for text in mic.labels))
        for name, mic in layout.mics.items()
    }
    return replace(layout, pieces=pieces, mics=mics)


def read_layout(path: str | os.PathLike[str]) -> Layout:
    """Read and check one layout file.

    Raises:
        InputError: the file cannot be read, is not TOML, or a key is unknown, missing or of the wrong kind;
            the message is ``file: key: why``.
    """
    path = Path(path)
    text = read_text(path)
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    try:
        layout = msgspec.convert(raw, Layout)
    except msgspec.ValidationError as error:
        why, _, where = str(error).replace("`", "").partition(" - at $.")
        raise InputError(f"{path}: {where + ': ' if where else ''}{why}") from None
    layout = _with_canonical_labels(layout, path)
    _check_files(layout, path)
    _check_layers(layout, path)
    _check_pieces(layout, path)
    return layout


@lru_cache(maxsize=1)
def bundled_layouts() -> tuple[Layout, ...]:
    """The layouts that come with the package, by file name."""
    folder = Path(__file__).parent
    return tuple(read_layout(p) for p in sorted(folder.glob("*.toml")) if p.name not in _NOT_LAYOUTS)


def layout_of(folder: Path) -> Layout | None:
    """The layout of a kit folder: its own ``kit.toml``, or the first bundled one that recognises it.

    Raises:
        InputError: the folder's ``kit.toml`` is faulty.
    """
    if (folder / USER_LAYOUT).is_file():
        return read_layout(folder / USER_LAYOUT)
    for layout in bundled_layouts():
        if all(any(folder.glob(pattern)) for pattern in layout.detect):
            return layout
    return None
