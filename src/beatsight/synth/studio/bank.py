"""All the strokes of some recorded kits, decoded once and sorted by drum, ready to be played.

A *piece* is one instrument of one kit: a kick, a cymbal struck on the bow, or a whole hi-hat with all its
positions (they are one pair of cymbals, so a song never mixes two). Each recorded stroke keeps its
microphones apart and aligned, so that a mix can set their levels while their delays stay real.

Conventions: audio is int16 in memory (a kit collection of an hour fits in some hundred MB), float32 when
played; velocity 0..1, openness 0..1. Levels are per piece: a stroke's own loudness is divided out
when it is played, since some kits are peak-normalised and others natural; who plays it sets the level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from beatsight.audio import io
from beatsight.errors import InputError
from beatsight.synth.kit_layouts import USER_LAYOUT, layout_of
from beatsight.synth.sample_kit import KitHit, SampleKit, find_kits, read_kit, unique_hits
from beatsight.synth.sfz_kit import read_sfz_kit
from beatsight.taxonomy import is_hihat, resolve

# The instruments a song asks for. A ride's bow, bell and edge are one cymbal, as are the hat's positions.
ROLES: dict[str, str] = {
    "rimshot": "snare",
    "snare_off": "snare",
    "crash2": "crash",
    "ride_bell": "ride",
    "ride_bow": "ride",
    "ride_edge": "ride",
}
HIHAT = "hihat"
# A sample is cut where it stays this far under its peak.
_INAUDIBLE_DB = -66.0
_CUT_BLOCK = 1024
_FULL_SCALE = 32767.0


def role_of(label: str) -> str:
    """The instrument that plays a label.

    >>> role_of("hihat_open"), role_of("ride_bell"), role_of("kick")
    ('hihat', 'ride', 'kick')
    """
    return HIHAT if is_hihat(label) else ROLES.get(label, label)


@dataclass(frozen=True, eq=False)
class Take:
    """One recorded stroke.

    Attributes:
        label, velocity, openness: what was played; velocity None where the kit does not tell.
        choke: the cymbal was grabbed after the stroke.
        mics: microphone name -> int16 samples, shape (frames,); all start at the same moment.
        scales: microphone name -> linear factor from int16 to the kit's own balance.
    """

    label: str
    velocity: float | None
    openness: float | None
    choke: bool
    mics: dict[str, np.ndarray]
    scales: dict[str, float]


@dataclass(frozen=True, eq=False)
class Piece:
    """One instrument of one kit.

    Attributes:
        kit: its name.
        role: the instrument, see :func:`role_of`.
        name: of this piece in the kit.
        takes: all its strokes.
        mic_roles: microphone name -> close, overhead or room.
    """

    kit: str
    role: str
    name: str
    takes: tuple[Take, ...]
    mic_roles: dict[str, str] = field(default_factory=dict)

    def has(self, label: str) -> bool:
        """Whether any stroke of the piece carries the label."""
        return any(take.label == label for take in self.takes)


@dataclass(frozen=True, eq=False)
class Bank:
    """Pieces by role.

    Attributes:
        pieces: role -> its pieces, in order of kit and name.
        skipped: (path, reason) of what is no stroke of a drum that can be named.
        damaged: (path, reason) of strokes whose sound cannot be read, or is silent.
    """

    pieces: dict[str, tuple[Piece, ...]]
    skipped: tuple[tuple[Path, str], ...]
    damaged: tuple[tuple[Path, str], ...] = ()

    def kits(self) -> tuple[str, ...]:
        """Names of the kits, sorted."""
        return tuple(sorted({piece.kit for pieces in self.pieces.values() for piece in pieces}))


def _cut(channels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The microphones without the tail that nobody hears."""
    size = max(map(len, channels.values()))
    total = np.zeros(-(-size // _CUT_BLOCK) * _CUT_BLOCK, np.float32)
    for audio in channels.values():
        np.maximum(total[: len(audio)], np.abs(audio), out=total[: len(audio)])
    blocks = total.reshape(-1, _CUT_BLOCK).max(axis=1)
    heard = np.flatnonzero(blocks > blocks.max() * 10 ** (_INAUDIBLE_DB / 20))
    end = int(heard[-1] + 1) * _CUT_BLOCK if len(heard) else _CUT_BLOCK
    return {name: audio[:end] for name, audio in channels.items()}


def load_take(kit: SampleKit, hit: KitHit) -> Take:
    """Decode one stroke with all its microphones.

    Raises:
        InputError: a file cannot be read, or all are silent.
    """
    channels = _cut({name: io.load(path) for name, path in hit.mics.items()})
    stored, scales = {}, {}
    for name, audio in channels.items():
        peak = float(np.abs(audio).max(initial=0.0))
        if peak == 0.0:
            continue
        stored[name] = np.round(audio * (_FULL_SCALE / peak)).astype(np.int16)
        # Bleed on another drum's microphone belongs to the sound of the kit, well under the drum itself.
        balance = kit.mics[name].gain_db if name in kit.mics else 0.0
        scales[name] = peak / _FULL_SCALE * 10 ** (balance / 20)
    if not stored:
        raise InputError(f"{next(iter(hit.mics.values()))}: is silent")
    return Take(hit.label, hit.velocity, hit.openness, hit.choke, stored, scales)


def _piece_name(hit: KitHit, role: str) -> str:
    """Takes with the same name are one instrument."""
    if role == HIHAT:
        return HIHAT
    if role == "ride":
        # "ride1Bell", "RideL", "RideLBell", "ZildjianA24RideShank" -> the cymbal they were played on.
        name = hit.variant
        for ending in ("Bell", "Crash", "Shank", "Choke", "RideBell"):
            name = name.replace(ending, "")
        return name
    return hit.variant.replace("Choke", "")


def read_kits(place: Path) -> list[SampleKit]:
    """The kits of an ``.sfz`` file or a folder: those with a layout, those told by an ``.sfz``, one-shots.

    An ``.sfz`` inside a kit with a layout is not read, since the layout knows more; of the folders of
    one-shots those are left out that belong to an ``.sfz``.

    Raises:
        InputError: no such file or folder, no kit in it, or a faulty layout.
    """
    if place.suffix.lower() == ".sfz" and not place.is_dir():
        return [read_sfz_kit(place)]
    files = sorted(p for p in place.rglob("*") if p.suffix.lower() == ".sfz" and p.is_file())
    root = place.resolve()
    instruments = []
    for path in files:
        home = path.resolve().parent
        inner = [home, *(folder for folder in home.parents if root in (folder, *folder.parents))]
        if not any(layout_of(folder) for folder in inner):
            instruments.append(path)
    if not instruments:
        return [read_kit(path) for path in find_kits(place)]
    homes = {path.resolve().parent for path in instruments}
    kits = [read_sfz_kit(path) for path in instruments]
    try:
        folders = find_kits(place)
    except InputError:
        if any(place.rglob(USER_LAYOUT)):
            raise
        return kits  # nothing but instruments
    return [read_kit(path) for path in folders if homes.isdisjoint((path, *path.parents))] + kits


def load_bank(
    folders: Iterable[Path],
    *,
    leave_out: Sequence[str] = (),
    only: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Decode all kits under some folders.

    Args:
        folders: each a kit, a folder of kits or an ``.sfz`` file.
        leave_out: names of kits (as :func:`read_kit` names them) whose strokes are not used; a stroke that
            another kit shares with one of them is not used either.
        only: where given, only kits of these names.
        progress: called with (strokes read, of all).

    Raises:
        InputError: a folder holds no kit, or nothing usable is left.
    """
    kits = [kit for folder in folders for kit in read_kits(Path(folder))]
    banned = {path for kit in kits if kit.name in leave_out for hit in kit.hits for path in hit.mics.values()}
    kits = [kit for kit in kits if kit.name not in leave_out and (not only or kit.name in only)]
    skipped = [entry for kit in kits for entry in kit.skipped]
    wanted = [(kit, hit) for kit, hit in unique_hits(kits) if banned.isdisjoint(hit.mics.values())]
    damaged: list[tuple[Path, str]] = []
    found: dict[tuple[str, str, str], list[Take]] = {}
    roles: dict[str, dict[str, str]] = {}
    for done, (kit, hit) in enumerate(wanted, start=1):
        role = role_of(resolve(hit.label))
        try:
            take = load_take(kit, hit)
        except InputError as error:
            damaged.append((next(iter(hit.mics.values())), str(error)))
            continue
        found.setdefault((kit.name, role, _piece_name(hit, role)), []).append(take)
        roles[kit.name] = {name: mic.role for name, mic in kit.mics.items()}
        if progress:
            progress(done, len(wanted))
    if not found:
        raise InputError("no stroke of these kits can be used")
    pieces: dict[str, list[Piece]] = {}
    for (kit_name, role, name), takes in sorted(found.items()):
        pieces.setdefault(role, []).append(Piece(kit_name, role, name, tuple(takes), roles[kit_name]))
    return Bank({role: tuple(items) for role, items in pieces.items()}, tuple(skipped), tuple(damaged))
