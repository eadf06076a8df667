"""``beatsight transcribe``: songs into charts, or hits while the music plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from beatsight.cli import transcribe_options as options
from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.transcribe_extras import check_extras, with_page
from beatsight.cli.transcribe_stream import Source, run_stream
from beatsight.cli.transcribe_targets import jobs_of
from beatsight.errors import InputError, UsageError
from beatsight.transcription.batch import Job, Outcome, transcribe_songs
from beatsight.transcription.choice import Choice
from beatsight.transcription.pipeline import check_vocabulary
from beatsight.transcription.separation import transcribe_stems

app = typer.Typer(add_completion=False)


@app.command()
def transcribe(
    songs: options.Songs = None,
    output: options.Output = None,
    formats: options.Formats = None,
    vocabulary: options.Vocabulary = "classifier",
    ml_model: options.MlModel = None,
    no_ml: options.NoMl = False,
    device: options.Device = "auto",
    engine: options.Engine = None,
    workers: options.Workers = 1,
    resume: options.Resume = False,
    stream: options.Stream = False,
    microphone: options.Microphone = False,
    rate: options.Rate = None,
    channels: options.Channels = 1,
    page: options.Page = None,
    separate: options.Separate = False,
    keep_stem: options.KeepStem = None,
    as_json: options.AsJson = False,
) -> None:
    """Find every drum hit of a song, its loudness, the tempo and the meter, and write a playable chart.

    The transcriber that comes with the package finds them. --ml-model or BEATSIGHT_ML_MODEL_PATH name another
    model; --no-ml or BEATSIGHT_USE_ML_CLASSIFIER=0 mean the rule of thumb, and BEATSIGHT_USE_ML_CLASSIFIER=1
    the classifier models/best_drum_classifier.pth where it is there.

    Example: beatsight transcribe song.mp3 -o song.bsm -o song.mid

    Example: beatsight transcribe albums -o charts --workers 4 --resume

    Example: beatsight transcribe song.mp3 -o song.bsm --page song.html

    Example: arecord -f S16_LE -r 44100 | beatsight transcribe - --stream
    """
    named, outputs, kinds = songs or [], output or [], formats or []
    choice = Choice(ml_model, False if no_ml else None, device, engine)
    check_vocabulary(vocabulary)
    if stream:
        if outputs or resume or workers > 1 or as_json or page or separate or keep_stem:
            raise UsageError(
                "--stream prints lines of JSON; -o, --workers, --resume, --page, --separate, --keep-stem and "
                "--json are for charts"
            )
        run_stream(_source(named, microphone, rate, kinds, channels), choice, vocabulary)
        return
    if microphone or rate is not None or channels != 1:
        raise UsageError("--microphone, --rate and --channels are for --stream")
    if Path("-") in named:
        raise UsageError("standard input can only be listened to: add --stream")
    jobs = jobs_of(named, outputs, kinds)
    check_extras(jobs, page, separate, keep_stem, resume=resume, workers=workers)
    due = [job for job in jobs if not (resume and job.is_done())]
    outcomes = []
    if separate:
        found = transcribe_stems(due, choice, vocabulary, keep_stem)
    else:
        found = transcribe_songs(due, choice, vocabulary, workers)
    with progress_bar("Transcribing") as progress:
        for number, outcome in enumerate(found, start=1):
            outcomes.append(outcome if page is None else with_page(outcome, page))
            progress(number, len(due))
    _report(jobs, due, outcomes, as_json, alone=len(named) == 1 and not named[0].is_dir())


def _source(
    songs: list[Path], microphone: bool, rate: int | None, formats: list[str], channels: int
) -> Source:
    if microphone == bool(songs) or len(songs) > 1:
        raise UsageError("--stream listens to one thing: a file, - for standard input, or --microphone")
    if len(formats) > 1:
        raise UsageError("--stream - takes one --format")
    return Source(songs[0] if songs else None, rate, formats[0] if formats else None, channels)


def _report(
    jobs: Sequence[Job], due: Sequence[Job], outcomes: list[Outcome], as_json: bool, alone: bool
) -> None:
    """The answer, in the order of the songs, and the faults after it."""
    place = {job: number for number, job in enumerate(jobs)}
    outcomes.sort(key=lambda outcome: place[outcome.job])
    answers = [_answer(outcome) for outcome in outcomes if outcome.fault is None]
    lines = [_prose(answer) for answer in answers]
    if left := [job for job in jobs if job not in set(due)]:
        note(f"Skipped {counted(len(left), 'song')} whose charts are newer (--resume).")
        answers += [
            {"song": str(job.song), "charts": list(map(str, job.charts)), "skipped": True} for job in left
        ]
    if answers:
        say(as_json, answers[0] if alone else answers, "\n".join(lines))
    faults = [outcome.fault for outcome in outcomes if outcome.fault is not None]
    if len(faults) == 1:
        raise InputError(faults[0])
    if faults:
        raise InputError("\n  ".join([f"{len(faults)} of {len(jobs)} songs failed:", *faults]))


def _answer(outcome: Outcome) -> dict[str, object]:
    """What is said of a song; ``changed`` is what its charts say otherwise than what was found."""
    chart = outcome.chart
    assert chart is not None
    return {
        "song": str(outcome.job.song),
        "charts": list(outcome.changed),
        "changed": {path: kinds for path, kinds in outcome.changed.items() if kinds},
        "hits": sum(outcome.labels.values()),
        "labels": outcome.labels,
        "left_out": chart.skipped,
        "bpm": chart.timing.bpm if chart.timing else None,
        "meter": chart.timing.time_signature if chart.timing else None,
        "difficulty": chart.metadata.difficulty,
        "recogniser": outcome.name,
    }


def _prose(answer: dict[str, object]) -> str:
    labels, left_out, changed, charts = (answer[key] for key in ("labels", "left_out", "changed", "charts"))
    assert isinstance(labels, dict) and isinstance(left_out, dict) and isinstance(changed, dict)
    assert isinstance(charts, list)
    notes = "".join(
        f"\n  {path}: {count} {kind}" for path, found in changed.items() for kind, count in found.items()
    )
    if left_out:
        notes += f"\n  left out, having no class in the vocabulary: {_counts(left_out)}"
    kinds = f" ({_counts(labels)})" if labels else ""
    return (
        f"{answer['song']}: {counted(sum(labels.values()), 'hit')}{kinds}, {answer['bpm']} bpm, "
        f"{answer['meter']}, difficulty {answer['difficulty']}, by {answer['recogniser']}; "
        f"wrote {', '.join(charts)}{notes}"
    )


def _counts(labels: dict[str, int]) -> str:
    return ", ".join(f"{label} {number}" for label, number in labels.items())
