"""The recipe of a transcriber: one TOML file from kits, performances and recordings to a finished model.

Steps, each skipped where its outputs are there already, so a stopped recipe goes on:

    OUT/shards/SET           rendered songs
    OUT/STAGE                training state and averaged weights
    OUT/MODEL.safetensors    the model of a stage, thresholds and calibration fitted
    OUT/validation.json      what the models reach on the held-out songs

Paths in the file are relative to a data folder that the caller names.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch

from beatsight.audio.frames import FrameConfig
from beatsight.dataset.frames.render import RenderConfig, find_recordings, render_shards
from beatsight.errors import InputError
from beatsight.files import atomic_path, inside, read_text, write_bytes
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_folding import folded_weights
from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.models.song_model import SongModel, SongSettings, write_song_model
from beatsight.models.song_network import SongNetwork
from beatsight.models.song_ostinato import OstinatoConfig
from beatsight.models.song_presence import PresenceConfig
from beatsight.models.song_repetition import RepetitionConfig
from beatsight.synth.studio.backing import BackingConfig
from beatsight.synth.studio.drumset import DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.playing import PlayingConfig
from beatsight.train.processes import is_first
from beatsight.train.songs.fitting import fit
from beatsight.train.songs.loop import (
    LEVEL_MEAN_DB,
    LEVEL_SPREAD_DB,
    Losses,
    SongTrainConfig,
    grown,
    normalised,
    train_songs,
)
from beatsight.train.songs.mixtures import MixConfig
from beatsight.train.songs.targets import TargetConfig
from beatsight.train.songs.validation import validation_songs
from beatsight.version import VERSION

Settings = dict[str, Any]
T = TypeVar("T")
VALIDATION = "validation"


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
    drums: int
    backings: int
    seed: int
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
    song_seconds: float = 30.0
    songs_per_shard: int = 40
    validation_songs: int = 24
    offsets_ms: dict[str, float] = {}
    threshold_raise: float = 0.0
    repetition: RepetitionConfig | None = None
    ostinato: OstinatoConfig | None = None
    presence: PresenceConfig | None = None


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe file.

    Raises:
        InputError: it is missing, not TOML, or a key is unknown or of the wrong type (named).
    """
    try:
        recipe = msgspec.convert(tomllib.loads(read_text(path)), Recipe)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"{path}: {error}") from None
    if VALIDATION not in recipe.sets:
        raise InputError(f"{path}: needs a set of songs named {VALIDATION!r}")
    known: set[str] = set()
    for stage in recipe.stages:
        if unknown := [name for name in stage.sets if name not in recipe.sets or name == VALIDATION]:
            raise InputError(f"{path}: stage {stage.name!r} cannot learn from the set {unknown[0]!r}")
        if missing := [name for name in (stage.start, *stage.mean_of) if name and name not in known]:
            raise InputError(
                f"{path}: stage {stage.name!r} starts from {missing[0]!r}, which is not a stage before it"
            )
        if bool(stage.sets) == bool(stage.mean_of):
            raise InputError(f"{path}: stage {stage.name!r} needs either sets to learn from or mean_of")
        known.add(stage.name)
    return recipe


def _made(kind: Callable[..., T], settings: Settings, table: str) -> T:
    """A settings object from a table of the recipe, lists as tuples."""
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise InputError(f"recipe table [{table}]: {error}") from None


def render_config(recipe: Recipe, songs: SongSet, data: Path) -> RenderConfig:
    """What a set of songs is rendered from.

    Raises:
        InputError: a path leaves the data folder, or a table has an unknown key.
    """
    recordings = find_recordings([inside(data, path) for path in songs.recordings], songs.without_recordings)
    if songs.only_recordings:
        recordings = tuple(p for p in recordings if any(word in p.name for word in songs.only_recordings))
    return RenderConfig(
        kits=tuple(inside(data, path) for path in songs.kits),
        leave_out=tuple(songs.without_kits),
        only=tuple(songs.only_kits),
        grooves=inside(data, songs.grooves),
        split=songs.split,
        recordings=recordings,
        instruments=tuple(inside(data, path) for path in songs.instruments),
        soundfonts=tuple(inside(data, path) for path in songs.soundfonts),
        seconds=recipe.song_seconds,
        songs=recipe.songs_per_shard,
        seed=songs.seed,
        playing=_made(PlayingConfig, songs.playing, "playing"),
        drumset=_made(DrumsetConfig, songs.drumset, "drumset"),
        bus=_made(BusConfig, songs.bus, "bus"),
        backing=_made(BackingConfig, songs.backing, "backing"),
    )


def train_config(stage: Stage) -> SongTrainConfig:
    """The settings of a stage.

    Raises:
        InputError: a table has an unknown key.
    """
    settings = {
        **stage.training,
        "mix": _made(MixConfig, stage.mix, "mix"),
        "targets": _made(TargetConfig, stage.targets, "targets"),
        "network": _made(SongNetworkConfig, stage.network, "network"),
    }
    return _made(SongTrainConfig, settings, "training")


OnStage = Callable[[str, int, int], None]


def cook(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    workers: int = 2,
    on_stage: OnStage | None = None,
    on_report: Callable[[str, int, Losses], None] | None = None,
) -> dict[str, Any]:
    """Run a recipe, or what is left of it.

    Args:
        recipe: what to do.
        data: where its paths begin.
        output: folder of everything that is made.
        workers: rendering processes; training uses those that ``torchrun`` started.
        on_stage: called with (stage, done, of all) while songs are rendered.
        on_report: called with (form, step, mean losses) in training.

    Returns:
        what stands in ``validation.json`` (empty in processes that write nothing).

    Raises:
        InputError: the data, the settings or what is in the output folder cannot be used.
    """
    shards = output / "shards"
    if is_first():
        for name, songs in recipe.sets.items():
            render_shards(
                render_config(recipe, songs, data),
                shards / name,
                drums=songs.drums,
                backings=songs.backings,
                workers=workers,
                progress=_staged(on_stage, name),
            )
    results: dict[str, Any] = {}
    for stage in recipe.stages:
        config = train_config(stage)
        if stage.mean_of and is_first():
            average_weights(
                [output / name / "average.pth" for name in stage.mean_of], output / stage.name / "average.pth"
            )
        elif stage.sets:
            train_songs(
                config,
                [shards / name for name in stage.sets],
                output / stage.name,
                resume=True,
                start=output / stage.start / "average.pth" if stage.start else None,
                on_report=_report(on_report, stage.name),
            )
        if stage.model and is_first():
            weights = torch.load(output / stage.name / "average.pth", weights_only=True)["weights"]
            model, results[stage.model] = finish(recipe, config, weights, shards / VALIDATION)
            write_song_model(model, output / f"{stage.model}.safetensors")
    if is_first():
        write_bytes(output / "validation.json", msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return results


def average_weights(paths: Sequence[Path], target: Path) -> None:
    """Write the mean of some runs' averaged weights.

    Runs may have fewer context layers than the largest: those let everything through.
    """
    runs = [torch.load(path, weights_only=True) for path in paths]
    largest = max(runs, key=lambda run: len(run["weights"]))
    everything = [grown(run["weights"], largest["weights"]) for run in runs]
    mean = {
        name: torch.stack([weights[name].double() for weights in everything]).mean(dim=0).to(value.dtype)
        for name, value in largest["weights"].items()
    }
    with atomic_path(target) as path:
        torch.save({"weights": mean, "network": largest["network"]}, path)


def _staged(on_stage: OnStage | None, name: str) -> Callable[[int, int], None] | None:
    return None if on_stage is None else lambda done, total: on_stage(name, done, total)


def _report(
    on_report: Callable[[str, int, Losses], None] | None, form: str
) -> Callable[[int, Losses, float], None] | None:
    return None if on_report is None else lambda step, losses, _: on_report(form, step, losses)


def finish(
    recipe: Recipe, config: SongTrainConfig, weights: dict[str, torch.Tensor], validation: Path
) -> tuple[SongModel, dict[str, Any]]:
    """The finished model of averaged weights, and what it reaches on the validation songs."""
    network = SongNetwork(config.network)
    network.load_state_dict(weights)
    network.eval()
    sees_ahead = config.network.lookahead < 0
    settings = SongSettings(
        program_version=VERSION,
        network=config.network.to_dict(),
        frames=FrameConfig().to_dict(),
        level_mean_db=LEVEL_MEAN_DB,
        level_spread_db=LEVEL_SPREAD_DB,
        groups=GROUPS,
        articulations=ARTICULATIONS,
        offsets_ms=recipe.offsets_ms,
        repetition=recipe.repetition if sees_ahead else None,
        ostinato=recipe.ostinato if sees_ahead else None,
        presence=recipe.presence if sees_ahead else None,
        training={"recipe": msgspec.to_builtins(recipe), "steps": config.steps, "mix": asdict(config.mix)},
    )
    model = SongModel(settings, config.network, FrameConfig(), folded_weights(network))
    songs = validation_songs(validation, model.frames, recipe.validation_songs, recipe.song_seconds)
    fitted = fit(model, songs, [activations(network, song.levels) for song in songs], recipe.threshold_raise)
    settings = msgspec.structs.replace(
        settings,
        thresholds=fitted.thresholds,
        second_thresholds=fitted.second_thresholds,
        listening_thresholds=fitted.listening_thresholds,
        velocity_curves=fitted.velocity_curves,
        openness_curve=fitted.openness_curve,
        song_velocities=fitted.song_velocities,
    )
    return replace(model, settings=settings), {"f_measure": fitted.f_measure, "thresholds": fitted.thresholds}


def activations(network: SongNetwork, levels_db: np.ndarray) -> np.ndarray:
    """Activations of a whole song, shape (frames, outputs)."""
    with torch.no_grad():
        return torch.sigmoid(network(normalised(torch.from_numpy(levels_db)[None]))[0]).numpy()
