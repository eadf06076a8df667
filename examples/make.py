"""Make the example inputs of this folder again, from the built-in kit: ``python examples/make.py``.

The recordings are synthetic (``beatsight synth`` with fixed seeds), so they may be used for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import make_gates

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.charts import Chart, Timing, audio_ref, build_chart, write_chart
from beatsight.events import Component, Event, Prediction, write_records
from beatsight.files import write_text
from beatsight.synth.grooves import Hit
from beatsight.synth.kit import make_kit
from beatsight.synth.song import Song, make_song

HERE = Path(__file__).parent
SONGS = {
    "groove": dict(seed=11, style="rock", meter="4/4", tempo_bpm=110.0),
    "waltz": dict(seed=12, style="waltz", meter="3/4", tempo_bpm=140.0),
}
SECONDS = 8.0
KIT = {"kick": 0.25, "snare": 0.25, "hihat_closed": 0.15, "crash": 0.6}


def main() -> None:
    """Write every file of the folder but the README."""
    events: list[Event] = []
    for name, settings in SONGS.items():
        song = make_song(duration_s=SECONDS, **settings)  # type: ignore[arg-type]
        save(HERE / f"{name}.ogg", song.audio)
        events += _events(song, name)
        _chart(song, name)
    write_records(HERE / "events.jsonl", events)
    write_records(HERE / "predictions.jsonl", _predictions(events))
    write_records(HERE / "ekit.jsonl", _ekit())
    groove = [event for event in events if event.audio_path == "groove.ogg"]
    rows = [(event.onset_time, "+".join(event.labels)) for event in groove]
    write_text(HERE / "labels.txt", "".join(f"{time:.6f}\t{time:.6f}\t{text}\n" for time, text in rows))
    table = [f"groove.ogg,{event.onset_time:.4f},{event.labels[0]}\n" for event in groove[:8]]
    write_text(HERE / "hits.csv", "audio,time,label\n" + "".join(table))
    kit = make_kit(5)
    for label, seconds in KIT.items():
        for take in (1, 2):
            sound = kit.render(label, 0.5 + 0.2 * take, take=take)[: int(seconds * SAMPLE_RATE)]
            save(HERE / "kit" / f"{label}_{take}.flac", 0.8 * sound / abs(sound).max())
    _performance(make_song(13, duration_s=2 * SECONDS, style="rock", meter="4/4", tempo_bpm=120.0), "rock")
    make_gates.main(HERE / "gates")


def _events(song: Song, name: str) -> list[Event]:
    for event in song.events:
        event.audio_path, event.session_id = f"{name}.ogg", name
        event.sample_id = event.sample_id.replace(song.name, name)
    return song.events


def _predictions(events: list[Event]) -> list[Prediction]:
    """A model that finds every hit, and hears a crash that is not there at every fifth moment."""
    predictions = []
    for index, event in enumerate(events):
        scores = {label: 0.9 for label in event.labels}
        if index % 5 == 0:
            scores.setdefault("crash", round(0.5 + 0.4 * index / len(events), 4))
        predictions.append(
            Prediction(
                sample_id=event.sample_id,
                session_id=event.session_id,
                audio_path=event.audio_path,
                onset_time=event.onset_time,
                predicted_labels=sorted(scores),
                scores=scores,
            )
        )
    return predictions


def _ekit() -> list[Event]:
    """Hats of an e-kit, the pedal ever further open, on a device with a curve and on one without."""
    events = []
    for device, (vendor, model) in enumerate((("Roland", "TD-50"), ("Nobody", "Practice Pad 1"))):
        for step in range(8):
            raw = 18.0 * step
            hat = Component(
                label="hihat_open" if raw > 60 else "hihat_closed", velocity=0.6, openness_raw=raw
            )
            events.append(
                Event(
                    sample_id=f"ekit-{device}-{step}",
                    session_id=f"ekit-{device}",
                    onset_time=0.25 * step,
                    components=[hat],
                    tempo_bpm=120.0,
                    meter="4/4",
                    device_vendor=vendor,
                    device_model=model,
                )
            )
    return events


def _chart(song: Song, name: str) -> None:
    chart = _true_chart(song, song.hits, round(song.downbeats_s[0] * 1000), HERE / f"{name}.ogg")
    write_chart(chart, HERE / f"{name}.bsm")
    write_chart(chart, HERE / f"{name}.mid")


def _performance(song: Song, name: str) -> None:
    """A drummer's MIDI file, whose first bar begins with the file, and what the band plays."""
    band = (song.audio - song.drums)[: int(SECONDS * SAMPLE_RATE)]
    save(HERE / "band" / f"{name}.ogg", 0.8 * band / abs(band).max())
    first = song.downbeats_s[0]
    hits = [replace(hit, onset_s=max(0.0, hit.onset_s - first)) for hit in song.hits]
    write_chart(_true_chart(song, hits, 0, HERE / "band" / f"{name}.ogg"), HERE / "grooves" / f"{name}.mid")


def _true_chart(song: Song, hits: Sequence[Hit], offset_ms: int, audio: Path) -> Chart:
    return build_chart(
        [(hit.onset_s, hit.label, hit.velocity) for hit in hits],
        title=f"Example {audio.stem}",
        artist="beatsight",
        audio=audio_ref(audio, duration_s=SECONDS, sample_rate=SAMPLE_RATE),
        timing=Timing(bpm=song.tempo_bpm, offset=offset_ms, time_signature=song.meter),
        difficulty=3.0,
    )


if __name__ == "__main__":
    main()
