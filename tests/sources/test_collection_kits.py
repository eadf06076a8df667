"""Sample kits as recordings, and the counts of what a collection holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.sources import Collection, Hit, Origin

RATE = 44_100


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Two kicks, a snare, a damaged tom and a sound that is no drum; the kick starts at 0.1 s."""
    folder = tmp_path / "My Kit"
    decay = np.exp(-np.arange(RATE // 2) / 3000)
    for seed, name in enumerate(("kick_01", "kick_02", "snare_01", "whistle_01")):
        burst = decay * np.random.default_rng(seed).uniform(-0.5, 0.5, len(decay))
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{name}.wav", np.r_[np.zeros(RATE // 10), burst], RATE)
    (folder / "tom_low_01.wav").write_text("broken", encoding="utf-8")
    return folder


def test_a_kit_becomes_one_session_of_recordings(collection: Collection, kit: Path) -> None:
    steps: list[tuple[int, int]] = []
    result = collection.add_kit(kit, progress=lambda done, total: steps.append((done, total)))
    assert (result.added, result.already_there) == (3, 0)
    assert len(result.skipped) == 1 and "tom_low_01.wav" in result.skipped[0]
    assert len(result.left_out) == 1 and "whistle_01.wav" in result.left_out[0]
    assert steps == [(n, 4) for n in range(1, 5)]
    events = collection.events()
    assert sorted(event.labels[0] for event in events) == ["kick", "kick", "snare"]
    assert {(event.session_id, event.kit_id, event.source_set) for event in events} == {
        ("My Kit", "My Kit", "kit")
    }
    for event in events:
        # Noise may take a sample or two to reach a tenth of its peak.
        assert event.onset_time == pytest.approx(0.1, abs=0.001)
        stored, rate = soundfile.read(collection.root / str(event.audio_path))
        original, _ = soundfile.read(event.metadata_ref["original_path"])
        assert rate == RATE
        np.testing.assert_allclose(stored, original, atol=2 / 32768)
    assert collection.add_kit(kit).already_there == 3


def test_a_mix_past_full_scale_is_turned_down_and_says_by_how_much(
    collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "Loud"
    folder.mkdir()
    decay = 2.0 * np.exp(-np.arange(RATE // 4) / 2000)
    soundfile.write(folder / "kick.wav", decay, RATE, subtype="FLOAT")
    collection.add_kit(folder)
    (event,) = collection.events()
    stored, _ = soundfile.read(collection.root / str(event.audio_path))
    assert np.abs(stored).max() == pytest.approx(0.989, abs=1e-4)
    gain = 10 ** (event.processing_chain["gain_db"] / 20)
    np.testing.assert_allclose(stored, decay * gain, atol=1e-4)


def test_real_kits_keep_licence_and_microphones(collection: Collection, shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "kits" / "gogodze2"
    folder = tmp_path / "gogodze2"
    for file in [*source.glob("*/ks_vl1_rr1.*"), *source.glob("*/hf_vl3_rr1.*")]:
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    result = collection.add_kit(folder)
    assert (result.added, result.skipped) == (2, ())
    by_label = {event.labels[0]: event for event in collection.events()}
    assert set(by_label) == {"kick", "hihat_pedal"}
    # Layer 1 of 6 and layer 3 of 3: the middles of 0..21 and 85..127 (the kit's sfz).
    assert by_label["kick"].components[0].velocity == pytest.approx(10.5 / 127, abs=0.01)
    assert by_label["hihat_pedal"].components[0].velocity == pytest.approx(106 / 127, abs=0.01)
    assert by_label["kick"].processing_chain["microphones"] == ["kick", "oh"]
    assert by_label["hihat_pedal"].processing_chain["microphones"] == ["oh"]
    assert by_label["hihat_pedal"].mix_context == "overheads"
    for event in by_label.values():
        assert event.metadata_ref["licence"].startswith("CC0")
        assert "Karoryfer" in event.metadata_ref["attribution"]


def test_counts_against_the_recommended_ones(collection: Collection, song: Path) -> None:
    labels = ["kick"] * 3 + ["cross_stick", "rimshot", "ride", "ride_edge", "ride_bell", "tambourine"]
    hits = [Hit(song, 0.1 + 0.1 * n, label) for n, label in enumerate(labels)]
    collection.add_many([*hits, Hit(song, 0.1, "crash2", origin=Origin(kit="k", drummer="d", room="r"))])
    stats = collection.stats()
    counts = {part.label: part.count for part in stats.components if part.count}
    assert counts == {"kick": 3, "snare": 2, "ride": 2, "ride_bell": 1, "crash2": 1}
    assert stats.other == {"tambourine": 1}
    assert (stats.hits, stats.moments, stats.sessions) == (10, 9, 1)
    assert (stats.kits, stats.drummers, stats.rooms) == (1, 1, 1)
    limits = {part.label: (part.minimum, part.recommended) for part in stats.components}
    assert limits["hihat_closed"] == (150, 750) and limits["china"] == (100, None)
    assert stats.short["kick"] == 97 and stats.short["crash"] == 75
    kick = stats.components[0]
    assert (kick.label, kick.short_of_recommended) == ("kick", 497)


def test_an_empty_collection_counts_nothing(collection: Collection) -> None:
    stats = collection.stats()
    assert (stats.hits, stats.hours, len(stats.short)) == (0, 0.0, 12)
