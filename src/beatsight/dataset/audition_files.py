"""What an audition leaves on disk: WAV files of every version that can be heard, and one offline page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from beatsight.audio.features import FeatureConfig
from beatsight.audio.io import save
from beatsight.dataset.audition import BEFORE, SEEN_ONLY, TOGETHER, Audition, Version
from beatsight.dataset.augment import AugmentConfig
from beatsight.report.clips import Clip, Clips, Sight, clip_picture
from beatsight.report.page import Notes, Page, Section, write_page
from beatsight.report.sound import clip_wav, levelled
from beatsight.report.text import plural

PAGE = "audition.html"


def write_audition(
    auditions: Sequence[Audition],
    folder: str | os.PathLike[str],
    config: AugmentConfig,
    features: FeatureConfig,
) -> list[Path]:
    """Write ``row-<row>-<version>.wav`` files and the page; return their paths, the page first.

    Raises:
        InputError: a file cannot be written.
    """
    root = Path(folder)
    paths = [root / PAGE]
    for heard in auditions:
        for version in heard.versions:
            if version.sound is not None:
                paths.append(root / f"row-{heard.row}-{version.name}.wav")
                save(paths[-1], levelled(version.sound), features.sample_rate)
    write_page(audition_page(auditions, config, features), paths[0])
    return paths


def audition_page(auditions: Sequence[Audition], config: AugmentConfig, features: FeatureConfig) -> Page:
    """The page: a section for each moment, a card for each of its versions."""
    names = ", ".join(SEEN_ONLY)
    return Page(
        title="Augmentation, heard and seen",
        subtitle=f"{plural(len(auditions), 'training clip')}, before and after",
        sections=[_section(heard, config, features) for heard in auditions],
        notes=_notes(names),
    )


def _notes(names: str) -> Notes:
    return Notes(
        (
            f"Effects without a player ({names}) are made on the mel power, where no sound is left: the "
            "picture is what the network gets. In “all”, the player has the other effects only.",
            "Each effect alone is drawn for certain, from the range of the settings; “all” uses their "
            "probabilities, as training does.",
            "Sounds are brought to one level, which the network does not see either.",
        )
    )


def _section(heard: Audition, config: AugmentConfig, features: FeatureConfig) -> Section:
    labels = " + ".join(heard.versions[0].labels) or "no drum"
    return Section(
        f"{labels}, row {heard.row}",
        [Clips([_card(heard.row, version, config, features) for version in heard.versions])],
        f"{heard.audio_file} at {heard.onset_s:.3f} s, session {heard.session}",
        anchor=f"row-{heard.row}",
    )


def _card(row: int, version: Version, config: AugmentConfig, features: FeatureConfig) -> Clip:
    share = (features.pre_frames + 0.5) / features.frames
    seconds = features.clip_samples / features.sample_rate
    wav = None if version.sound is None else clip_wav(version.sound, features.sample_rate, seconds)
    picture = clip_picture(version.features, share, f"Log-mel clip of row {row}, {version.name}")
    lines = [words_of(version.name, config), f"labels: {' + '.join(version.labels) or 'none'}"]
    if version.name != BEFORE and not version.changed:
        lines.append("drawn without effect on this clip")
    return Clip(version.name, lines, Sight(wav, picture))


def words_of(effect: str, config: AugmentConfig) -> str:
    """What an effect does, with its range and probability in these settings.

    >>> words_of("noise", AugmentConfig())
    'white noise at -70 to -35 dB; probability 0.3'
    """
    c = config

    def span(values: tuple[float, float], unit: str) -> str:
        return f"{values[0]:g} to {values[1]:g} {unit}".rstrip()

    words = {
        BEFORE: "the bare clip",
        TOGETHER: "every effect by its probability, as in training",
        "jitter": f"the cut moved by up to {c.jitter_ms:g} ms; always",
        "mix": f"other hits at the same moment, {span(c.mix_gain_db, 'dB')}; {c.mix_isolated:g} on average "
        f"for one-shots, {c.mix:g} for others",
        "neighbour": f"one-shots shortly before or after, {span(c.neighbour_gain_db, 'dB')}; "
        f"{c.neighbour_isolated:g} on average for one-shots, {c.neighbour:g} for others",
        "background": f"a recording below, {span(c.background_gain_db, 'dB')}; probability {c.background:g}",
        "saturation": f"soft limiter, drive {span(c.saturation_drive, '')}; probability {c.saturation:g}",
        "noise": f"white noise at {span(c.noise_db, 'dB')}; probability {c.noise:g}",
        "codec": f"Ogg Vorbis and back, whole batches; probability {c.codec:g}",
        "stretch": f"up to {c.stretch_share:.0%} longer or shorter; probability {c.stretch:g}",
        "pitch": f"up to {c.pitch_semitones:g} semitones, cymbals 2 %; probability {c.pitch:g}",
        "room": f"a decay of {span(c.room_decay_s, 's')} at {span(c.room_level_db, 'dB')}; probability "
        f"{c.room:g}",
        "equaliser": f"a random response of {c.equaliser_db:g} dB deviation; probability {c.equaliser:g}",
    }
    return words[effect]
