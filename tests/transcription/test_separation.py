"""Drums out of a mix: against a planted separator with the interface of demucs 4.1, and without demucs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile

from beatsight.audio.io import save
from beatsight.charts import Chart, Timing, audio_ref, build_chart
from beatsight.charts.chart import GenerationMetadata
from beatsight.errors import InputError, MissingDependencyError
from beatsight.files import sha256_file
from beatsight.transcription.separation import about_song, drum_stem, load_separator, separated

torch = pytest.importorskip("torch")
RATE = 44_100


class PlantedSeparator:
    """Says that half of the signal is drums; remembers what it was asked."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(
        self, model: str = "htdemucs", repo: Path | None = None, device: str = "cpu", shifts: int = 1
    ) -> None:
        self.made.append({"model": model, "device": device, "shifts": shifts})
        self.model = SimpleNamespace(sources=["drums", "bass", "other", "vocals"])
        self.samplerate = RATE

    def separate_tensor(self, wav: Any, sr: int | None = None) -> tuple[Any, dict[str, Any]]:
        assert wav.ndim == 2 and wav.shape[0] == 2 and wav.dtype == torch.float32 and sr is None
        return wav, {name: wav * (0.5 if name == "drums" else 0.1) for name in self.model.sources}


@pytest.fixture
def demucs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package, api = ModuleType("demucs"), ModuleType("demucs.api")
    package.__path__ = []
    package.api, api.Separator = api, PlantedSeparator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "demucs", package)
    monkeypatch.setitem(sys.modules, "demucs.api", api)
    PlantedSeparator.made = []
    return api


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    path = tmp_path / "my song.wav"
    save(path, np.random.default_rng(1).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32))
    return path


def test_the_drums_are_the_ones_the_separator_gives(demucs: ModuleType, mix: Path) -> None:
    separator = load_separator("cpu")
    assert PlantedSeparator.made == [{"model": "hf://htdemucs", "device": "cpu", "shifts": 0}]
    stem, rate = drum_stem(mix, separator)
    whole, _ = soundfile.read(mix, dtype="float32")
    assert rate == RATE and stem.dtype == np.float32
    assert np.array_equal(stem, 0.5 * whole.T)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_become_two(demucs: ModuleType, tmp_path: Path, channels: int) -> None:
    audio = np.random.default_rng(2).uniform(-0.5, 0.5, (channels, 22_050)).astype(np.float32)
    save(tmp_path / "odd.wav", audio, 22_050)
    stem, rate = drum_stem(tmp_path / "odd.wav", load_separator("cpu"))
    assert stem.shape == (2, RATE) and rate == RATE
    assert np.array_equal(stem[0], stem[1]) and np.abs(stem).max() > 0.05


def test_a_stem_is_kept_or_gone(demucs: ModuleType, mix: Path, tmp_path: Path) -> None:
    separator = load_separator("cpu")
    with separated(mix, separator) as file:
        assert file.stem == "my song" and soundfile.info(file).channels == 2
    assert not file.exists() and not file.parent.exists()
    kept = tmp_path / "stems" / "drums.flac"
    with separated(mix, separator, kept) as file:
        assert file == kept
    assert soundfile.info(kept).frames == RATE


def chart_of(path: Path) -> Chart:
    return build_chart(
        [(0.5, "kick", 0.5)], title=path.stem, artist="", timing=Timing(bpm=120.0), difficulty=1.0,
        audio=audio_ref(path, duration_s=1.0, sample_rate=RATE),
        generation=GenerationMetadata(model_version="beatsight 1, test"),
    )  # fmt: skip


def test_the_chart_is_about_the_song(demucs: ModuleType, mix: Path, tmp_path: Path) -> None:
    kept = tmp_path / "drums.wav"
    with separated(mix, load_separator("cpu"), kept) as file:
        chart = about_song(chart_of(file), mix, kept)
    plain = chart_of(mix)
    assert chart.audio is not None and plain.audio is not None
    assert (chart.audio.filename, chart.audio.hash) == ("my song.wav", plain.audio.hash)
    assert chart.audio.drum_stem == "drums.wav"
    assert chart.audio.drum_stem_hash == f"sha256:{sha256_file(kept)}"
    assert chart.metadata.title == "my song" and chart.metadata.beatmap_id == plain.metadata.beatmap_id
    assert chart.editor is not None and chart.editor.generation is not None
    assert chart.editor.generation.model_version == "beatsight 1, test, on the drums of htdemucs"
    unkept = about_song(chart_of(mix), mix)
    assert unkept.audio is not None and unkept.audio.drum_stem is None


def test_without_demucs_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "demucs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    with pytest.raises(
        MissingDependencyError, match=r"^demucs is not installed; run: pip install 'beatsight\[demucs\]'$"
    ):
        load_separator()


class Hidden:
    """Finds no demucs, whether it is installed or not."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] == "demucs":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_an_old_demucs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("demucs")
    old.__path__ = []
    monkeypatch.setitem(sys.modules, "demucs", old)
    monkeypatch.delitem(sys.modules, "demucs.api", raising=False)
    with pytest.raises(
        MissingDependencyError, match=r"^demucs is older than 4\.1; run: pip install --upgrade"
    ):
        load_separator()


def test_weights_that_cannot_be_fetched(demucs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("no route to the hub\nmore")

    monkeypatch.setattr(demucs, "Separator", refuse)
    with pytest.raises(
        InputError, match=r"^htdemucs: the weights .* cannot be fetched: no route to the hub$"
    ):
        load_separator("cpu")


def test_importing_it_needs_neither_torch_nor_demucs() -> None:
    program = "import sys, beatsight.transcription.separation; print({'torch', 'demucs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
