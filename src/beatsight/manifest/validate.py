"""Every fault of some manifests, and remarks on what is no fault but worth a look.

A fault is what every other operation stops at: a value that the format forbids, a line that is no JSON, a
file that is cut short. Here all of them are told, each with its file, line and field. Remarks are ids that
occur more than once, and labels and techniques by names that nobody knows.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.events.files import PARQUET
from beatsight.manifest.engine.blocks import Block, file_blocks, is_parquet
from beatsight.manifest.engine.columns import scan
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rewrite import Progress, check_format, output_pieces
from beatsight.manifest.engine.table import Table, connect, work_folder
from beatsight.manifest.faults import FAULTS_LISTED
from beatsight.taxonomy import ALIASES, load_techniques

# So many repeated ids and unknown names are listed.
NAMES_LISTED = 100
# How alike (difflib ratio) a known label must be to be suggested; the taxonomy's own measure.
_ALIKE = 0.5
# So many different unknown names are counted one by one: a file of nothing but nonsense must not fill the
# memory.
_NAMES_COUNTED = 10_000


@dataclass(frozen=True)
class Fault:
    """One fault: the file, the line or Parquet row (from 1; None for the whole file), the field, and why.

    The field is empty where the fault is the whole line's.
    """

    file: str
    line: int | None
    field: str
    why: str

    def __str__(self) -> str:
        place = "" if self.line is None else f":row {self.line}" if is_parquet(self.file) else f":{self.line}"
        return ": ".join(part for part in (self.file + place, self.field, self.why) if part)


@dataclass(frozen=True)
class UnknownName:
    """A label or technique that nobody knows: how often it occurs, and the nearest known one, if one is
    near."""

    name: str
    count: int
    nearest: str | None = None


@dataclass(frozen=True)
class RepeatedId:
    """A sample_id that occurs more than once, how often, and the file and line of the first."""

    sample_id: str
    count: int
    file: str
    line: int


@dataclass
class ValidateReport:
    """What :func:`validate` found.

    Attributes:
        files: good rows of each file.
        rows, good_rows, faulty_rows: of all files.
        faults: all faults; a row may have several.
        listed: the first :data:`FAULTS_LISTED` of them, in file order.
        repeated_ids: how many different sample_ids the good rows have more than once.
        repeated_listed: the first :data:`NAMES_LISTED` of them.
        unknown_labels, unknown_techniques: the most frequent :data:`NAMES_LISTED` of each.
    """

    files: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    good_rows: int = 0
    faulty_rows: int = 0
    faults: int = 0
    listed: list[Fault] = field(default_factory=list)
    repeated_ids: int = 0
    repeated_listed: list[RepeatedId] = field(default_factory=list)
    unknown_labels: list[UnknownName] = field(default_factory=list)
    unknown_techniques: list[UnknownName] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether there are no faults; remarks do not count."""
        return not self.faults

    def add(self, fault: Fault) -> None:
        """Count a fault, and list it while there is room."""
        self.faults += 1
        if len(self.listed) < FAULTS_LISTED:
            self.listed.append(fault)


def _count(totals: Counter[str], some: Mapping[str, int]) -> None:
    for name, count in some.items():
        if name in totals or len(totals) < _NAMES_COUNTED:
            totals[name] += count


def _unknown(totals: Counter[str], known: Mapping[str, str]) -> list[UnknownName]:
    """The most frequent names, equal counts by name; ``known`` has what every known name stands for."""
    found = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:NAMES_LISTED]
    unknown = []
    for name, count in found:
        near = difflib.get_close_matches("_".join(name.lower().split()), known, n=1, cutoff=_ALIKE)
        unknown.append(UnknownName(name, count, known[near[0]] if near else None))
    return unknown


def _find_repeated(table: Table, places: dict[int, tuple[str, int]], report: ValidateReport) -> None:
    """Ids that occur more than once; ``places`` has the file of each block and the lines before it."""
    # Hashes first: a table of all ids would be many times as large.
    table.query(
        """CREATE TABLE repeated AS
        SELECT sample_id, count(*) AS n, min(struct_pack(block, line)) AS head
        FROM ids
        WHERE hash(sample_id) IN (
            SELECT h FROM (SELECT hash(sample_id) AS h FROM ids) GROUP BY h HAVING count(*) > 1)
        GROUP BY sample_id HAVING count(*) > 1"""
    )
    report.repeated_ids = table.all("SELECT count(*) FROM repeated")[0][0]
    for sample, count, block, line in table.all(
        f"SELECT sample_id, n, head.block, head.line FROM repeated ORDER BY head LIMIT {NAMES_LISTED}"
    ):
        file, before = places[block]
        report.repeated_listed.append(RepeatedId(sample, count, file, before + line))


class _Run:
    """One validation: what has been found, and where rows go."""

    def __init__(self, params: dict[str, Any], size: int, progress: Progress | None) -> None:
        self.report = ValidateReport()
        self.params, self.size, self.progress = params, size, progress
        self.good: Callable[[bytes], Any] | None = None
        self.bad: Callable[[bytes], Any] | None = None
        self.places: dict[int, tuple[str, int]] = {}
        self.labels: Counter[str] = Counter()
        self.techniques: Counter[str] = Counter()
        self.done = 0

    def file(self, path: Path) -> None:
        """Check one file; a fault of the file itself is a fault like others."""
        name, rows = str(path), 0
        damage: list[str] = []
        self.report.files[name] = 0
        blocks = _blocks(path, len(self.places), damage)
        for block, result, before in _checked(blocks, self.params, damage):
            first = block.stop if is_parquet(path) else before
            self.places[block.number] = (name, first)
            self._take(name, first, result)
            rows += result["good"] + result["bad"]
            self.done += block.size
            if self.progress:
                self.progress(min(self.done, self.size), self.size)
        if damage:
            # A block may have noted its ids and not come to its turn.
            for shard in Path(self.params["folder"]).iterdir():
                if int(shard.stem) not in self.places:
                    shard.unlink()
        if damage or not rows:
            self._damaged(name, damage[0] if damage else "holds no events")

    def _damaged(self, name: str, why: str) -> None:
        fault = Fault(name, None, "", why.removeprefix(name).lstrip(": "))
        if self.good or self.bad:
            # What could be read of a file is not the file; the old outputs stay.
            raise InputError(f"{fault}; nothing was written")
        self.report.add(fault)

    def _take(self, name: str, before: int, result: Mapping[str, Any]) -> None:
        report = self.report
        for line, where, why in result["faults"]:
            report.add(Fault(name, before + line, where, why))
        report.faults += result["count"] - len(result["faults"])
        report.rows += result["good"] + result["bad"]
        report.good_rows += result["good"]
        report.faulty_rows += result["bad"]
        report.files[name] += result["good"]
        _count(self.labels, result["labels"])
        _count(self.techniques, result["techniques"])
        if self.good:
            self.good(result["good_piece"])
        if self.bad:
            self.bad(result["bad_piece"])


def _checked(
    blocks: Iterator[Block], params: Mapping[str, Any], damage: list[str]
) -> Iterator[tuple[Block, Any, int]]:
    """The blocks with what is found in them, up to one that cannot be read."""
    try:
        yield from run_blocks("beatsight.manifest.faults:check_lines", blocks, params)
    except InputError as error:
        damage.append(str(error))


def _blocks(path: Path, base: int, damage: list[str]) -> Iterator[Block]:
    """The blocks of a file, numbered from ``base``, up to where it is damaged, so that all before it is
    told."""
    try:
        for block in file_blocks([path]):
            yield msgspec.structs.replace(block, number=base + block.number)
    except InputError as error:
        damage.append(str(error))


def validate(
    paths: Sequence[str | os.PathLike[str]],
    *,
    output: str | os.PathLike[str] | None = None,
    rejects: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ValidateReport:
    """Find every fault of some manifests; nothing is raised for a fault.

    Args:
        paths: manifests of any format.
        output: where to write the good rows of all files, in any format; may be one of the files if there are
            ``rejects``.
        rejects: where to write the bad rows, byte for byte (JSON lines, ``.gz`` or ``.zst``; a Parquet row as
            the line it stands for).
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: an output cannot be written; or one was asked for, and a file is missing, damaged or
            empty.
        UsageError: no files, a file given twice, outputs of one name, or an unknown suffix.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "events.jsonl"
    ...     _ = path.write_text('{"sample_id": "a", "session_id": "s", "components": [{"label": "kick"}]}')
    ...     report = validate([path])
    >>> report.faulty_rows, report.listed[0].line, report.listed[0].field, report.listed[0].why
    (1, 1, 'onset_time', 'is missing')
    """
    files = [Path(path) for path in paths]
    _check_arguments(files, output, rejects)
    size = sum(path.stat().st_size for path in files if path.is_file())
    with work_folder() as folder, connect(folder) as db, ExitStack() as stack:
        shards = folder / "ids"
        shards.mkdir()
        suffix = Path(output).suffix.lower() if output is not None else ""
        rejects_suffix = Path(rejects).suffix.lower() if rejects is not None else ""
        run = _Run({"folder": str(shards), "suffix": suffix, "rejects": rejects_suffix}, size, progress)
        writes = stack.enter_context(output_pieces(*(path for path in (output, rejects) if path is not None)))
        run.good = writes[0] if output is not None else None
        run.bad = writes[-1] if rejects is not None else None
        for path in files:
            run.file(path)
        report = run.report
        techniques = {name: one.id for one in load_techniques().values() for name in (one.id, *one.aliases)}
        report.unknown_labels = _unknown(run.labels, ALIASES)
        report.unknown_techniques = _unknown(run.techniques, techniques)
        if run.places:
            db.execute(f"CREATE VIEW ids AS FROM {scan(shards, '*.parquet')}")
            _find_repeated(Table(db, report.good_rows, (), [], folder), run.places, report)
    return report


def _check_arguments(
    files: list[Path], output: str | os.PathLike[str] | None, rejects: str | os.PathLike[str] | None
) -> None:
    if not files:
        raise UsageError("validate needs at least one file")
    real = [os.path.realpath(path) for path in files]
    if twice := next((path for path, name in zip(files, real, strict=True) if real.count(name) > 1), None):
        raise UsageError(f"{twice}: is given twice")
    if output is not None:
        check_format(output)
        if rejects is None and os.path.realpath(output) in real:
            raise UsageError(f"{output}: to write onto an input, say with --rejects where its faulty rows go")
    if rejects is not None:
        check_format(rejects)
        if is_parquet(rejects):
            raise UsageError(f"{rejects}: faulty rows are kept as lines, so its name cannot end in {PARQUET}")
        if os.path.realpath(rejects) in [*real, os.path.realpath(output or ".")]:
            raise UsageError(f"{rejects}: is an input or the other output")
