"""One song of a demo run, to hear and to see: players, waveform, spectrogram and chart on one time axis.

Conventions: times in seconds from the start of the song; only its first ``EXAMPLE_SECONDS`` are shown.
"""

from __future__ import annotations

from beatsight.report.demo_data import ExampleSong
from beatsight.report.page import Player, Section, Timeline
from beatsight.report.palette import click_hz
from beatsight.report.sound import encode_wav, for_page, with_clicks
from beatsight.report.text import plural
from beatsight.report.timeline import Hit, roll_track, spectrogram_track, time_track, waveform_track

EXAMPLE_SECONDS = 20.0  # two players of this length make up most of the page's size
_DEFAULT_CLICK = 0.7


def example_section(song: ExampleSong, tolerance_ms: float) -> Section:
    """The section of one song: two players over waveform, spectrogram and found chart.

    Args:
        song: the song with its true and found hits.
        tolerance_ms: how far apart in time a true and a found hit were allowed to be, for the text.

    Raises:
        UsageError: the audio is empty, not mono or not finite.
    """
    audio, rate = for_page(song.audio, song.sample_rate, EXAMPLE_SECONDS)
    length = audio.size / rate
    true_hits = [hit for hit in song.true_hits if hit.time_s < length]
    found_hits = [hit for hit in song.found_hits if hit.time_s < length]
    clicks = [(hit.time_s, click_hz(hit.label), _click_strength(hit)) for hit in found_hits]
    missed = sum(not hit.matched for hit in true_hits)
    false = sum(not hit.matched for hit in found_hits)
    tempo = "" if song.tempo_bpm is None else f" at {song.tempo_bpm:.1f} beats per minute"
    timeline = Timeline(
        length_s=length,
        tracks=(
            waveform_track(audio, length, true_hits, found_hits),
            spectrogram_track(audio, rate, length, true_hits, found_hits),
            roll_track(true_hits, found_hits, length, song.beats_s, song.lanes),
            time_track(length),
        ),
        players=(
            Player("The song", encode_wav(audio, rate)),
            Player("The song, each found hit clicked", encode_wav(with_clicks(audio, rate, clicks), rate)),
        ),
        caption="From the top: waveform, log-mel spectrogram (brighter is louder, over 70 dB) and the found "
        "chart, its rows in the order of the chart's lanes; vertical lines are the beats found. Point at a "
        "mark for its time; click the tracks to move the sound there.",
    )
    intro = (
        f"The first {length:.0f} seconds of {song.name}{tempo}: {plural(len(true_hits), 'true hit')}, "
        f"{missed:,} missed, {false:,} false, matched within {tolerance_ms:g} ms."
    )
    return Section("One song, heard and seen", (timeline,), intro)


def _click_strength(hit: Hit) -> float:
    return _DEFAULT_CLICK if hit.velocity is None else 0.3 + 0.7 * min(1.0, max(0.0, hit.velocity))
