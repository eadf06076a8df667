"""The report of a demo run: the verdict first, then one song to hear and see, then every number behind it.

:func:`demo_page` turns a :class:`~beatsight.report.demo_data.DemoReport` into a page.
Times in seconds, scores 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beatsight.report.demo_data import DemoReport, HitScore
from beatsight.report.demo_example import example_section
from beatsight.report.demo_heard import heard_section
from beatsight.report.page import (
    Column,
    Commands,
    Fact,
    Facts,
    Figure,
    Page,
    Part,
    Section,
    SideBySide,
    Table,
    Text,
    Verdict,
)
from beatsight.report.palette import family
from beatsight.report.plots import Bar, Series, bar_chart, line_chart, matrix_chart
from beatsight.report.text import UNKNOWN, Value, duration, known, number, plural

_TEMPO_TOLERANCE = 0.04  # MIREX audio tempo estimation: right within 4 %


def demo_page(data: DemoReport) -> Page:
    """The page of a demo run, to be rendered or written by :mod:`beatsight.report.page`.

    Raises:
        UsageError: the example's audio is empty, not mono or not finite.
    """
    return Page(
        title=data.title,
        subtitle=f"Made on {data.generated} by beatsight {data.version} on {data.machine}",
        verdict=_verdict(data),
        facts=_facts(data),
        sections=(
            _how_to_go_on(data),
            example_section(data.example, data.tolerance_ms),
            *([heard_section(data.package, data.tolerance_ms)] if data.package else []),
            _transcription(data),
            _songs(data),
            _classification(data),
            _training(data),
            _timing(data),
        ),
    )


def _verdict(data: DemoReport) -> Verdict:
    total, f1 = data.total, data.total.f1
    seconds = sum(data.seconds_by_step.values())
    if f1 is None or not known(f1):
        passed, ruling = None, "No score: there was nothing to compare"
    elif f1 >= data.target_f:
        passed, ruling = True, f"Target met: {number(data.target_f)} or better"
    else:
        passed, ruling = False, f"Target missed: {number(data.target_f)} or better"
    return Verdict(
        value=number(f1),
        name=f"F-measure of drum hits on {plural(len(data.songs), 'test song')}, "
        f"within {data.tolerance_ms:g} ms and with the right label",
        passed=passed,
        ruling=ruling,
        detail=f"{total.tp:,} hits right, {total.fp:,} false, {total.fn:,} missed, in {duration(seconds)}. "
        "The songs are new, their drum kits are those of training: the number says that the whole chain "
        f"works, not how well it does on recordings of other drums.{_other_kits(data)}",
        share=f1,
        target=data.target_f,
    )


def _other_kits(data: DemoReport) -> str:
    if data.unseen_kits is None:
        return ""
    return f" On songs played on kits that training never heard it reaches {number(data.unseen_kits.f1)}."


def _facts(data: DemoReport) -> Facts:
    macro = [row.f1 for row in data.classes if row.f1 is not None and known(row.f1)]
    hits = sum(sum(splits.values()) for splits in data.dataset.counts.values())
    hours = sum(data.dataset.hours.values())
    return Facts(
        (
            Fact("Whole run", duration(sum(data.seconds_by_step.values())), "from nothing to this page"),
            Fact("Precision", number(data.total.precision, 3), "found hits that are right"),
            Fact("Recall", number(data.total.recall, 3), "true hits that are found"),
            Fact(
                "Single clips, macro F1",
                number(sum(macro) / len(macro) if macro else None, 3),
                plural(len(data.classes), "label").replace("labels", "labels, equal weight"),
            ),
            Fact("Material", f"{hits:,} labelled hits", f"{hours * 60:.1f} minutes of audio around them"),
        )
    )


def _how_to_go_on(data: DemoReport) -> Section:
    parts: list[Part] = []
    if data.outputs:
        columns = (Column("file"), Column("what it is"))
        parts.append(Table(columns, data.outputs))
    if data.next_commands:
        parts.append(Commands(data.next_commands))
    return Section(
        "What was made, and how to go on",
        parts,
        "The run made songs with known hits, cut training clips from some, trained a network on them, and "
        "wrote charts for songs it had not seen.",
    )


def _hit_row(row: HitScore) -> tuple[Value, ...]:
    return row.label, row.f1, row.precision, row.recall, row.tp, row.fp, row.fn


def _transcription(data: DemoReport) -> Section:
    columns = (
        Column("label"),
        Column("F", 3, bar=True),
        Column("precision", 3),
        Column("recall", 3),
        Column("right"),
        Column("false"),
        Column("missed"),
    )
    bars = [Bar(row.label, row.f1, css=family(row.label)) for row in data.hits]
    chart = bar_chart(
        "F-measure of hits per label",
        bars,
        "F-measure (0..1)",
        1.0,
        (data.target_f, f"target {data.target_f:g}"),
    )
    return Section(
        "Hits found, per label",
        (
            SideBySide(
                (
                    Figure(
                        chart, "F-measure of each label over all test songs; the target holds for the total."
                    ),
                    Table(columns, [_hit_row(row) for row in data.hits], footer=_hit_row(data.total)),
                )
            ),
        ),
        f"A found hit is right when a true hit of the same label lies within {data.tolerance_ms:g} ms, each "
        "true hit counted once.",
    )


def _tempo_right(true: float | None, found: float | None) -> bool:
    return true is not None and found is not None and abs(found - true) <= _TEMPO_TOLERANCE * true


def _songs(data: DemoReport) -> Section:
    columns = (
        Column("song"),
        Column("style"),
        Column("F", 3, bar=True),
        Column("right"),
        Column("false"),
        Column("missed"),
        Column("tempo (bpm)", 1),
        Column("found (bpm)", 1),
        Column("meter"),
        Column("found"),
    )
    rows = [
        (
            song.name,
            song.style,
            song.f1,
            song.tp,
            song.fp,
            song.fn,
            song.tempo_true,
            song.tempo_found,
            song.meter_true or UNKNOWN,
            song.meter_found or UNKNOWN,
        )
        for song in data.songs
    ]
    tempo = sum(_tempo_right(song.tempo_true, song.tempo_found) for song in data.songs)
    meter = sum(song.meter_true is not None and song.meter_true == song.meter_found for song in data.songs)
    intro = (
        f"Of {plural(len(data.songs), 'test song')}, {tempo} had the tempo right within "
        f"{_TEMPO_TOLERANCE:.0%}, {meter} the meter."
    )
    return Section("Song by song", (Table(columns, rows),), intro)


def _classification(data: DemoReport) -> Section:
    columns = (
        Column("label"),
        Column("F1", 3, bar=True),
        Column("precision", 3),
        Column("recall", 3),
        Column("clips"),
        Column("threshold", 2),
    )
    rows = [
        (row.label, row.f1, row.precision, row.recall, row.support, row.threshold) for row in data.classes
    ]
    counts = np.rint(data.confusion).astype(int).tolist()
    chart = matrix_chart("Confusion matrix", data.confusion_labels, counts, "true label", "predicted label")
    numbers = Table(
        (Column("true, predicted →"), *(Column(label) for label in data.confusion_labels)),
        [(label, *row) for label, row in zip(data.confusion_labels, counts, strict=True)],
    )
    caption = (
        "Test clips by true and predicted label. The shade is the share of the row: the diagonal is right."
    )
    return Section(
        "Single clips recognised",
        (SideBySide((Figure(chart, caption, numbers), Table(columns, rows))),),
        "The network alone, on clips cut at true hits: what it mistakes for what.",
    )


def _training(data: DemoReport) -> Section:
    history = data.history
    parts: list[Part] = []
    if history:
        epochs = [row.epoch for row in history]
        loss = (
            Series("validation", epochs, [row.val_loss for row in history]),
            Series("training", epochs, [row.train_loss for row in history], dashed=True),
        )
        score = (Series("validation macro F1", epochs, [row.val_macro_f1 for row in history]),)
        columns = (
            Column("epoch"),
            Column("training loss", 4),
            Column("validation loss", 4),
            Column("validation macro F1", 3),
            Column("learning rate", 6),
        )
        rows = [(row.epoch, row.train_loss, row.val_loss, row.val_macro_f1, row.lr) for row in history]
        losses = Figure(
            line_chart("Loss per epoch", loss, "epoch", "loss"),
            "Loss per epoch. Validation that rises while training falls means learning by heart.",
            Table(columns, rows),
        )
        scores = Figure(
            line_chart("Validation macro F1 per epoch", score, "epoch", "macro F1 (0..1)", (0.0, 1.0)),
            "Macro F1 of the validation clips, every label with equal weight.",
        )
        parts.append(SideBySide((losses, scores)))
    else:
        parts.append(Text("No network was trained in this run."))
    parts.append(SideBySide((_training_clips(data), _dataset_table(data))))
    return Section("Training", parts)


def _training_clips(data: DemoReport) -> Figure:
    split = next(iter(data.dataset.hours), "train")
    clips = {label: counts.get(split, 0) for label, counts in data.dataset.counts.items()}
    bars = [Bar(label, count, number(count), family(label)) for label, count in clips.items()]
    chart = bar_chart("Training clips per label", bars, "clips")
    return Figure(chart, f"Clips of each label in the {split} split.")


def _dataset_table(data: DemoReport) -> Table:
    splits: Sequence[str] = list(data.dataset.hours)
    rows: list[tuple[Value, ...]] = [
        (label, *(counts.get(split, 0) for split in splits)) for label, counts in data.dataset.counts.items()
    ]
    totals = (sum(counts.get(split, 0) for counts in data.dataset.counts.values()) for split in splits)
    columns = (Column("label"), *(Column(split) for split in splits))
    hours = ", ".join(f"{split} {hours * 60:.1f}" for split, hours in data.dataset.hours.items())
    return Table(columns, rows, f"Clips per label and split; minutes of audio: {hours}", ("total", *totals))


def _timing(data: DemoReport) -> Section:
    bars = [Bar(step, seconds, duration(seconds)) for step, seconds in data.seconds_by_step.items()]
    chart = bar_chart("Time of each step", bars, "time (s)")
    rows = [(step, seconds) for step, seconds in data.seconds_by_step.items()]
    table = Table(
        (Column("step"), Column("time (s)", 2)), rows, footer=("total", sum(data.seconds_by_step.values()))
    )
    return Section("Where the time went", (SideBySide((Figure(chart, f"On {data.machine}."), table)),))
