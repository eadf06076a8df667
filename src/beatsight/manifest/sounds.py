"""The recordings that manifests name: which there are, and what the rows say of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beatsight.errors import InputError
from beatsight.files import inside
from beatsight.manifest.engine.rewrite import refuse_empty, refuse_twice
from beatsight.manifest.engine.table import Table, open_table
from beatsight.manifest.likeness.near_duplicates import AudioItem, NearDuplicates, Pair, find_near_duplicates
from beatsight.manifest.verify import AudioUse, Problem, check_audio, read_provenance

Progress = Callable[[int, int], None]
_NAMED = "audio_path IS NOT NULL AND audio_path <> ''"


@dataclass(frozen=True)
class SoundReport(NearDuplicates):
    """Near-duplicates among the recordings of some manifests, and the rows that name no recording."""

    without_audio: int = 0


@dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` found: the recordings, the rows that name none, and what is wrong."""

    recordings: int
    without_audio: int
    problems: list[Problem]


def near_duplicates(
    events: Sequence[str | os.PathLike[str]],
    audio_root: str | os.PathLike[str] | None = None,
    *,
    sessions: Mapping[str, str | None] | None = None,
    progress: Progress | None = None,
) -> SoundReport:
    """Compare every recording that some manifests name with every other.

    One recording that sessions of two splits name is a pair with itself.

    Args:
        events: manifests of any format.
        audio_root: folder that audio paths start from; default: that of the first manifest.
        sessions: split of each session (:func:`beatsight.manifest.splitting.split_file.read_split`).
        progress: called with (files or pairs done, in all).

    Raises:
        InputError: a manifest is faulty, empty or names no audio; a session that the split does not name.
        UsageError: a manifest is given twice.
        MissingDependencyError: scikit-learn is not installed.
    """
    refuse_twice(events)
    root = Path(audio_root) if audio_root is not None else Path(events[0]).parent
    with open_table(events, ["audio_path", "session_id"]) as table:
        refuse_empty(table.count, *events)
        # The sessions of a recording in the order in which they name it.
        named: dict[str, list[str]] = {}
        for name, session in table.all(
            f"SELECT audio_path, session_id FROM rows WHERE {_NAMED} GROUP BY ALL ORDER BY min(row)"
        ):
            named.setdefault(name, []).append(session)
        without = _without_audio(table)
    if not named:
        raise InputError(f"{', '.join(map(str, events))}: no event names an audio file")
    splits = _splits(named, sessions)
    outside: dict[str, str] = {}
    items = []
    for name, (session, *_) in named.items():
        try:
            items.append(AudioItem(inside(root, name), name, session, next(iter(splits[name]), None)))
        except InputError as error:
            outside[name] = str(error)
    found = find_near_duplicates(items, progress=progress)
    shared = tuple(
        Pair(item.name, item.name, 1.0, 0.0, 0.0, "same audio", across_splits=True, same_session=False)
        for item in items
        if len(splits[item.name]) > 1
    )
    return SoundReport(shared + found.pairs, outside | found.skipped, found.compared, without)


def _splits(
    named: Mapping[str, Sequence[str]], sessions: Mapping[str, str | None] | None
) -> dict[str, list[str]]:
    """The splits that each recording stands in, in the order of its sessions."""
    if sessions is None:
        return {name: [] for name in named}
    unknown = sorted({session for those in named.values() for session in those} - sessions.keys())
    if unknown:
        raise InputError(f"the split has no word of {len(unknown)} of the sessions, such as {unknown[0]!r}")
    return {
        name: list(dict.fromkeys(side for session in those if (side := sessions[session]) is not None))
        for name, those in named.items()
    }


def _without_audio(table: Table) -> int:
    ((count,),) = table.all("SELECT count(*) FROM rows WHERE audio_path IS NULL OR audio_path = ''")
    return count


def verify(
    events: str | os.PathLike[str],
    audio_root: str | os.PathLike[str] | None = None,
    *,
    deep: bool = False,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check that a manifest's audio is there, unchanged, and as long as its rows say.

    Args:
        events: a manifest of any format; hashes are compared where ``<events>.provenance.json`` lies beside
            it.
        audio_root: folder that audio paths start from; default: that of the manifest.
        deep: decode every file to its end and compare hashes, rather than read its header.
        progress: called with (files done, files in all).

    Raises:
        InputError: the manifest or its provenance is faulty, there are no events, or none names any audio.
    """
    root = Path(audio_root) if audio_root is not None else Path(events).parent
    columns = ["audio_path", "onset_time", "sample_rate", "channels"]
    with open_table([events], columns) as table:
        refuse_empty(table.count, events)
        # Rows of one file that claim several sample rates or channel counts: the least is looked at too.
        uses = [
            AudioUse(*row)
            for row in table.all(
                f"""WITH named AS (
                    SELECT audio_path, count(*) AS events, min(row) + 1 AS first, max(onset_time) AS onset,
                        -max(struct_pack(onset := onset_time, row := -row)).row + 1 AS last,
                        max(sample_rate) AS rate, min(sample_rate) AS rate2,
                        max(channels) AS channels, min(channels) AS channels2
                    FROM rows WHERE {_NAMED} GROUP BY audio_path)
                SELECT audio_path, events, first, onset, last, rate, channels FROM named
                UNION ALL
                SELECT audio_path, events, first, onset, last, rate2, channels2 FROM named
                WHERE rate <> rate2 OR channels <> channels2
                ORDER BY first, rate DESC, channels DESC"""
            )
        ]
        without = _without_audio(table)
    if not uses:
        raise InputError(f"{events}: no event names an audio file")
    provenance = read_provenance(events)
    hashes = provenance.hashes if provenance else None
    problems = list(dict.fromkeys(check_audio(uses, root, hashes, deep=deep, progress=progress)))
    return VerifyReport(len({use.audio_path for use in uses}), without, problems)
