"""A recipe carried out, or what is left of it, from kits, performances and recordings to finished models.

Steps, each skipped where its outputs are there already, so that a stopped recipe goes on:

    OUT/shards/SET           rendered songs, and ``set.json``: what they were rendered by
    OUT/STAGE                training state and averaged weights
    OUT/MODEL.safetensors    the model of a stage, thresholds and calibration fitted
    OUT/validation.json      what the models reach on the held-out songs

Songs and stages of other settings are refused. A model is made again where its weights or the recipe are not
those that its file holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch

from beatsight.dataset.frames.render import missing_shards, render_shards
from beatsight.dataset.frames.shards import shard_names
from beatsight.errors import InputError
from beatsight.files import read_bytes, write_bytes
from beatsight.models.song_model import write_song_model
from beatsight.train.processes import first_alone, joined
from beatsight.train.songs.finishing import fitted, is_of, plain_model
from beatsight.train.songs.loop import Losses, train_songs
from beatsight.train.songs.recipe import SHARDS, VALIDATION, Recipe, Stage, render_config, train_config
from beatsight.train.songs.weights import average_weights

SET, SCORES = "set.json", "validation.json"
# Of a set's settings, those that may change while songs are there: shards are numbered, more can follow.
_MAY_GROW = {"drums", "backings"}

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]


def _silent(*_: object) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Cooked:
    """What came of it.

    Attributes:
        models: name -> ``f_measure`` and ``thresholds`` by group, as ``validation.json`` has them.
        made: what this call did: sets and stages by name, models as the names of their files. All empty in
            processes that write nothing.
    """

    models: dict[str, Any] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)


def cook(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    workers: int = 2,
    progress: Progress = _silent,
    note: Note = _silent,
) -> Cooked:
    """Run a recipe, or what is left of it.

    Args:
        recipe: what to do.
        data: where its paths begin; not looked at where all songs are there.
        output: folder of everything that is made.
        workers: rendering processes; training uses those that ``torchrun`` started.
        progress: called with (what is done, steps done, of all).
        note: called with a sentence where a step begins, and with the losses.

    Raises:
        InputError: the data, the settings or what is in the output folder cannot be used.
    """
    run = _Run(recipe, output, progress, note)
    first_alone("songs", lambda: run.render(data, workers))
    with joined(torch.device("cpu")) as processes:
        for stage in recipe.stages:
            if stage.sets:
                run.train(stage)
            # The next stage may begin with what the first process writes of this one.
            first_alone(f"stage {stage.name}", partial(run.conclude, stage))
        processes.meet()
    return run.cooked


class _Run:
    def __init__(self, recipe: Recipe, output: Path, progress: Progress, note: Note) -> None:
        self.recipe, self.output, self.progress, self.note = recipe, output, progress, note
        self.cooked = Cooked()

    def weights(self, stage: str) -> Path:
        return self.output / stage / "average.pth"

    def render(self, data: Path, workers: int) -> None:
        """All songs that are missing; what they need is looked at before the first is rendered."""
        todo = {}
        for name, songs in self.recipe.sets.items():
            folder = self.output / SHARDS / name
            _check_songs(self.recipe, name, folder)
            if missing := len(missing_shards(folder, songs.drums, songs.backings)):
                todo[name] = render_config(self.recipe, name, data), missing
        for name, (config, missing) in todo.items():
            songs, folder, text = self.recipe.sets[name], self.output / SHARDS / name, f"Rendering {name}"
            self.note(f"{name}: renders {missing} of {songs.drums + songs.backings} shards of songs")
            write_bytes(folder / SET, _described(self.recipe, name))
            self.progress(text, 0, missing)
            render_shards(
                config,
                folder,
                drums=songs.drums,
                backings=songs.backings,
                workers=workers,
                progress=lambda done, total, text=text: self.progress(text, done, total),  # type: ignore[misc]
            )
            self.cooked.made.append(name)

    def train(self, stage: Stage) -> None:
        config, text = train_config(stage), f"Training {stage.name}"
        last = config.stop or config.steps

        def begin(step: int, _: int) -> None:
            self.note(
                f"{stage.name}: goes on after step {step} of {last}" if step else f"{stage.name}: begins"
            )
            self.progress(text, step, last)
            self.cooked.made.append(stage.name)

        def report(step: int, losses: Losses, _: float) -> None:
            self.note(
                f"{stage.name} step {step} of {last}  onsets {losses.onsets:.4f}  "
                f"velocity {losses.velocity:.3f}  openness {losses.openness:.3f}"
            )
            self.progress(text, step, last)

        train_songs(
            config,
            [self.output / SHARDS / name for name in stage.sets],
            self.output / stage.name,
            resume=True,
            start=self.weights(stage.start) if stage.start else None,
            on_begin=begin,
            on_report=report,
        )

    def conclude(self, stage: Stage) -> None:
        """What is done when a stage is trained: a mean, a model."""
        if stage.mean_of:
            average_weights([self.weights(name) for name in stage.mean_of], self.weights(stage.name))
        if stage.model:
            self.finish(stage)

    def finish(self, stage: Stage) -> None:
        """The model of a stage, unless its file holds just that."""
        path, scores = self.output / f"{stage.model}.safetensors", self.output / SCORES
        plain = plain_model(self.recipe, train_config(stage), self.weights(stage.name))
        held = _scores(scores).get(stage.model)
        if held is None or not is_of(path, plain.model):
            self.note(f"{path.name}: fits thresholds and calibration on the held-out songs")
            self.progress(f"Fitting {stage.model}", 0, 1)
            model, held = fitted(plain, self.recipe, self.output / SHARDS / VALIDATION)
            write_song_model(model, path)
            self.cooked.made.append(path.name)
        self.cooked.models[stage.model] = held
        # At once, so that a run that is stopped in a later stage need not fit this model again.
        everything = {**_scores(scores), **self.cooked.models}
        wanted = {s.model: everything[s.model] for s in self.recipe.stages if s.model in everything}
        write_bytes(scores, msgspec.json.format(msgspec.json.encode(wanted)) + b"\n")


def _described(recipe: Recipe, name: str) -> bytes:
    """What the songs of a set are rendered by, as JSON."""
    facts = {
        "song_seconds": recipe.song_seconds,
        "songs_per_shard": recipe.songs_per_shard,
        **{key: v for key, v in msgspec.to_builtins(recipe.sets[name]).items() if key not in _MAY_GROW},
    }
    return msgspec.json.format(msgspec.json.encode(facts)) + b"\n"


def _check_songs(recipe: Recipe, name: str, folder: Path) -> None:
    """Refuse songs that are there but were rendered by other settings."""
    path = folder / SET
    if not path.is_file() or not any(shard_names(folder / kind) for kind in ("drums", "backings")):
        return
    now = msgspec.json.decode(_described(recipe, name))
    try:
        there = msgspec.json.decode(read_bytes(path), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: does not say how the songs were rendered: {error}") from None
    if changed := [key for key in {**now, **there} if there.get(key) != now.get(key)]:
        raise InputError(
            f"{path}: the songs of set {name!r} were rendered with other {', '.join(changed)}; "
            "delete that folder and what was trained on it, or give another output"
        )


def _scores(path: Path) -> dict[str, Any]:
    """What stands in the file of scores; nothing where it is missing or damaged."""
    try:
        return msgspec.json.decode(read_bytes(path), type=dict[str, Any])
    except (InputError, msgspec.DecodeError):
        return {}
