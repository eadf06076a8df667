"""The drums of a mix as a recording of their own, by Demucs, where it is installed.

The transcriber works on the mix; separation is for songs whose band hides the drums. Demucs is far larger
than the transcriber, so this is slow on a CPU, and it holds the whole song in memory. It fetches its weights
(``htdemucs``) from the Hugging Face hub on first use and keeps them in that hub's cache: the one thing here
that needs a network, once.

Conventions: stems are float32, shape (channels, samples), at the model's rate. No random shifts are used, so
the same song gives the same stem. Source: Rouard, Massa and Défossez, "Hybrid Transformers for Music Source
Separation" (2023); the programming interface is that of demucs 4.1 (``demucs.api.Separator``).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from beatsight.audio.io import load_channels, resample, save
from beatsight.charts import Chart, audio_ref, write_chart
from beatsight.charts.build import chart_id
from beatsight.errors import InputError, MissingDependencyError, require
from beatsight.files import sha256_file
from beatsight.transcription.batch import Job, Outcome
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.pipeline import transcribe

MODEL = "htdemucs"
# From the hub only, where weights are safetensors: the older place serves pickles, which could run anything.
_ADDRESS = f"hf://{MODEL}"
DRUMS = "drums"
_CHANNELS = 2  # what the model was trained on


def _demucs() -> ModuleType:
    require("torch", "demucs")
    require("demucs", "demucs")
    try:
        import demucs.api
    except ModuleNotFoundError as error:
        if error.name != "demucs.api":
            raise
        raise MissingDependencyError(
            "demucs is older than 4.1; run: pip install --upgrade 'beatsight[demucs]'"
        ) from error
    return demucs.api


def load_separator(device: str = "auto") -> Any:
    """A ``demucs.api.Separator``, for one song or many.

    Args:
        device: auto, cpu, cuda or cuda:N.

    Raises:
        MissingDependencyError: demucs is not installed, or too old.
        InputError: its weights are not here and cannot be fetched, or the device is not there.
    """
    api = _demucs()
    from beatsight.models.precision import choose_device

    try:
        # Shifts would be random ones.
        separator = api.Separator(model=_ADDRESS, device=str(choose_device(device)), shifts=0)
    except OSError as error:
        why = str(error).split("\n")[0]
        raise InputError(
            f"{MODEL}: the weights of demucs are not here and cannot be fetched: {why}"
        ) from error
    if DRUMS not in separator.model.sources:
        raise InputError(f"{MODEL}: separates no drums, only {', '.join(separator.model.sources)}")
    return separator


def drum_stem(path: str | os.PathLike[str], separator: Any) -> tuple[np.ndarray, int]:
    """The drums of a song.

    Args:
        path: the mix; mono is taken as two equal channels, more than two are mixed to one first.
        separator: of :func:`load_separator`.

    Returns:
        float32, shape (2, samples), and its rate in Hz.

    Raises:
        InputError: the audio cannot be read.
    """
    torch = require("torch", "demucs")
    channels, rate = load_channels(path)
    if len(channels) != _CHANNELS:
        channels = np.repeat(channels.mean(axis=0, keepdims=True, dtype=np.float32), _CHANNELS, axis=0)
    wanted = int(separator.samplerate)
    with torch.no_grad():
        _, stems = separator.separate_tensor(torch.from_numpy(resample(channels, rate, wanted)))
    return stems[DRUMS].cpu().numpy().astype(np.float32), wanted


@contextmanager
def separated(
    path: str | os.PathLike[str], separator: Any, keep: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Yield a file with the drums of a song: ``keep``, or one that is removed afterwards.

    Args:
        path: the mix.
        separator: of :func:`load_separator`.
        keep: where the stem stays; wav or flac.

    Raises:
        InputError: the audio cannot be read, or the stem not be written.
    """
    stem, rate = drum_stem(path, separator)
    if keep is not None:
        save(keep, stem, rate)
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="beatsight-stem-") as folder:
        # Named as the song, so that what is found in it is named so too.
        file = Path(folder) / f"{Path(path).stem}.wav"
        save(file, stem, rate)
        yield file


def about_song(
    chart: Chart, song: str | os.PathLike[str], kept: str | os.PathLike[str] | None = None
) -> Chart:
    """The chart that was made of a stem, as one of the song itself: the mix is its audio, the stem a note.

    Args:
        chart: of the stem.
        song: the mix.
        kept: the stem's file, where it stays; without, the chart only says what separated it.

    Raises:
        InputError: a file cannot be read.
    """
    assert chart.audio is not None
    audio = audio_ref(song, duration_s=chart.audio.duration / 1000, sample_rate=chart.audio.sample_rate)
    if kept is not None:
        audio = msgspec.structs.replace(
            audio, drum_stem=Path(kept).name, drum_stem_hash=f"sha256:{sha256_file(kept)}"
        )
    metadata = msgspec.structs.replace(chart.metadata, title=Path(song).stem, beatmap_id=chart_id(audio.hash))
    editor = chart.editor
    if editor is not None and editor.generation is not None:
        made_by = f"{editor.generation.model_version}, on the drums of {MODEL}"
        generation = msgspec.structs.replace(editor.generation, model_version=made_by)
        editor = msgspec.structs.replace(editor, generation=generation)
    return msgspec.structs.replace(chart, audio=audio, metadata=metadata, editor=editor)


def transcribe_stems(
    jobs: Sequence[Job],
    choice: Choice,
    vocabulary: str = "classifier",
    keep: str | os.PathLike[str] | None = None,
) -> Iterator[Outcome]:
    """As :func:`beatsight.transcription.batch.transcribe_songs`, but what is transcribed are the drums only.

    Args:
        jobs: songs and charts, done one after the other: the separator takes all cores for itself.
        choice: what finds the hits; the separator runs on its device too.
        vocabulary: of the charts.
        keep: where the stem of the only job stays.

    Raises:
        UsageError, InputError, MissingDependencyError: the separator or the transcriber cannot be had.
    """
    separator, transcriber = load_separator(choice.device), choose_transcriber(choice)
    for job in jobs:
        try:
            with separated(job.song, separator, keep) as stem:
                found = transcribe(stem, transcriber=transcriber, vocabulary=vocabulary)
                chart = about_song(found, job.song, keep)
            changed = {str(path): write_chart(chart, path) for path in job.charts}
        except InputError as error:
            yield Outcome(job, fault=str(error))
            continue
        labels = Counter(hit.component for hit in chart.hit_objects)
        yield Outcome(
            job, chart, dict(labels.most_common()), changed, f"{transcriber.name}, on the drums of {MODEL}"
        )
