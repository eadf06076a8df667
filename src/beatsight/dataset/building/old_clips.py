"""The clip folders of the older system: one audio file a hit, and lists of their labels, as events.

    train_labels.json   a list of {"file": …, "label": …}, or a dictionary {file: label}; also in train/
    val_labels.json     likewise, also in val/; test_labels.json too
    components.json     {"components": [name, …]}, needed where labels are numbers only
    train/…, val/…      the clips; a file is looked for there first, then from the top of the folder

``file`` may also be called ``audio`` or ``path``; ``label`` may be ``component``, ``labels`` (a list) or, as
a number, ``component_idx``. ``session_id`` and ``source_set`` are taken where they are given,
other keys are passed over. Classes go by name through the taxonomy; the numbers of the old system counted in
an order that differed from folder to folder.

Where a clip was written several times because several drums sounded, its copies become one example with all
labels. The old collector cut 25 ms before the onset and 100 ms after it; in a longer clip the strongest onset
is searched. The split stays the old one. Where it divides a session, both halves are named after their split,
and a note says so: the old split leaked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from beatsight.audio.io import load, probe
from beatsight.audio.onsets import detect_onsets
from beatsight.dataset.building.gather import Fault, refuse
from beatsight.dataset.splits import SPLITS
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.files import inside, read_bytes, sha256_file

_BEFORE_S, _AFTER_S = 0.025, 0.1
_FILE_KEYS = ("file", "audio", "path")
_LABEL_KEYS = ("label", "component", "labels", "component_idx")


@dataclass(frozen=True)
class OldClips:
    """What such a folder says: events, the split of each session, and remarks for the metadata."""

    events: list[Event]
    splits: dict[str, str | None]
    notes: list[str]


@dataclass
class _Clip:
    path: str
    labels: set[str]
    session: str
    source: str | None
    where: str


def labels_files(folder: Path) -> dict[str, Path]:
    """The lists of labels of a folder by split; empty where it is no old clip folder."""
    found: dict[str, Path] = {}
    for split in SPLITS:
        name = f"{split}_labels.json"
        for path in (folder / name, folder / split / name):
            if path.is_file():
                found.setdefault(split, path)
    return found


def read_old_clips(folder: Path, fault: Fault = refuse) -> OldClips:
    """Read such a folder.

    Args:
        folder: holds ``train_labels.json``.
        fault: called with a sentence for every fault; by default it is raised.

    Raises:
        InputError: no such list, or one that is not as above.
    """
    files = labels_files(folder)
    if not files:
        raise InputError(f"{folder}: is a folder without train_labels.json; give a file of events")
    names = _components(folder / "components.json")
    clips: dict[tuple[str, str], _Clip] = {}
    for split, path in files.items():
        for clip in _clips(folder, split, path, names, fault):
            _unite(clips, split, clip, folder, fault)
    notes = _shared_sounds(clips)
    splits_of: dict[str, set[str]] = defaultdict(set)
    for (split, _), clip in clips.items():
        splits_of[clip.session].add(split)
    divided = {session for session, splits in splits_of.items() if len(splits) > 1}
    if divided - {""}:
        count = len(divided - {""})
        notes.append(f"sessions on several sides of the old split: {count}, so its scores flatter")
    events, session_split = [], dict[str, str | None]()
    for (split, _), clip in clips.items():
        session = f"{clip.session} ({split})" if clip.session in divided else clip.session
        session = session if clip.session else f"{folder.resolve().name} ({split})"
        session_split[session] = split
        events.append(_event(folder, clip, session, fault))
    return OldClips(events, session_split, notes)


def _unite(clips: dict[tuple[str, str], _Clip], split: str, clip: _Clip, folder: Path, fault: Fault) -> None:
    """Add a clip, or its labels to the clip of the same sound that is there."""
    try:
        path = inside(folder, clip.path)
        probe(path)
        key = (split, sha256_file(path))
    except InputError as error:
        fault(str(error))
        return
    if key in clips:
        clips[key].labels |= clip.labels
    else:
        clips[key] = clip


def _shared_sounds(clips: dict[tuple[str, str], _Clip]) -> list[str]:
    shared = sum(count > 1 for count in Counter(digest for _, digest in clips).values())
    return [f"sounds on several sides of the old split: {shared}, so its scores flatter"] if shared else []


def _decoded(path: Path) -> Any:
    try:
        return msgspec.json.decode(read_bytes(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not JSON: {error}") from error


def _components(path: Path) -> list[Any]:
    content = _decoded(path) if path.is_file() else []
    names = content.get("components", []) if isinstance(content, dict) else content
    if not isinstance(names, list):
        raise InputError(f"{path}: components: is not a list of names")
    return names


def _clips(folder: Path, split: str, path: Path, names: list[Any], fault: Fault) -> Iterator[_Clip]:
    content = _decoded(path)
    if isinstance(content, dict):
        content = [{"file": name, "label": label} for name, label in content.items()]
    if not isinstance(content, list):
        raise InputError(f"{path}: is neither a list of clips nor a dictionary of their labels")
    for number, entry in enumerate(content, start=1):
        where = f"{path}: clip {number}"
        try:
            yield _clip(folder, split, entry, names, where)
        except InputError as error:
            fault(str(error))


def _clip(folder: Path, split: str, entry: Any, names: list[Any], where: str) -> _Clip:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: is not an object with a file and a label")
    file = next((entry[key] for key in _FILE_KEYS if key in entry), None)
    if not isinstance(file, str) or not file:
        raise InputError(f"{where}: file: is missing (or audio, or path)")
    raw = next((entry[key] for key in _LABEL_KEYS if key in entry), None)
    labels = {_label(item, names, where) for item in (raw if isinstance(raw, list) else [raw])}
    path = f"{split}/{file}" if not (folder / file).is_file() or (folder / split / file).is_file() else file
    session, source = (entry.get(key) for key in ("session_id", "source_set"))
    for key, value in (("session_id", session), ("source_set", source)):
        if value is not None and not isinstance(value, str):
            raise InputError(f"{where}: {key}: is not text")
    return _Clip(path, labels, session or "", source, where)


def _label(item: Any, names: list[Any], where: str) -> str:
    if isinstance(item, int) and not isinstance(item, bool):
        if not 0 <= item < len(names):
            raise InputError(f"{where}: label: {item} is none of the {len(names)} names in components.json")
        item = names[item]
    if not isinstance(item, str) or not item:
        raise InputError(f"{where}: label: is missing (or component, labels, component_idx)")
    return item


def _event(folder: Path, clip: _Clip, session: str, fault: Fault) -> Event:
    try:
        onset = _onset_s(inside(folder, clip.path))
    except InputError as error:
        fault(str(error))
        onset = 0.0
    return Event(
        sample_id=clip.where,
        session_id=session,
        onset_time=onset,
        components=[Component(label=label) for label in sorted(clip.labels)],
        audio_path=clip.path,
        source_set=clip.source,
    )


def _onset_s(path: Path) -> float:
    length = probe(path).duration_s
    if length <= _BEFORE_S + _AFTER_S:
        return max(0.0, length - _AFTER_S)
    found = detect_onsets(load(path))
    return float(found.times_s[found.strengths.argmax()]) if len(found.times_s) else 0.0
