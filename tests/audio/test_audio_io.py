"""Decoding: equal to soundfile and soxr, streamed or not; damaged files are named, one sentence each."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE, find_audio, load, load_channels, probe, resample, save, stream
from beatsight.errors import InputError


def sound(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    shape = frames if channels == 1 else (frames, channels)
    return 0.2 * np.random.default_rng(seed).standard_normal(shape).clip(-4, 4)


def reference(path: Path, rate: int = SAMPLE_RATE) -> np.ndarray:
    """What soundfile and soxr make of the file in one go."""
    data, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = data.mean(axis=1, dtype=np.float32)
    return mono if file_rate == rate else soxr.resample(mono, file_rate, rate, "HQ")


FORMATS = [
    ("a.wav", "PCM_U8"),
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_32"),
    ("a.wav", "FLOAT"),
    ("a.wav", "DOUBLE"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
    ("a.ogg", "VORBIS"),
    ("a.mp3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("name", "subtype"), FORMATS)
@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
def test_every_format_equals_soundfile_and_soxr(tmp_path: Path, name: str, subtype: str, rate: int) -> None:
    path = tmp_path / name
    soundfile.write(path, sound(20_000, 2), rate, subtype=subtype)
    np.testing.assert_allclose(load(path), reference(path), atol=1e-6)


@pytest.mark.parametrize("channels", range(1, 7))
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.wav"
    data = sound(3_000, channels).reshape(3_000, channels)
    soundfile.write(path, data, SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(load(path), data.mean(axis=1), atol=1e-6)
    each, rate = load_channels(path)
    assert (each.shape, rate) == ((channels, 3_000), SAMPLE_RATE)
    np.testing.assert_array_equal(each, data.T.astype(np.float32))


@pytest.mark.parametrize("rate", [8_000, 11_025, 37_001, 44_101, 96_000, 192_000])
def test_odd_rates(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(rate // 4), rate)
    audio = load(path)
    assert len(audio) == pytest.approx(SAMPLE_RATE / 4, abs=2)
    np.testing.assert_allclose(audio, reference(path), atol=1e-6)


def test_resampling_keeps_a_tone_and_its_time(tmp_path: Path) -> None:
    t = np.arange(48_000) / 48_000
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1000 * t), 48_000, subtype="FLOAT")
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    np.testing.assert_allclose(load(path)[2000:-2000], expected[2000:-2000], atol=1e-3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.integers(1, 4_000),
    rate=st.sampled_from([8_000, 44_100, 48_000, 37_001]),
    channels=st.integers(1, 3),
    block_s=st.floats(1e-6, 0.2),
)
def test_stream_joined_is_load_bit_for_bit(
    tmp_path: Path, frames: int, rate: int, channels: int, block_s: float
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(frames, channels, seed=frames), rate, subtype="FLOAT")
    # Blocks of one sample are slow; a few hundred of them prove as much as thousands.
    block_s = max(block_s, frames / rate / 300)
    np.testing.assert_array_equal(np.concatenate(list(stream(path, block_s=block_s))), load(path))


def test_a_block_shorter_than_one_sample_reads_sample_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(50), SAMPLE_RATE)
    np.testing.assert_array_equal(np.concatenate(list(stream(path, block_s=1e-9))), load(path))


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_compressed_files_stream_as_they_load(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, sound(30_000, 2), 48_000)
    np.testing.assert_array_equal(np.concatenate(list(stream(path, block_s=0.037))), load(path))


def test_memory_of_a_long_stream_is_that_of_a_block(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    minutes = 120
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        block = sound(60 * 8_000)
        for _ in range(minutes):
            file.write(block)
    tracemalloc.start()
    try:
        frames = sum(len(block) for block in stream(path, sample_rate=8_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert frames == minutes * 60 * 8_000
    assert peak < 4e6  # the whole would be 230 MB


def test_probe(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(4_800, 3), 48_000)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames, info.duration_s) == (48_000, 3, 4_800, 0.1)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_save_round_trip_to_16_bits(tmp_path: Path, name: str) -> None:
    audio = sound(1_000).astype(np.float32)
    save(tmp_path / name, audio)
    np.testing.assert_allclose(load(tmp_path / name), audio, atol=1 / 32768)
    save(tmp_path / name, np.stack([audio, -audio]))
    assert load_channels(tmp_path / name)[0].shape == (2, 1_000)


def test_save_float_is_exact_and_clips_beyond_full_scale(tmp_path: Path) -> None:
    audio = np.array([0.1, -3.0, 2.0, 0.25], np.float32)
    save(tmp_path / "a.wav", audio, subtype="FLOAT")
    assert load(tmp_path / "a.wav").tolist() == [np.float32(0.1), -1.0, 1.0, 0.25]


def test_save_writes_ogg_whatever_the_case_of_its_suffix(tmp_path: Path) -> None:
    save(tmp_path / "a.OGG", sound(5_000))
    assert probe(tmp_path / "a.OGG").format == "OGG"


def test_minutes_of_ogg_are_written(tmp_path: Path) -> None:
    # Given all at once, the encoder of libsndfile brought the whole process down.
    save(tmp_path / "a.ogg", np.zeros(180 * 44_100, np.float32))
    assert probe(tmp_path / "a.ogg").duration_s == pytest.approx(180.0)


def test_save_to_an_unknown_format_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.xyz: cannot be written as audio"):
        save(tmp_path / "a.xyz", sound(10))
    assert list(tmp_path.iterdir()) == []


def test_resample_two_channels_equals_one_by_one() -> None:
    data = sound(4_000, 2).T.astype(np.float32)
    both = resample(data, 48_000, 44_100)
    for channel in (0, 1):
        np.testing.assert_array_equal(both[channel], resample(data[channel], 48_000, 44_100))
    assert resample(data, 44_100, 44_100) is data


def test_paths_with_spaces_and_other_scripts(tmp_path: Path) -> None:
    path = tmp_path / "Señor Drüm 太鼓" / "take 1.wav"
    path.parent.mkdir()
    soundfile.write(path, sound(100), SAMPLE_RATE)
    assert len(load(path)) == 100
    assert find_audio(tmp_path) == [path]


def test_find_audio_is_sorted_and_only_audio(tmp_path: Path) -> None:
    for name in ("b.wav", "a.FLAC", "notes.txt", "sub/c.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_audio(tmp_path)] == ["a.FLAC", "b.wav", "c.mp3"]


def damaged(folder: Path) -> dict[str, Path]:
    """One file of each kind of damage."""
    paths = {
        name: folder / f"{name}.wav" for name in ("empty", "text", "zero", "nan", "inf", "cut", "header")
    }
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("this is no sound")
    soundfile.write(paths["zero"], np.zeros(0), SAMPLE_RATE)
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        audio = sound(1_000)
        audio[441] = value
        soundfile.write(paths[name], audio, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(paths["cut"], sound(10_000), SAMPLE_RATE)
    whole = paths["cut"].read_bytes()
    paths["cut"].write_bytes(whole[: len(whole) // 2])
    paths["header"].write_bytes(whole[:20])
    paths["flac"] = folder / "half.flac"
    soundfile.write(paths["flac"], sound(10_000), SAMPLE_RATE)
    paths["flac"].write_bytes(paths["flac"].read_bytes()[:9_000])
    paths["raw"] = folder / "bare.raw"
    paths["raw"].write_bytes(bytes(100))
    paths["missing"] = folder / "not here.wav"
    paths["folder"] = folder / "folder.wav"
    paths["folder"].mkdir()
    return paths


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("empty", "is an empty file, not audio"),
        ("text", "cannot be decoded as audio"),
        ("zero", "holds no audio samples"),
        ("nan", r"sample 441 \(0\.010 s\) is not a finite number"),
        ("inf", r"sample 441 \(0\.010 s\) is not a finite number"),
        ("cut", r"is cut short: \d+ of 20000 bytes"),
        ("header", "cannot be decoded as audio"),
        ("flac", "cannot be decoded as audio|is cut short"),
        ("raw", "has no header that says its rate"),
        ("missing", "no such audio file"),
        ("folder", "no such audio file"),
    ],
)
def test_damaged_files_are_named_with_the_reason(tmp_path: Path, kind: str, why: str) -> None:
    path = damaged(tmp_path)[kind]
    for read in (load, load_channels, lambda p: list(stream(p))):
        with pytest.raises(InputError, match=why) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_a_wav_recorded_to_a_pipe_is_whole(tmp_path: Path) -> None:
    """Its header could not know the length: every size byte is set."""
    path = tmp_path / "pipe.wav"
    soundfile.write(path, sound(1_000), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = data[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    assert len(load(path)) == 1_000


def test_a_sample_that_no_sound_has_is_named(tmp_path: Path) -> None:
    audio = np.zeros(4410, np.float32)
    audio[2205] = 1e25
    soundfile.write(tmp_path / "absurd.wav", audio, 44100, subtype="FLOAT")
    with pytest.raises(
        InputError, match=r"absurd\.wav: sample 2205 \(0\.050 s\) is far louder than any sound"
    ):
        load(tmp_path / "absurd.wav")
