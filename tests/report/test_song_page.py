"""The page of a transcribed song: right marks, right numbers, small, whole, and its clicks in time."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import CHROMIUM, Browser
from hypothesis import given
from hypothesis import strategies as st

from beatsight.audio.io import save
from beatsight.charts import Chart, Timing, audio_ref, build_chart
from beatsight.errors import InputError, UsageError
from beatsight.metrics import transcription_scores
from beatsight.report import DemoReport, HitScore, demo_page, song_sound
from beatsight.report.demo_data import PackageSongs
from beatsight.report.listening import Listening, lane
from beatsight.report.ogg import fixed_serial, page_crc
from beatsight.report.page import Page, Section, render, write_page
from beatsight.report.song_data import HeardSong, compared, heard_song, in_order
from beatsight.report.song_page import song_page, song_section, write_song_page
from beatsight.report.song_sound import busiest_stretch, compressed, load_stretch

RATE = 44_100
HOSTILE = "</script><script>alert(1)</script><img src=http://evil.example/x>"
PHONE_PX = 390
# Kick and snare in turn every half second, hats between; 120 bpm.
HITS = [(0.5 * n, "kick" if n % 2 == 0 else "snare", 0.9) for n in range(1, 20)]
HITS += [(0.5 * n + 0.25, "hihat_closed", 0.4) for n in range(1, 19)]


def bursts(times_s: list[float], length_s: float) -> np.ndarray:
    """Silence with a sharp burst at every time."""
    audio = np.zeros(round(length_s * RATE), np.float32)
    random = np.random.default_rng(3)
    for time_s in times_s:
        at = round(time_s * RATE)
        shape = np.exp(-np.arange(2000) / 300) * random.normal(0, 0.3, 2000)
        audio[at : at + 2000] += shape[: audio.size - at].astype(np.float32)
    return np.clip(audio, -1, 1)


def chart_of(path: Path, length_s: float, title: str = "A song") -> Chart:
    return build_chart(
        HITS, title=title, artist="", audio=audio_ref(path, duration_s=length_s, sample_rate=RATE),
        timing=Timing(bpm=120.0, offset=500), difficulty=1.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def song_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a song") / "song.wav"
    save(path, bursts([time for time, _, _ in HITS], 10.0))
    return path


@pytest.fixture(scope="module")
def song(song_file: Path) -> HeardSong:
    """One snare missed, one hat of the chart false, one tom that nobody found, all else 10 ms early."""
    true: list[tuple[float, str, float | None]] = [(t - 0.01, label, v) for t, label, v in HITS[:-1]]
    true += [(3.1, "snare", 0.5), (4.4, "tom_low", None)]
    return heard_song(song_file, chart_of(song_file, 10.0, HOSTILE), true=true)


@pytest.fixture(scope="module")
def page(song: HeardSong, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song page") / "song.html"
    write_page(song_page(song), path)
    return path


def test_verdicts_and_numbers_are_those_planted(song: HeardSong, page: Path) -> None:
    assert song.labels == ["kick", "snare", "hihat_closed", "tom_low"]
    assert [(hit.time_s, hit.label) for hit in song.true or () if not hit.matched] == [
        (3.1, "snare"),
        (4.4, "tom_low"),
    ]
    assert [(hit.time_s, hit.label) for hit in song.found if not hit.matched] == [(9.25, "hihat_closed")]
    text = page.read_text()
    rows = [re.findall(r">([^<]+)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL)]
    cells = {row[0]: row[1:] for row in rows if row}
    assert cells["kick"] == ["1.000", "1.000", "1.000", "9", "0", "0", "10.0"]
    assert cells["snare"][3:] == ["10", "0", "1", "10.0"]
    assert cells["hihat_closed"][3:] == ["17", "1", "0", "10.0"]
    assert cells["tom_low"][3:] == ["0", "0", "1", "–"]
    assert cells["all"][3:] == ["36", "1", "2", "10.0"]
    assert "<dd>+10.0 ms" in text
    # A mark of each kind: missed ones hollow, false ones crossed (and each once in the legend).
    assert text.count('class="hollow"') == 2 + 1
    assert text.count('class="cross"') == 1 + 1
    assert text.count('class="stroke"') == len(HITS) + 2


def test_without_truth_nothing_is_judged(song_file: Path, tmp_path: Path) -> None:
    write_song_page(song_file, chart_of(song_file, 10.0), tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text()
    assert 'class="hollow"' not in text and 'class="cross"' not in text
    assert "F-measure" not in text and "<h1>A song</h1>" in text
    # 9 kicks in ten seconds.
    assert re.search(r'kick</th>\s*<td class="n">9</td>\s*<td class="n">54.0</td>', text)


def test_names_are_text_and_data_stays_data(page: Path) -> None:
    text = page.read_text()
    assert HOSTILE not in text and "&lt;img src=http://evil.example/x&gt;" in text
    label = "</script>" + "x"
    part = Listening("t", 1.0, 0.0, compressed(np.zeros(100, np.float32), RATE), (), *4 * (None,), False)  # type: ignore[arg-type]
    assert "<" not in part.data
    row = dataclasses.replace(lane("kick", 0, [], [], 0.0, 1.0), label=label)
    assert json.loads(dataclasses.replace(part, lanes=(row,)).data)["lanes"][0]["label"] == label


@given(
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["kick", "snare", "CY"])), max_size=30),
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["kick", "snare", "CY"])), max_size=30),
)
def test_verdicts_agree_with_the_scores(
    true: list[tuple[float, str]], found: list[tuple[float, str]]
) -> None:
    true_hits, found_hits, scores = compared([(*hit, None) for hit in true], [(*hit, 0.5) for hit in found])
    expected = transcription_scores(true, found, list(scores.counts))
    assert scores.counts == expected.counts
    assert sum(hit.matched for hit in true_hits) == sum(hit.matched for hit in found_hits) == scores.total.tp
    assert in_order(scores.counts) == list(scores.counts)


@given(st.lists(st.floats(0, 100), max_size=40), st.floats(1, 120))
def test_no_stretch_holds_more_hits(times: list[float], most_s: float) -> None:
    start, end = busiest_stretch(np.array(times), 100.0, most_s)
    assert 0 <= start < end <= 100.0 + 1e-9 and end - start <= most_s + 1e-9
    if times and most_s < 100:
        inside = sum(start <= time < end for time in times)
        for other in np.arange(0, 100 - most_s, 0.5):
            # The chosen one starts a little before its first hit, which may cost it what its end would hold.
            assert inside >= sum(other + song_sound._LEAD_S <= time < other + most_s for time in times)


def test_a_long_song_is_cut_to_its_busiest_part_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.wav"
    shift = 31.0
    late = [(time + shift, label, velocity) for time, label, velocity in HITS]
    save(path, bursts([time for time, _, _ in late], 50.0))
    chart = build_chart(
        [(1.0, "kick", 0.5), *late], title="t", artist="", timing=Timing(bpm=120.0), difficulty=1.0,
        audio=audio_ref(path, duration_s=50.0, sample_rate=RATE),
    )  # fmt: skip
    monkeypatch.setattr(song_sound, "MOST_S", 12.0)
    song = heard_song(path, chart)
    assert (song.start_s, song.end_s) == (31.25, 43.25)
    text = render(song_page(song))
    assert "This page holds 12 s of 50 s, 0:31 to 0:43" in text
    assert f"The 12 s with the most hits, 0:31 to 0:43: {len(HITS)} hits" in text
    data = json.loads(re.findall(r'application/json">(.*?)</script>', text)[0])
    assert data["start"] == 31.25 and data["lanes"][0]["hits"][0] == [0.75, 0.9]


def test_a_stretch_is_that_part_of_the_file(song_file: Path) -> None:
    whole, _ = soundfile.read(song_file, dtype="float32")
    assert np.array_equal(load_stretch(song_file, 1.5, 3.25), whole[round(1.5 * RATE) : round(3.25 * RATE)])
    with pytest.raises(UsageError, match=r"song.wav: there is no sound from 20 s to 21 s$"):
        load_stretch(song_file, 20.0, 21.0)
    with pytest.raises(InputError, match=r"none.wav: no such audio file$"):
        load_stretch(song_file.parent / "none.wav", 0.0, 1.0)


def test_a_minute_fits_and_is_the_same_every_time() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, 60 * RATE).astype(np.float32)
    first = compressed(audio, RATE)
    assert first.seconds == 60.0
    assert len(first.source) < 1_500_000
    if first.mime == "audio/ogg":
        assert compressed(audio[:RATE], RATE).data == compressed(audio[:RATE], RATE).data


def test_the_section_of_a_demo(song: HeardSong, demo: DemoReport) -> None:
    assert 'class="listening"' not in render(demo_page(demo))
    package = PackageSongs(song, HitScore("all", 3, 1, 1, 0.75, 0.75, 0.75), 4)
    text = render(demo_page(dataclasses.replace(demo, package=package)))
    assert "Over 4 songs played on kits of their own its F-measure is 0.750 within 50 ms." in text
    assert "Here it is 0.960: the song in the middle of them." in text
    assert text.count('class="listening"') == 1 and "AudioContext" in text


def test_without_opus_it_is_a_shorter_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(song_sound, "can_compress", lambda: False)
    assert song_sound.longest_s() == 25.0
    sound = compressed(np.zeros(25 * RATE, np.float32), RATE)
    assert sound.mime == "audio/wav" and len(sound.source) < 1_500_000
    assert sound.data[:4] == b"RIFF" and struct.unpack("<I", sound.data[24:28])[0] == 22_050


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 9)), np.array([0.0, np.nan])])
def test_sound_that_cannot_be_carried_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"^audio for a page must be mono, finite and not empty"):
        compressed(bad, RATE)


def test_ogg_pages_keep_their_content_and_get_true_checksums() -> None:
    """The checksum against zlib's CRC-32: the same polynomial reflected, begun and ended with ones."""
    content = bytes(range(200))
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in content)
    # zlib starts from ones: cancelled by flipping the first four bytes.
    plain = zlib.crc32(bytes(byte ^ 0xFF for byte in mirrored[:4]) + mirrored[4:]) ^ 0xFFFF_FFFF
    assert page_crc(content) == int(f"{plain:032b}"[::-1], 2)
    header = b"OggS\0\2" + bytes(8) + b"\7\7\7\7" + bytes(4) + b"\1\2\3\4" + b"\1\5"
    stream = fixed_serial(header + b"hello")
    assert stream[14:18] == b"\1\0\0\0" and stream[-5:] == b"hello"
    assert fixed_serial(stream) == stream
    with pytest.raises(InputError, match=r"^the Ogg stream is cut short in the page at byte 0$"):
        fixed_serial(header + b"hell")
    with pytest.raises(InputError, match=r"^the Ogg stream has no page at byte 33$"):
        fixed_serial(header + b"hello" + b"RIFF")


def test_a_page_without_player_carries_none(song: HeardSong) -> None:
    assert "AudioContext" not in render(Page("t", [Section("s", [])]))
    inner = Section("outer", [song_section(song, "inner")])
    assert "AudioContext" in render(Page("t", [inner]))


def test_a_song_without_hits(song_file: Path) -> None:
    chart = chart_of(song_file, 10.0)
    chart.hit_objects = []
    text = render(song_page(heard_song(song_file, chart)))
    assert "No hit was found." in text and "0 hits" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def press(browser: Browser, key: str) -> None:
    """A key as a person presses it; it counts as the gesture that sound asks for."""
    text = {"text": key} if len(key) == 1 else {}
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)


# What is handed to the sound card: (length of the sound, when, from where) of every start.
RECORD = """(() => {
  window.started = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when, offset) {
    started.push([this.buffer.duration, when, offset]);
    return start.call(this, when, offset);
  };
})()"""
UNTIL_PLAYING = """new Promise((done) => {
  const runs = () => document.querySelector(".play").textContent.includes("Pause");
  const wait = () => started.length && runs() ? done(started) : setTimeout(wait, 20);
  wait();
})"""


def test_it_is_silent_offline_and_fits_a_phone(browser: Browser, page: Path) -> None:
    seen = browser.open(page.as_uri())
    assert seen.messages == []
    assert all(re.match("(file|data):", address) for address in seen.addresses)
    assert browser.run("document.querySelectorAll('img').length") == 0
    browser.show(PHONE_PX)
    assert browser.run("document.documentElement.scrollWidth") == PHONE_PX
    browser.show()
    aligned = browser.run("""(() => {
      const top = (row) => Math.round(row.getBoundingClientRect().top);
      const [names, lanes] = [".lane-name", ".lane"].map((what) => [...document.querySelectorAll(what)]);
      return [names.length, names.every((name, i) => top(name) === top(lanes[i]))];
    })()""")
    assert aligned == [4, True]


def test_every_hit_is_clicked_in_time_with_the_song(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.run(RECORD)
    press(browser, "End")
    press(browser, "Home")
    press(browser, " ")
    started = browser.run(UNTIL_PLAYING)
    (length, began, offset), clicks = started[0], started[1:]
    assert length == pytest.approx(10.0, abs=0.001) and offset == 0
    assert sorted(round(when - began, 3) for _, when, _ in clicks) == sorted(time for time, _, _ in HITS)
    press(browser, " ")
    assert "Play" in browser.run("document.querySelector('.play').textContent")
    assert browser._seen().messages == []


def test_from_the_middle_only_what_is_left_is_clicked(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.run(RECORD)
    for _ in range(3):
        press(browser, "ArrowRight")
    assert browser.run("document.querySelector('.clock').textContent").startswith("0:06.0")
    press(browser, " ")
    started = browser.run(UNTIL_PLAYING)
    (_, began, offset), clicks = started[0], started[1:]
    assert offset == 6.0
    assert sorted(round(6 + when - began, 3) for _, when, _ in clicks) == sorted(
        t for t, _, _ in HITS if t >= 6
    )
    press(browser, " ")


def test_classes_are_switched_and_the_view_zooms_and_seeks(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    press(browser, "2")
    assert browser.run(
        "[...document.querySelectorAll('.lane-name input[type=checkbox]')].map((box) => box.checked)"
    ) == [True, False, True, True]
    assert browser.run("document.querySelectorAll('.lane')[1].classList.contains('off')")
    press(browser, "m")
    assert browser.run("document.querySelector('.song-on').checked") is False
    width = "document.querySelector('.sheet').clientWidth"
    for _ in range(2):
        press(browser, "+")
    assert browser.run(width) == 2560
    browser.run("""(() => {
      const sheet = document.querySelector(".sheet");
      const clientX = sheet.getBoundingClientRect().left + 640;
      sheet.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX }));
    })()""")
    assert browser.run("document.querySelector('.clock').textContent").startswith("0:02.5")
    for _ in range(9):
        press(browser, "-")
    assert browser.run(
        "document.querySelector('.sheet').clientWidth === document.querySelector('.scroll').clientWidth"
    )
    assert browser.run("document.querySelector('.out').disabled")


def test_the_browser_decodes_the_sound_without_delay(browser: Browser, page: Path, song: HeardSong) -> None:
    browser.open(page.as_uri())
    packed = browser.run("""(async () => {
      const address = document.querySelector(".listening audio").src;
      const raw = Uint8Array.from(atob(address.split(",")[1]), (letter) => letter.charCodeAt(0));
      const buffer = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(raw.buffer);
      const words = new Int16Array(buffer.getChannelData(0).map((value) => 32767 * value));
      const bytes = new Uint8Array(words.buffer);
      let text = "";
      for (const byte of bytes) text += String.fromCharCode(byte);
      return btoa(text);
    })()""")
    decoded = np.frombuffer(base64.b64decode(packed), "<i2") / 32767
    assert abs(decoded.size - song.audio.size) <= 64
    size = min(decoded.size, song.audio.size)
    spectrum = np.fft.rfft(decoded[:size], 2 * size) * np.conj(np.fft.rfft(song.audio[:size], 2 * size))
    delay = int(np.argmax(np.fft.irfft(spectrum)))
    # A tenth of a millisecond.
    assert min(delay, 2 * size - delay) <= 4
