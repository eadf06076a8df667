"""Techniques inferred from a manifest's events and written into them, by the rules of ``technique_rules``.

Two readings: the first finds, over all rows, who shows what (four bytes a row are kept), the second writes
the rows anew. What an event already lists stays; a line to which nothing is added is written as it was,
byte for byte.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight.errors import InputError
from beatsight.manifest.engine.blocks import Block, Rows
from beatsight.manifest.engine.rewrite import Progress, check_format, rewrite
from beatsight.manifest.engine.table import open_table
from beatsight.manifest.technique_rules import TECHNIQUES
from beatsight.manifest.technique_search import COMPONENTS, FIELDS, search


class _Listed(msgspec.Struct, gc=False):
    techniques: list[str] | msgspec.UnsetType | None = msgspec.UNSET


_LISTED = msgspec.json.Decoder(_Listed)
# Values stay the text they are: numbers too large for a machine, and how a number was written.
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MASK = np.dtype("<u4")


@dataclass
class TechniquesReport:
    """What :func:`annotate_techniques` found, and what it added or would add.

    Attributes:
        events: events in the manifest.
        negatives: negative examples among them, which say nothing.
        changed_events: events that got a technique they did not list.
        found: events that show each technique; all that can be inferred are there, also with 0.
        added: of those, the events that did not list it yet.
        unknown_labels: how often each label occurs that the taxonomy does not know; they are passed over.
    """

    events: int = 0
    negatives: int = 0
    changed_events: int = 0
    found: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    unknown_labels: dict[str, int] = field(default_factory=dict)


def technique_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[bytes], Any]:
    """Line task: add the techniques of ``block.extra`` (a mask a row) to the lines."""
    masks = np.frombuffer(block.extra, _MASK)
    if len(masks) != len(rows.lines):
        raise InputError(f"{block.path}: was changed by another program while it was read")
    lines = list(rows.lines)
    added: Counter[str] = Counter()
    changed = 0
    names: dict[int, frozenset[str]] = {}
    for index in np.flatnonzero(masks).tolist():
        mask = int(masks[index])
        if mask not in names:
            names[mask] = frozenset(name for bit, name in enumerate(TECHNIQUES) if mask >> bit & 1)
        listed = _LISTED.decode(lines[index]).techniques
        if new := names[mask].difference(listed or ()):
            lines[index] = _with(
                lines[index], sorted({*(listed or ()), *new}), there=listed is not msgspec.UNSET
            )
            added.update(new)
            changed += 1
    return lines, (changed, dict(added))


def _with(line: bytes, techniques: list[str], there: bool) -> bytes:
    """The line with this list of techniques, in place of the one there or as its last key."""
    value = msgspec.json.encode(techniques)
    if not there:
        # Three times as fast as taking the object apart, and most events list none.
        return line.rstrip().removesuffix(b"}") + b', "techniques": ' + value + b"}"
    event = _OBJECT.decode(line)
    event["techniques"] = msgspec.Raw(value)
    return msgspec.json.encode(event)


def annotate_techniques(
    events: str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
    *,
    progress: Progress | None = None,
) -> TechniquesReport:
    """Add to every event the techniques that the manifest shows it to be.

    Args:
        events: a manifest.
        output: where to write it, the same file allowed; None only counts (a dry run).
        progress: called with (bytes read, bytes in all); the manifest is read twice.

    Raises:
        InputError: the manifest is faulty or empty, or the output cannot be written.
        UsageError: the output's suffix is unknown.
    """
    if output is not None:
        check_format(output)
    with open_table([events], FIELDS, COMPONENTS, progress=_half(progress, 0)) as table:
        if not table.count:
            raise InputError(f"{Path(events)}: holds no events")
        masks, unknown = search(table)
        bases = table.block_bases
        ((negatives,),) = table.all("SELECT count(*) FROM rows WHERE negative_example")
    report = TechniquesReport(len(masks), negatives, unknown_labels=unknown)
    report.found = {name: int(np.count_nonzero(masks & (1 << bit))) for bit, name in enumerate(TECHNIQUES)}
    added: Counter[str] = Counter()

    def of_block(block: Block) -> bytes:
        first, last = bases[block.number : block.number + 2] if block.number + 1 < len(bases) else (0, 0)
        return masks[first:last].astype(_MASK).tobytes()

    for _, (changed, new), _ in rewrite(
        [events],
        output,
        f"{__name__}:technique_lines",
        extra=of_block,
        rows=len(masks),
        progress=_half(progress, 1),
    ):
        report.changed_events += changed
        added.update(new)
    report.added = {name: added[name] for name in TECHNIQUES}
    return report


def _half(progress: Progress | None, number: int) -> Progress | None:
    """Progress of the first or second of two equal readings."""
    if progress is None:
        return None
    update: Callable[[int, int], None] = progress
    return lambda done, total: update(done + number * total, 2 * total)
