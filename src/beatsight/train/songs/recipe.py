"""The recipe of a transcriber: one TOML file that says what to render, how to train, and what to make of it.

Paths in the file are relative to a data folder that the caller names. Everything in it is checked when it is
read: a run takes hours, and a wrong word in its last stage is better told before the first.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import msgspec

from beatsight.dataset.frames.render import RenderConfig, find_recordings
from beatsight.errors import InputError
from beatsight.files import read_text
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_ostinato import OstinatoConfig
from beatsight.models.song_presence import PresenceConfig
from beatsight.models.song_repetition import RepetitionConfig
from beatsight.synth.studio.backing import BackingConfig
from beatsight.synth.studio.drumset import DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.playing import PlayingConfig
from beatsight.synth.studio.writing import MIN_SECONDS
from beatsight.train.songs.loop import SongTrainConfig
from beatsight.train.songs.mixtures import MixConfig
from beatsight.train.songs.targets import TargetConfig

Settings = dict[str, Any]
Count = Annotated[int, msgspec.Meta(ge=1)]
T = TypeVar("T")
VALIDATION = "validation"
# The folder of songs, beside those of the stages.
SHARDS = "shards"


class SongSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Songs to render; paths are relative to the data folder.

    Attributes:
        kits: folders of kits.
        only_kits, without_kits: names of kits to use, or not to use.
        grooves: folder of MIDI performances; ``split`` of its info.csv.
        recordings: folders of sounds without drums.
        only_recordings, without_recordings: words in file names to use, or not to use.
        instruments: folders of notes, or SoundFonts, for the backings.
        soundfonts: SoundFonts whose drum kits are played beside the others.
        drums, backings: shards of each.
        seed: of the rendering.
        playing, drumset, bus, backing: settings that differ from the defaults of
            :class:`~beatsight.synth.studio.playing.PlayingConfig` and its like.
    """

    kits: list[str]
    grooves: str
    recordings: list[str]
    drums: Count
    backings: Count
    seed: Annotated[int, msgspec.Meta(ge=0)]
    split: str | None = None
    only_kits: list[str] = []
    without_kits: list[str] = []
    only_recordings: list[str] = []
    without_recordings: list[str] = []
    instruments: list[str] = []
    soundfonts: list[str] = []
    playing: Settings = {}
    drumset: Settings = {}
    bus: Settings = {}
    backing: Settings = {}


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run, or the mean of some.

    Attributes:
        name: its folder in the output.
        sets: names of the song sets it learns from.
        start: the stage whose weights it begins with; empty for random ones.
        mean_of: stages whose weights are averaged instead of training: what one run learns by heart, the
            others do not.
        model: name of the model file to make of it; empty for none.
        training, mix, targets, network: settings that differ from the defaults of
            :class:`~beatsight.train.songs.loop.SongTrainConfig` and its like.
    """

    name: str
    sets: list[str] = []
    start: str = ""
    mean_of: list[str] = []
    model: str = ""
    training: Settings = {}
    mix: Settings = {}
    targets: Settings = {}
    network: Settings = {}


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe file.

    Attributes:
        title: for the model card.
        sets: songs by name; ``validation`` is held out, for thresholds and calibration.
        stages: in order.
        song_seconds, songs_per_shard: of all sets.
        validation_songs: of either kind, drums alone and with a backing.
        offsets_ms: group -> taken off found times; see the documentation of the transcriber.
        threshold_raise: added to every threshold that is fitted on rendered songs.
        repetition: how a song's repetition moves its activations; absent: not at all.
        ostinato: how even strokes of hats and cymbals do; absent: not at all.
        presence: how onsets fall where nobody drums; absent: not at all.
    """

    title: str
    sets: dict[str, SongSet]
    stages: list[Stage]
    song_seconds: Annotated[float, msgspec.Meta(ge=MIN_SECONDS)] = 30.0
    songs_per_shard: Count = 40
    validation_songs: Count = 24
    offsets_ms: dict[str, float] = {}
    threshold_raise: float = 0.0
    repetition: RepetitionConfig | None = None
    ostinato: OstinatoConfig | None = None
    presence: PresenceConfig | None = None


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe file.

    A set may be ``like = "another"`` before it: it has what that one has, but for what it says itself.

    Raises:
        InputError: it is missing, not TOML, or something in it is unknown, of the wrong type or out of range
            (named).
    """
    text = read_text(path)
    try:
        recipe = msgspec.convert(_filled(tomllib.loads(text)), Recipe)
        _check(recipe)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, InputError) as error:
        raise InputError(f"{path}: {error}") from None
    return recipe


def _filled(raw: dict[str, Any]) -> dict[str, Any]:
    """The tables of a recipe, those of sets that are like another filled up."""
    if not isinstance(raw.get("sets"), dict):
        return raw
    sets: dict[str, Any] = {}
    for name, table in raw["sets"].items():
        if isinstance(table, dict) and "like" in table:
            like = table["like"]
            if not isinstance(like, str) or not isinstance(sets.get(like), dict):
                raise InputError(f"set {name!r} is like {like!r}, which is not a set before it")
            table = {**sets[like], **{key: value for key, value in table.items() if key != "like"}}
        sets[name] = table
    return {**raw, "sets": sets}


def _check(recipe: Recipe) -> None:
    if VALIDATION not in recipe.sets:
        raise InputError(f"needs a set of songs named {VALIDATION!r}")
    for name, songs in recipe.sets.items():
        _check_name(name)
        _effects(name, songs)
    known, models = {SHARDS}, set[str]()
    for stage in recipe.stages:
        _check_name(stage.name)
        if unknown := [name for name in stage.sets if name not in recipe.sets or name == VALIDATION]:
            raise InputError(f"stage {stage.name!r} cannot learn from the set {unknown[0]!r}")
        before = known - {SHARDS}
        if missing := [name for name in (stage.start, *stage.mean_of) if name and name not in before]:
            raise InputError(
                f"stage {stage.name!r} starts from {missing[0]!r}, which is not a stage before it"
            )
        if bool(stage.sets) == bool(stage.mean_of):
            raise InputError(f"stage {stage.name!r} needs either sets to learn from or mean_of")
        if stage.name in known:
            raise InputError(f"a stage cannot be named {stage.name!r}: there is a folder of that name")
        train_config(stage)
        known.add(stage.name)
        if stage.model:
            _check_name(stage.model)
            if stage.model in models:
                raise InputError(f"two stages make a model named {stage.model!r}")
            models.add(stage.model)


def _check_name(name: str) -> None:
    """A name of a file or folder in the output, not the way to another place."""
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set("/\\:"):
        raise InputError(f"{name!r} cannot name a set, a stage or a model; use letters, digits, - and _")


def _made(kind: type[T], settings: Settings, table: str, closed: tuple[str, ...] = ()) -> T:
    """A settings object from a table of the recipe; ``closed`` are fields that have a table of their own."""
    known = {field.name for field in fields(kind)} - set(closed)  # type: ignore[arg-type]
    if unknown := sorted(set(settings) - known):
        raise InputError(f"recipe table [{table}]: unknown setting {unknown[0]!r}")
    try:
        return msgspec.convert(settings, kind)
    except (msgspec.ValidationError, InputError) as error:
        raise InputError(f"recipe table [{table}]: {error}") from None


def _effects(name: str, songs: SongSet) -> tuple[PlayingConfig, DrumsetConfig, BusConfig, BackingConfig]:
    """How the songs of a set vary."""
    return (
        _made(PlayingConfig, songs.playing, f"sets.{name}.playing"),
        _made(DrumsetConfig, songs.drumset, f"sets.{name}.drumset"),
        _made(BusConfig, songs.bus, f"sets.{name}.bus"),
        _made(BackingConfig, songs.backing, f"sets.{name}.backing"),
    )


def _place(data: Path, relative: str) -> Path:
    """A path in the data folder. Links there are followed: who put them there means them."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\0" in relative:
        raise InputError(f"{relative!r}: is not a path inside the data folder {data}")
    place = data / path
    if not place.exists():
        raise InputError(f"{place}: no such file or folder, which the recipe uses")
    return place


def render_config(recipe: Recipe, name: str, data: Path) -> RenderConfig:
    """What a set of songs is rendered from.

    Args:
        recipe: which has the set.
        name: of the set.
        data: where its paths begin.

    Raises:
        InputError: a path leaves the data folder or is missing there, or a word that leaves recordings out
            or picks them stands in no file name.
    """
    songs = recipe.sets[name]

    def places(paths: list[str]) -> tuple[Path, ...]:
        return tuple(_place(data, path) for path in paths)

    try:
        recordings = find_recordings(
            places(songs.recordings), songs.without_recordings, songs.only_recordings
        )
        playing, drumset, bus, backing = _effects(name, songs)
        return RenderConfig(
            kits=places(songs.kits),
            leave_out=tuple(songs.without_kits),
            only=tuple(songs.only_kits),
            grooves=_place(data, songs.grooves),
            split=songs.split,
            recordings=recordings,
            instruments=places(songs.instruments),
            soundfonts=places(songs.soundfonts),
            seconds=recipe.song_seconds,
            songs=recipe.songs_per_shard,
            seed=songs.seed,
            playing=playing,
            drumset=drumset,
            bus=bus,
            backing=backing,
        )
    except InputError as error:
        raise InputError(f"set {name!r}: {error}") from None


def train_config(stage: Stage) -> SongTrainConfig:
    """The settings of a stage.

    Raises:
        InputError: a table has an unknown key, or a value of the wrong type or out of range.
    """
    where = f"stages {stage.name}"
    return replace(
        _made(SongTrainConfig, stage.training, f"{where} training", ("network", "mix", "targets", "frames")),
        mix=_made(MixConfig, stage.mix, f"{where} mix"),
        targets=_made(TargetConfig, stage.targets, f"{where} targets"),
        network=_made(SongNetworkConfig, stage.network, f"{where} network"),
    )
