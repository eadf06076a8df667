"""Small trees in the true layout of each public set, made of planted hits.

``TREES`` maps the name of a source to a builder: it fills a folder below ``tmp_path`` and returns it. Every
tree holds at least two items that can be read, one hit whose name no label fits (``UNKNOWN``), and one
annotation without its recording. The recordings are 50 ms of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import mido
import numpy as np
import soundfile

TICKS = 480
# The one hit of each tree that no label fits, as the report names it.
UNKNOWN = {
    "mdb_drums": "GONG",
    "enst_drums": "gong",
    "idmt_smt_drums": "TT",
    "groove_midi": "note 3",
    "egmd": "note 3",
    "slakh2100": "note 3",
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def silence(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(2205), 44_100)
    return path


def midi(
    path: Path,
    hits: Iterable[tuple[float, int, int]],
    *,
    bpm: float = 120.0,
    meter: tuple[int, int] = (4, 4),
    pedal: Iterable[tuple[float, int]] = (),
    channel: int = 9,
) -> Path:
    """Write hits (beats from the start in quarters, key, velocity) and pedal values (quarters, value)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    events = [(round(at * TICKS), 0, mido.Message("control_change", channel=channel, control=4, value=value))
              for at, value in pedal]  # fmt: skip
    events += [
        (round(at * TICKS), 1, mido.Message("note_on", channel=channel, note=note, velocity=velocity))
        for at, note, velocity in hits
    ]
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)),
            mido.MetaMessage("time_signature", numerator=meter[0], denominator=meter[1]),
        ]
    )
    last = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - last))
        last = tick
    song = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    song.tracks.append(track)
    song.save(path)
    return path


def mdb_drums(tmp_path: Path) -> Path:
    """Two tracks; the first has beats (4/4, 120 bpm, from 0.5 s), the second neither beats nor audio."""
    root = tmp_path / "mdb"
    annotations = root / "annotations"
    rows = "0.490000 \t KD \n0.491000 \t CHH \n1.000000 \t SDG \n1.500000 \t SDF \n2.510000 \t RDB \n"
    write(annotations / "subclass" / "MusicDelta_A_subclass.txt", rows + "2.600000 \t GONG \n")
    classes = "0.490000 \t KD \n0.491000 \t HH \n1.000000 \t SD \n1.500000 \t SD \n2.510000 \t CY \n"
    write(annotations / "class" / "MusicDelta_A_class.txt", classes + "2.600000 \t GONG \n")
    beats = "".join(f"{0.5 + 0.5 * beat:.3f}\t{beat % 4 + 1}\n" for beat in range(6))
    write(annotations / "beats" / "MusicDelta_A_MIX.beats", beats)
    silence(root / "audio" / "drum_only" / "MusicDelta_A_Drum.wav")
    silence(root / "audio" / "full_mix" / "MusicDelta_A_MIX.wav")
    write(annotations / "subclass" / "MusicDelta_B_subclass.txt", "0.1 LFT\n0.2 SDNS\n0.3 SDB\n0.4 TMB\n")
    write(annotations / "class" / "MusicDelta_B_class.txt", "0.1 TT\n0.2 SD\n0.3 SD\n0.4 OT\n")
    return root


def enst_drums(tmp_path: Path) -> Path:
    """Two drummers; the second's take has no recording."""
    root = tmp_path / "enst"
    first = root / "drummer_1"
    write(first / "annotation" / "001_hits_snare-drum_sticks_x6.txt", "0.10 sd\n1.20 sd-\n2.30 rs\n")
    silence(first / "audio" / "wet_mix" / "001_hits_snare-drum_sticks_x6.wav")
    silence(first / "audio" / "overhead_L" / "001_hits_snare-drum_sticks_x6.wav")
    take = "0.500 bd\n0.501 cr2\n1.000 ohh\n1.500 ltr\n2.000 rc3\n2.500 gong\n"
    write(first / "annotation" / "162_MIDI-minus-one_fusion-125_sticks.txt", take)
    silence(first / "audio" / "wet_mix" / "162_MIDI-minus-one_fusion-125_sticks.wav")
    mallets = "0.25 bd\n0.75 lft\n1.25 sweep\n1.75 sticks\n2.25 c4\n"
    write(root / "drummer_2" / "annotation" / "049_phrase_afro_simple_medium_mallets.txt", mallets)
    return root


def idmt_xml(events: Iterable[tuple[str, str]]) -> str:
    """The annotation of a loop from onsets and instruments."""
    rows = "".join(
        f"<event>\n<pitch>36</pitch>\n<onsetSec>{onset}</onsetSec>\n<offsetSec>9</offsetSec>\n"
        f"<instrument>{instrument}</instrument>\n</event>\n"
        for onset, instrument in events
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<instrumentRecording>\n'
        "<globalParameter>\n<audioFileName>loop.wav</audioFileName>\n<instrument>DRUM</instrument>\n"
        f"</globalParameter>\n<transcription>\n{rows}</transcription>\n</instrumentRecording>\n"
    )


def idmt_smt_drums(tmp_path: Path) -> Path:
    """A loop of an acoustic kit, and one of samples with its stems but without its mix."""
    root = tmp_path / "idmt"
    real = [("-0.0021", "KD"), ("0.0005", "HH"), ("0.5", "SD"), ("1.0", "TT")]
    write(root / "annotation_xml" / "RealDrum01_00#MIX.xml", idmt_xml(real))
    silence(root / "audio" / "RealDrum01_00#MIX.wav")
    silence(root / "audio" / "RealDrum01_00#HH#train.wav")
    wave = [("1e-3", "KD"), ("0.001", "HH"), ("0.4", "SD"), ("0.8", "HH")]
    write(root / "annotation_xml" / "WaveDrum02_07#MIX.xml", idmt_xml(wave))
    for instrument in ("HH", "KD"):
        silence(root / "audio" / f"WaveDrum02_07#{instrument}.wav")
    return root


GROOVE_HEADER = (
    "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split"
)
EGMD_HEADER = (
    "drummer,session,id,style,bpm,beat_type,time_signature,"
    "duration,split,midi_filename,audio_filename,kit_name"
)


def groove_midi(tmp_path: Path) -> Path:
    """A beat in 4/4 at 80 bpm with the hi-hat's pedal, and a fill in 6/8 without its recording."""
    root = tmp_path / "groove"
    beat, fill = "drummer1/session1/1_funk_80_beat_4-4", "drummer7/session2/9_jazz-funk_120_fill_6-8"
    rows = [
        GROOVE_HEADER,
        f"drummer1,drummer1/session1,drummer1/session1/1,funk,80,beat,4-4,{beat}.mid,{beat}.wav,4.5,train",
        f"drummer7,drummer7/session2,drummer7/session2/9,jazz/funk,120,fill,6-8,{fill}.mid,{fill}.wav,2,validation",
    ]
    write(root / "info.csv", "\n".join(rows) + "\n")
    hits = [(0, 36, 127), (0, 42, 64), (1, 40, 100), (5.5, 26, 32), (5.5, 55, 90), (6, 3, 50)]
    midi(root / f"{beat}.mid", hits, bpm=80, pedal=[(0, 90), (5.5, 45)])
    silence(root / f"{beat}.wav")
    midi(root / f"{fill}.mid", [(0, 38, 10), (3.5, 43, 20)], meter=(6, 8))
    return root


def egmd(tmp_path: Path) -> Path:
    """One take on two kits, the second without its recording."""
    root = tmp_path / "e-gmd"
    rows = [EGMD_HEADER]
    for number, kit in ((1, "Acoustic Kit"), (2, "Heavy Metal")):
        take = f"drummer1/session1/1_funk_80_beat_4-4_{number}"
        rows.append(
            f"drummer1,drummer1/session1,drummer1/session1/1,funk,80,beat,4-4,"
            f"4.5,test,{take}.midi,{take}.wav,{kit}"
        )
        midi(
            root / f"{take}.midi", [(0, 36, 127), (1, 38, 64), *([(2, 3, 9)] if number == 1 else [])], bpm=80
        )
    silence(root / "drummer1/session1/1_funk_80_beat_4-4_1.wav")
    write(root / "e-gmd-v1.0.0.csv", "\n".join(rows) + "\n")
    return root


def stem_yaml(name: str, *, is_drum: bool, plugin: str = "upright_bass.nkm", rendered: bool = True) -> str:
    """One stem of a Slakh song's metadata."""
    return (
        f"  {name}:\n    audio_rendered: {str(rendered).lower()}\n"
        f"    inst_class: {'Drums' if is_drum else 'Bass'}\n"
        f"    integrated_loudness: -13.1\n    is_drum: {str(is_drum).lower()}\n    midi_program_name: Drums\n"
        f"    midi_saved: true\n    plugin_name: {plugin}\n    program_num: {128 if is_drum else 33}\n"
    )


def slakh2100(tmp_path: Path) -> Path:
    """A song with two drum stems and one that was not rendered, and a song without recordings."""
    root = tmp_path / "slakh2100_flac_redux"
    head = "UUID: 1a81ae092884234f3264e2f45927f00a\naudio_dir: stems\nmidi_dir: MIDI\nstems:\n"
    song = root / "train" / "Track00001"
    stems = [
        stem_yaml("S00", is_drum=False),
        stem_yaml("S01", is_drum=True, plugin="funk_kit.nkm"),
        stem_yaml("S02", is_drum=True, plugin="pop_kit.nkm"),
        stem_yaml("S03", is_drum=True, plugin="pop_kit.nkm", rendered=False),
    ]
    write(song / "metadata.yaml", head + "".join(stems))
    midi(song / "MIDI" / "S01.mid", [(0, 36, 127), (1, 38, 100), (1.5, 3, 20)])
    midi(song / "MIDI" / "S02.mid", [(0, 49, 90), (2, 54, 80)], channel=0)
    midi(song / "MIDI" / "S03.mid", [(0, 56, 90), (1, 56, 90)])
    for name in ("mix", "stems/S00", "stems/S01", "stems/S02"):
        silence(song / f"{name}.flac")
    other = root / "validation" / "Track01501"
    write(
        other / "metadata.yaml", "UUID: 0b\nstems:\n" + stem_yaml("S05", is_drum=True, plugin="pop_kit.nkm")
    )
    midi(other / "MIDI" / "S05.mid", [(0, 42, 60)])
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "mdb_drums": mdb_drums,
    "enst_drums": enst_drums,
    "idmt_smt_drums": idmt_smt_drums,
    "groove_midi": groove_midi,
    "egmd": egmd,
    "slakh2100": slakh2100,
}
