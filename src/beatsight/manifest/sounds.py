"""The recordings that manifests name: which there are, and what the rows say of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from beatsight.errors import InputError
from beatsight.files import inside
from beatsight.manifest.near_duplicates import AudioItem, NearDuplicates, find_near_duplicates
from beatsight.manifest.rewrite import refuse_empty
from beatsight.manifest.table import open_table
from beatsight.manifest.verify import AudioUse, Problem, check_audio, read_provenance

Progress = Callable[[int, int], None]


def near_duplicates(
    events: Sequence[str | os.PathLike[str]],
    audio_root: str | os.PathLike[str] | None = None,
    *,
    sessions: Mapping[str, str | None] | None = None,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Compare every recording that some manifests name with every other.

    Args:
        events: manifests of any format.
        audio_root: folder that audio paths start from; default: that of the first manifest.
        sessions: split of each session (:func:`beatsight.manifest.split.read_split`).
        progress: called with (files or pairs done, in all).

    Raises:
        InputError: a manifest is faulty, empty or names no audio.
        MissingDependencyError: scikit-learn is not installed.
    """
    root = Path(audio_root) if audio_root is not None else Path(events[0]).parent
    with open_table(events, ["audio_path", "session_id"]) as table:
        refuse_empty(table.count, *events)
        named = table.all(
            """SELECT audio_path, min(session_id) FROM rows WHERE audio_path IS NOT NULL AND audio_path <> ''
            GROUP BY audio_path ORDER BY min(row)"""
        )
    if not named:
        raise InputError(f"{', '.join(map(str, events))}: no event names an audio file")
    outside: dict[str, str] = {}
    items = []
    for name, session in named:
        try:
            items.append(AudioItem(inside(root, name), name, session, (sessions or {}).get(session)))
        except InputError as error:
            outside[name] = str(error)
    found = find_near_duplicates(items, progress=progress)
    return NearDuplicates(found.pairs, outside | found.skipped, found.compared)


def verify(
    events: str | os.PathLike[str],
    audio_root: str | os.PathLike[str] | None = None,
    *,
    deep: bool = False,
    progress: Progress | None = None,
) -> tuple[int, list[Problem]]:
    """Check that a manifest's audio is there, unchanged, and as long as its rows say.

    Args:
        events: a manifest of any format; hashes are compared where ``<events>.provenance.json`` lies beside
            it.
        audio_root: folder that audio paths start from; default: that of the manifest.
        deep: decode every file to its end and compare hashes, rather than read its header.
        progress: called with (files done, files in all).

    Returns:
        The number of recordings, and what is wrong with them.

    Raises:
        InputError: the manifest or its provenance is faulty, or there are no events.
    """
    root = Path(audio_root) if audio_root is not None else Path(events).parent
    columns = ["audio_path", "onset_time", "sample_rate", "channels"]
    with open_table([events], columns) as table:
        refuse_empty(table.count, events)
        # Rows of one file that claim several sample rates or channel counts: the least is looked at too.
        uses = [
            AudioUse(*row)
            for row in table.all(
                """WITH named AS (
                    SELECT audio_path, count(*) AS events, min(row) + 1 AS first, max(onset_time) AS onset,
                        arg_max(row, onset_time) + 1 AS last, max(sample_rate) AS rate, min(sample_rate) AS
                        rate2, max(channels) AS channels, min(channels) AS channels2
                    FROM rows WHERE audio_path IS NOT NULL GROUP BY audio_path)
                SELECT audio_path, events, first, onset, last, rate, channels FROM named
                UNION ALL
                SELECT audio_path, events, first, onset, last, rate2, channels2 FROM named
                WHERE rate <> rate2 OR channels <> channels2
                ORDER BY first"""
            )
        ]
    provenance = read_provenance(events)
    hashes = provenance.hashes if provenance else None
    problems = list(dict.fromkeys(check_audio(uses, root, hashes, deep=deep, progress=progress)))
    return len({use.audio_path for use in uses}), problems
