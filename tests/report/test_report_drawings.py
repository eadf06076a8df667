"""Charts, tracks, pictures and sounds: planted answers and independent decoders."""

from __future__ import annotations

import io
import itertools
import math
import struct
import wave
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from beatsight.errors import UsageError
from beatsight.report import Hit
from beatsight.report.images import colour_map, encode_png, mel_height, spectrogram_pixels
from beatsight.report.palette import family
from beatsight.report.plots import Bar, Series, bar_chart, line_chart, matrix_chart, meter
from beatsight.report.sound import PAGE_SAMPLE_RATE, encode_wav, for_page, with_clicks
from beatsight.report.svg import tag, tick_text, ticks
from beatsight.report.text import duration, number
from beatsight.report.timeline import roll_track, time_track, waveform_track
from beatsight.taxonomy import CANONICAL

RATE = 22_050


def tree(drawing: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def of_class(drawing: Markup, name: str) -> list[ElementTree.Element]:
    return [item for item in tree(drawing).iter() if name in item.get("class", "").split()]


def words(drawing: Markup) -> list[str]:
    return [item.text or "" for item in tree(drawing).iter("text")]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(3, 12))
def test_ticks_are_few_rising_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    if not high > low or span < 1e-9 * abs(low):
        return
    marks = ticks(low, high, most)
    slack = 1e-6 * span + 1e-9
    assert len(marks) <= most
    assert all(low - slack <= mark <= high + slack for mark in marks)
    assert all(b > a for a, b in itertools.pairwise(marks))


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0, 20, [0, 5, 10, 15, 20]), (0.13, 0.87, [0.2, 0.4, 0.6, 0.8])],
)
def test_ticks_are_round(low: float, high: float, answer: list[float]) -> None:
    assert ticks(low, high) == answer


@pytest.mark.parametrize(
    ("value", "step", "text"), [(0.25, 0.25, "0.25"), (2.0, 0.5, "2.0"), (2000, 500, "2,000")]
)
def test_tick_labels_have_the_digits_of_their_step(value: float, step: float, text: str) -> None:
    assert tick_text(value, step) == text


@given(st.text(max_size=40))
def test_any_text_becomes_well_formed_xml(text: str) -> None:
    element = ElementTree.fromstring(tag("text", {"class": text}, text))
    clean = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\x7f\ufffe\uffff"))
    assert (element.text or "").replace("\r", "\n") == clean.replace("\r\n", "\n").replace("\r", "\n")


def test_numbers_and_durations() -> None:
    assert [number(np.float32(0.5)), number(np.int64(1234)), number(float("inf")), number(7)] == [
        "0.50",
        "1,234",
        "–",
        "7",
    ]
    assert [duration(59.6), duration(3599.7), duration(9.97)] == ["1 min 00 s", "1 h 00 min", "10 s"]


def test_a_line_is_drawn_through_its_points_and_broken_at_gaps() -> None:
    series = Series("loss", [1, 2, 3, 4, 5], [1.0, 0.5, None, 0.25, 0.0])
    chart = line_chart("t", [series], "epoch", "loss", (0.0, 1.0))
    lines = [item for item in of_class(chart, "line") if item.tag == "polyline"]
    assert len(lines) == 2
    first = [tuple(map(float, point.split(","))) for point in lines[0].get("points", "").split()]
    second = [tuple(map(float, point.split(","))) for point in lines[1].get("points", "").split()]
    assert first[1][0] - first[0][0] == pytest.approx((second[0][0] - first[0][0]) / 3, abs=0.02)
    # Heights: 1.0 at the top, 0.0 at the bottom, 0.5 midway.
    assert first[1][1] == pytest.approx((first[0][1] + second[1][1]) / 2, abs=0.02)
    assert first[0][1] < second[1][1]
    assert {"epoch", "loss", "0.0", "1.0"} <= set(words(chart))


def test_a_lone_point_is_a_dot_and_no_point_is_no_data() -> None:
    assert of_class(line_chart("t", [Series("a", [1], [0.5])], "epoch", "F"), "dot")
    for values in ([None, None], [math.nan, math.nan]):
        assert words(line_chart("t", [Series("a", [1, 2], values)], "epoch", "F")) == ["no data"]
    assert words(bar_chart("t", [], "s")) == ["no data"]
    assert words(matrix_chart("t", [], [], "true", "predicted")) == ["no data"]


def test_bars_are_as_long_as_their_values() -> None:
    chart = bar_chart("t", [Bar("a", 1.0), Bar("b", 0.25), Bar("c", None)], "F (0..1)", 1.0, (0.5, "target"))
    lengths = [float(item.get("width", "")) for item in of_class(chart, "bar")]
    assert lengths[1] == pytest.approx(lengths[0] / 4, abs=0.02)
    assert lengths[2] == 0
    left = float(of_class(chart, "bar")[0].get("x", ""))
    assert float(of_class(chart, "reference")[0].get("x1", "")) == pytest.approx(
        left + lengths[0] / 2, abs=0.02
    )
    assert {"a", "b", "c", "1.00", "0.25", "–", "target", "F (0..1)"} <= set(words(chart))


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.text("abcdefgh_", min_size=1, max_size=20))
def test_bars_and_their_texts_stay_inside_the_drawing(values: list[float], label: str) -> None:
    chart = bar_chart("t", [Bar(label, value) for value in values], "time (s)")
    width = float(tree(chart).get("viewBox", "").split()[2])
    for item in of_class(chart, "value"):
        assert float(item.get("x", "")) + 7 * len(item.text or "") <= width + 0.1


def test_matrix_shades_follow_the_share_of_the_row() -> None:
    chart = matrix_chart("t", ["a", "b"], [[30, 10], [0, 5]], "true", "predicted")
    cells = of_class(chart, "heat")
    shades = [item.get("fill-opacity") for item in cells]
    assert shades == ["0.8", "0.4", None, "1"]
    assert "none" in cells[2].get("class", "")
    assert [item.text for item in of_class(chart, "count")] == ["30", "10", "5"]


def test_the_meter_is_clamped() -> None:
    for value, width in ((0.5, "50.0%"), (1.5, "100.0%"), (-1.0, "0.0%"), (math.nan, "0.0%")):
        assert of_class(meter(value, 0.85), "level")[0].get("width") == width


def decode_png(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """An independent reader of unfiltered 8-bit indexed PNG files: every check sum is verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height, depth, colour_type = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour_type) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def test_a_png_decodes_to_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 13)).astype(np.uint8)
    data = encode_png(pixels, colour_map())
    decoded, colours = decode_png(data)
    assert np.array_equal(decoded, pixels) and np.array_equal(colours, colour_map())


def test_a_png_is_read_by_another_library() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 12) * 4
    opened = np.asarray(image.open(io.BytesIO(encode_png(pixels, colour_map()))).convert("RGB"))
    assert np.array_equal(opened, colour_map()[pixels])


@pytest.mark.parametrize("pixels", [np.zeros((0, 3), np.uint8), np.zeros(4, np.uint8), np.zeros((2, 2))])
def test_pixels_of_another_kind_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="pixels must be a non-empty uint8 matrix"):
        encode_png(pixels, colour_map())


def test_the_colour_map_gets_lighter_all_the_way() -> None:
    linear = (colour_map() / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    smooth = np.convolve(luminance, np.ones(5) / 5, "valid")  # rounding to 8 bits makes single steps uneven
    assert (np.diff(smooth) > 0).all()
    assert luminance[0] < 0.01 and luminance[-1] > 0.85
    assert len(np.unique(colour_map(), axis=0)) > 250


@pytest.mark.parametrize("at_s", [0.25, 1.0, 1.9])
def test_a_click_lights_the_columns_at_its_time(at_s: float) -> None:
    audio = np.zeros(2 * RATE, np.float32)
    audio[round(at_s * RATE)] = 1.0
    pixels = spectrogram_pixels(audio, RATE, width=400)
    energy = pixels.astype(float).sum(axis=0)
    centre = float((np.arange(400) + 0.5) @ energy / energy.sum()) / 400 * 2
    assert centre == pytest.approx(at_s, abs=0.005)


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 6000.0])
def test_a_tone_lights_the_row_that_the_axis_names(frequency: float) -> None:
    audio = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)
    pixels = spectrogram_pixels(audio, RATE, width=50, bands=96)
    row = int(pixels[:, 25].argmax())
    assert 1 - (row + 0.5) / 96 == pytest.approx(mel_height(frequency, RATE), abs=0.02)


def test_silence_is_dark_and_one_sample_is_enough() -> None:
    assert not spectrogram_pixels(np.zeros(4000), RATE).any()
    assert spectrogram_pixels(np.ones(1), RATE).shape == (96, 1)
    with pytest.raises(UsageError, match="non-empty mono signal"):
        spectrogram_pixels(np.zeros((2, 100)), RATE)


def test_a_wav_reads_back_within_half_a_step() -> None:
    audio = np.linspace(-1.2, 1.2, 1001)
    with wave.open(io.BytesIO(encode_wav(audio, RATE))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        back = np.frombuffer(file.readframes(2000), "<i2") / 32767
    assert np.abs(back - np.clip(audio, -1, 1)).max() <= 0.5 / 32767 + 1e-9


def test_audio_for_a_page_is_cut_resampled_and_kept_in_range() -> None:
    at = np.arange(3 * 48_000) / 48_000
    audio, rate = for_page(1.5 * np.sin(2 * np.pi * 441 * at), 48_000, 2.0)
    assert rate == PAGE_SAMPLE_RATE
    assert audio.size == 2 * PAGE_SAMPLE_RATE
    assert np.abs(audio).max() <= 1.0
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() / 2 == pytest.approx(441, abs=0.5)
    assert for_page(np.zeros(10), 8000, 2.0)[1] == 8000


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 9)), np.array([0.0, np.nan])])
def test_audio_that_cannot_be_played_is_refused(audio: np.ndarray) -> None:
    with pytest.raises(UsageError, match="must be mono, finite and not empty"):
        for_page(audio, RATE, 20.0)


def test_clicks_begin_at_their_times() -> None:
    out = with_clicks(
        np.zeros(RATE), RATE, [(0.25, 1000.0, 1.0), (0.75, 1000.0, 0.5), (-1, 1, 1), (2.0, 1, 1)]
    )
    sounding = np.flatnonzero(np.abs(out) > 1e-6)
    assert sounding[0] == round(0.25 * RATE) + 1  # a sine starts at zero
    first, second = out[: RATE // 2], out[RATE // 2 :]
    assert np.abs(first).max() == pytest.approx(2 * np.abs(second).max(), rel=1e-3)
    assert np.abs(with_clicks(np.ones(RATE), RATE, [(0.5, 500.0, 1.0)] * 9)).max() <= 1.0


def test_every_label_has_a_colour_family() -> None:
    families = {family(label) for label in CANONICAL}
    assert families == {"fam-kick", "fam-snare", "fam-hihat", "fam-tom", "fam-cymbal", "fam-other"}
    assert [family(name) for name in ("KD", "SD", "TT", "HH", "CY")] == [
        family(name) for name in ("kick", "snare", "tom_mid", "hihat_open", "china")
    ]


def test_the_roll_marks_found_missed_and_false_hits_by_form() -> None:
    true = [Hit(1.0, "kick", 0.9), Hit(2.0, "snare", 0.5, matched=False), Hit(11.0, "kick", 1.0)]
    found = [Hit(1.01, "kick", 0.9), Hit(3.0, "snare", 0.2, matched=False), Hit(1.0, "tom_low", 0.1)]
    track = roll_track(true, found, 10.0, [0.0, 5.0, 20.0], {"kick": 0, "snare": 2, "ride": 6})
    marks = of_class(track.plot, "mark")
    forms = {mark.find("title").text: mark[1].get("class") for mark in marks}  # type: ignore[union-attr]
    assert forms == {
        "kick at 1.010 s, velocity 0.90: found": "disc",
        "snare at 2.000 s, velocity 0.50: missed": "ring",
        "snare at 3.000 s, velocity 0.20: false": "cross",
        "tom_low at 1.000 s, velocity 0.10: found": "disc",
    }
    assert {mark.get("x") for mark in marks} == {"10.1%", "20%", "30%", "10%"}
    assert words(track.names) == ["kick", "snare", "tom_low"]
    assert [line.get("x1") for line in of_class(track.plot, "beat")] == ["0%", "50%"]
    radii = [float(mark[1].get("r", "")) for mark in marks if mark[1].get("class") == "disc"]
    assert max(radii) > 1.5 * min(radii)


def test_the_two_drawings_of_a_track_are_equally_high() -> None:
    hits = [Hit(0.5, "kick")]
    tracks = [
        waveform_track(np.zeros(500), 1.0, hits, hits),
        roll_track(hits, hits, 1.0, [], {}),
        roll_track([], [], 1.0, [], {}),
        time_track(1.0),
    ]
    for track in tracks:
        assert tree(track.names).get("height") == tree(track.plot).get("height")


def test_the_waveform_is_tall_where_the_sound_is_loud() -> None:
    audio = np.zeros(12_000)
    audio[6000:6010] = [0.5, -0.5] * 5
    track = waveform_track(audio, 1.0, [Hit(0.5, "kick")], [])
    points = [
        tuple(map(float, p.split(","))) for p in of_class(track.plot, "wave")[0].get("points", "").split()
    ]
    high = [x for x, y in points if y < 10]
    assert high == [600.0]
    assert of_class(track.plot, "mark")[0].get("x") == "50%"
