"""Recorded drum kits: a folder of one-shots becomes typed hits, each with all its microphones.

A kit is recognised by its own ``kit.toml`` or a bundled layout (:mod:`beatsight.synth.kit_layouts` documents
the format); any other folder is read by the drum words in its file names (one file, one hit). Nothing is
dropped in silence: each audio file is part of a hit or stands in ``skipped`` with a reason.

Conventions: velocity and openness 0..1, gains in dB, times in seconds from the start of the mix. Velocity is
the middle of the layer's range; it is None where a kit has no layers, since a guess would be learnt as truth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from beatsight.audio import io
from beatsight.errors import InputError, UsageError
from beatsight.files import inside
from beatsight.synth.kit_layouts import RANK, USER_LAYOUT, Layout, Mic, layout_of
from beatsight.synth.kit_layouts.matching import (
    MAIN_MIC,
    MatchedFile,
    gain_db,
    match_file,
    rank_velocity,
    velocity_of,
)
from beatsight.synth.kit_layouts.names import names_a_drum, read_name

# The usual measure of a one-shot's trim, and the level from which a sound is its main attack.
_ONSET_SHARE = 0.1
_ATTACK_SHARE = 0.5
# A pedal's noise some 15 ms ahead of the chick is not the onset; the quiet stretches inside one attack, such
# as the zero crossings of a kick (down to 40 Hz), are shorter than this.
_ONSET_GAP_S = 0.010
_EXPECTED = (
    f"expected a {USER_LAYOUT}, a kit of a known layout, or audio files named after their drums "
    "(kick_01.wav, Snare/05.wav)"
)


@dataclass(frozen=True)
class KitHit:
    """One recorded strike: label, velocity 0..1 (None: the kit does not tell), its microphones and gain."""

    label: str
    velocity: float | None
    openness: float | None
    choke: bool
    variant: str
    take: int
    mics: dict[str, Path]
    gain_db: float


@dataclass(frozen=True)
class SampleKit:
    """A kit: ``folder`` holds every file of ``hits`` and of ``skipped`` (path, reason)."""

    name: str
    licence: str
    attribution: str
    folder: Path
    hits: tuple[KitHit, ...]
    skipped: tuple[tuple[Path, str], ...]
    mics: Mapping[str, Mic]
    normalise_peak: bool = False


def _audio_folder(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    # The name of "." or "kits/.." must be the folder's own.
    return path.resolve()


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")
    )


def _is_one_shot_folder(folder: Path) -> bool:
    """Whether the folder itself (not only its sub-folders) is a kit of one-shots by its names."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in io.AUDIO_SUFFIXES and p.is_file()]
    if any(read_name(PurePosixPath(p.name), folder.name).label for p in files):
        return True
    return any(names_a_drum(sub.name) and io.find_audio(sub) for sub in _subfolders(folder))


def find_kits(folder: str | os.PathLike[str]) -> list[Path]:
    """The folder itself if it is a kit, else the kits among the folders below it, in path order.

    A folder that holds several kits (``parts`` in its layout) gives each of them; kits inside kits are not
    looked for, and linked folders are not followed.

    Raises:
        InputError: there is no such folder, no kit in it, or a faulty ``kit.toml``.
    """
    root = _audio_folder(folder)

    def walk(here: Path) -> Iterator[Path]:
        if layout := layout_of(here):
            parts = [inside(here, part) for part in layout.parts]
            yield from [part for part in parts if part.is_dir()] if parts else [here]
        elif _is_one_shot_folder(here):
            yield here
        else:
            for sub in _subfolders(here):
                yield from walk(sub)

    # A part stands above its own layout: the folder over it knows what it is.
    above = layout_of(root.parent)
    kits = [root] if above and root.name in above.parts else list(walk(root))
    if not kits:
        raise InputError(f"{root}: holds no drum kit; {_EXPECTED}")
    return kits


def read_kit(folder: str | os.PathLike[str]) -> SampleKit:
    """Read one kit folder, as :func:`find_kits` returns it; no audio is decoded.

    A part of a folder with several kits comes with the pieces they share, so that it is complete:
    :func:`unique_hits` gives each strike once when several kits are read.

    Raises:
        InputError: no such folder, several kits or none in it, or a faulty ``kit.toml`` (named).
    """
    root = _audio_folder(folder)
    layout = layout_of(root)
    if layout is None and (above := layout_of(root.parent)) is not None:
        if root.name not in above.parts:
            raise InputError(f"{root}: is a piece of the kit in {root.parent}; read that folder")
        return _read_files(root.parent, above, (root.name, *above.shared), f"{above.name}/{root.name}")
    if layout is None:
        layout = Layout(name=root.name)
    if layout.parts:
        raise InputError(f"{root}: holds several kits ({', '.join(layout.parts)}); read one of these folders")
    return _read_files(root, layout, (".",), layout.name)


def unique_hits(kits: Iterable[SampleKit]) -> Iterator[tuple[SampleKit, KitHit]]:
    """Each strike of the kits once, with the first kit that has it: kits may share pieces."""
    seen: set[frozenset[Path]] = set()
    for kit in kits:
        for hit in kit.hits:
            files = frozenset(hit.mics.values())
            if files not in seen:
                seen.add(files)
                yield kit, hit


def _read_files(root: Path, layout: Layout, folders: Sequence[str], name: str) -> SampleKit:
    """The kit of the audio files under ``folders`` of ``root``."""
    skipped: dict[Path, str] = {}
    paths: list[Path] = []
    rules = [(re.compile(rule.match), rule.reason) for rule in layout.skip]
    for path in (p for sub in folders for p in io.find_audio(inside(root, sub))):
        relative = path.relative_to(root)
        reason = next((why for rule, why in rules if rule.search(relative.with_suffix("").as_posix())), None)
        if not path.resolve().is_relative_to(root.resolve()):
            reason = "is a link that leaves the kit folder"
        if reason is None:
            paths.append(path)
        else:
            skipped[path] = reason
    if layout.files is None:
        hits = _hits_by_name(root, paths, skipped)
    else:
        hits = _hits_by_layout(root, layout, paths, skipped)
    if not hits:
        raise InputError(f"{root}: holds no drum hit that can be labelled; {_EXPECTED}")
    return SampleKit(
        name=name,
        licence=layout.licence,
        attribution=layout.attribution,
        folder=root,
        hits=tuple(hits),
        skipped=tuple(sorted(skipped.items())),
        mics=layout.mics or {MAIN_MIC: Mic(role="close")},
        normalise_peak=layout.level.normalise_peak,
    )


# --- kits with a layout ---


def _hits_by_layout(root: Path, layout: Layout, paths: list[Path], skipped: dict[Path, str]) -> list[KitHit]:
    pattern = re.compile(layout.files or "")
    ranks: dict[str, set[int]] = {}
    strikes: dict[tuple[str, str | None, int], dict[str, MatchedFile]] = {}
    for path in paths:
        relative = path.relative_to(root).with_suffix("").as_posix()
        file = match_file(path, relative, layout, pattern)
        if isinstance(file, str):
            skipped[path] = file
            continue
        if layout.pieces[file.piece].layers == RANK:
            ranks.setdefault(file.piece, set()).add(int(file.layer or 0))
        mics = strikes.setdefault((file.piece, file.layer, file.take), {})
        if file.mic in mics:
            skipped[path] = f"is the same hit and microphone as {mics[file.mic].path.relative_to(root)}"
        else:
            mics[file.mic] = file
    hits = []
    for mics in strikes.values():
        file = next(iter(mics.values()))
        piece = layout.pieces[file.piece]
        if layout.mics and not any(layout.mics[name].hears(piece.label) for name in mics):
            skipped |= {f.path: f"only bleed of this {piece.label} hit is left" for f in mics.values()}
            continue
        velocity = velocity_of(layout, file, ranks.get(file.piece, ()))
        hits.append(
            KitHit(
                label=piece.label,
                velocity=velocity,
                openness=piece.openness,
                choke=piece.choke,
                variant=piece.variant or file.piece,
                take=file.take,
                mics={name: found.path for name, found in mics.items()},
                gain_db=gain_db(layout, piece, file.layer, velocity),
            )
        )
    return hits


# --- folders of one-shots ---

# Nominal openness of an articulation whose kit tells no more than its name.
NOMINAL_OPENNESS = {"hihat_closed": 0.05, "hihat_pedal": 0.0, "hihat_half": 0.45, "hihat_open": 0.9}


def _hits_by_name(root: Path, paths: list[Path], skipped: dict[Path, str]) -> list[KitHit]:
    named = {path: read_name(PurePosixPath(path.relative_to(root))) for path in paths}
    if not any(name.label for name in named.values()):
        # Only a folder that is one drum throughout ("dim-cabasa/fw_01.wav") may speak for its files.
        named = {path: read_name(PurePosixPath(path.relative_to(root)), root.name) for path in paths}
    hits: list[KitHit] = []
    takes: dict[tuple[str, str, int | None], int] = {}
    layers: dict[tuple[str, str], set[int]] = {}
    layer_of: list[int | None] = []
    for path, name in named.items():
        if name.label is None:
            skipped[path] = name.reason
            continue
        take = takes[name.label, name.variant, name.layer] = (
            takes.get((name.label, name.variant, name.layer), 0) + 1
        )
        if name.layer is not None:
            layers.setdefault((name.label, name.variant), set()).add(name.layer)
        layer_of.append(name.layer)
        openness = NOMINAL_OPENNESS.get(name.label)
        hits.append(KitHit(name.label, None, openness, False, name.variant, take, {MAIN_MIC: path}, 0.0))
    for index, (hit, layer) in enumerate(zip(hits, layer_of, strict=True)):
        known = layers.get((hit.label, hit.variant), set())
        if layer is not None and len(known) > 1:
            hits[index] = replace(hit, velocity=rank_velocity(layer, known))
    return hits


# --- sound ---


def _mix_names(hit: KitHit, kit: SampleKit, mics: Sequence[str] | None) -> list[str]:
    if mics is None:
        return [name for name in hit.mics if kit.mics[name].hears(hit.label)]
    if missing := [name for name in mics if name not in hit.mics]:
        has = ", ".join(hit.mics)
        raise UsageError(f"this {hit.label} hit of {kit.name} has no microphone {missing[0]!r}; it has {has}")
    if not mics:
        raise UsageError("a mix needs at least one microphone")
    return list(mics)


def attack_s(audio: np.ndarray, sample_rate: int = io.SAMPLE_RATE) -> float:
    """When the main attack of a one-shot starts, in seconds.

    The first sample of at least 10 % of the peak — but counted from the last quiet stretch (10 ms under
    10 %) before the sound reaches half its peak: a pedal that squeaks 20 ms before the hats meet has
    its onset where the hats meet.

    Args:
        audio: shape (frames,), one hit.
        sample_rate: in Hz.

    Raises:
        InputError: the audio is silent.

    >>> attack_s(np.array([0.0] * 441 + [0.5, 1.0, 0.5], np.float32))
    0.01
    """
    level = np.abs(audio)
    peak = float(level.max(initial=0.0))
    if peak == 0:
        raise InputError("the hit is silent: it has no attack")
    half = int(np.argmax(level >= _ATTACK_SHARE * peak))
    loud = np.flatnonzero(level[: half + 1] >= _ONSET_SHARE * peak)
    gaps = np.flatnonzero(np.diff(loud) > _ONSET_GAP_S * sample_rate)
    return float(loud[gaps[-1] + 1 if len(gaps) else 0] / sample_rate)


def mix_hit(hit: KitHit, kit: SampleKit, mics: Sequence[str] | None = None) -> tuple[np.ndarray, float]:
    """Sound of one hit: its microphones summed at their real relative delays, level restored.

    Args:
        hit: of ``kit``.
        kit: gives the microphones' gains.
        mics: names to mix; by default all that are meant for this drum (no bleed of close microphones).

    Returns:
        float32 mono at 44.1 kHz, shape (frames,), which may pass full scale; and the onset in seconds, as
        :func:`attack_s` measures it on the mix.

    Raises:
        UsageError: the hit has no such microphone.
        InputError: a file cannot be read, or the mix is silent.
    """
    names = _mix_names(hit, kit, mics)
    parts = [io.load(hit.mics[name]) * 10 ** (kit.mics[name].gain_db / 20) for name in names]
    mix = np.zeros(max(map(len, parts)), np.float32)
    for part in parts:
        mix[: len(part)] += part
    peak = float(np.abs(mix).max(initial=0.0))
    if peak == 0:
        raise InputError(f"{hit.mics[names[0]]}: is silent, so it has no attack")
    gain = 10 ** (hit.gain_db / 20) / (peak if kit.normalise_peak else 1.0)
    return (mix * np.float32(gain)).astype(np.float32, copy=False), attack_s(mix)
