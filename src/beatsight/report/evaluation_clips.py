"""Sections of an evaluation's page to listen to: the hardest mistakes, and labels that look wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beatsight.report.clips import Clip, Clips, Sight
from beatsight.report.evaluation_data import EvaluationReport, LabelIssue, LabelIssues, Mistake, Pair
from beatsight.report.page import Column, Section, Table, Text
from beatsight.report.text import UNKNOWN, number, plural

_HOW_TO_READ = (
    "The picture is what the network got: log-mel, low notes at the bottom, faded away from the onset (white "
    "line). Every sound was brought to the same level."
)


def mistakes_section(report: EvaluationReport, sights: Mapping[int, Sight]) -> Section:
    """The mistakes with the largest loss, grouped by what was heard as what."""
    title = "Hardest mistakes"
    shown = sorted(
        (pair for pair in report.mistake_pairs if pair.hardest), key=lambda pair: -pair.hardest[0].loss
    )
    if not shown:
        return Section(title, [Text("There is no mistake in this split.")], anchor="mistakes")
    count = sum(len(pair.hardest) for pair in shown)
    return Section(
        title,
        [_pair_section(pair, sights) for pair in shown],
        f"{count} of {plural(report.mistakes, 'mistake')}, those that the model is surest of, missed hits "
        "and false ones by turns, four of a kind at most. Some are the label's fault and not the model's. "
        f"{_HOW_TO_READ}",
        anchor="mistakes",
    )


def _pair_section(pair: Pair, sights: Mapping[int, Sight]) -> Section:
    cards = [
        Clip(_scores(mistake), _lines(mistake.session_id, mistake.audio_path, mistake.onset_time,
             f"given {_named(mistake.given)}; heard {_named(mistake.found)}"), sights[mistake.row])
        for mistake in pair.hardest
    ]  # fmt: skip
    times = "once" if pair.count == 1 else f"{pair.count:,} times"
    return Section(f"{_title(pair)}: {times}", [Clips(cards)])


def _title(pair: Pair) -> str:
    if pair.heard is None:
        return f"{pair.true} missed"
    return f"{pair.heard} where there is none" if pair.true is None else f"{pair.true} heard as {pair.heard}"


def _scores(mistake: Mistake) -> str:
    said = [
        f"{label} {number(score, 2)}"
        for label, score in ((mistake.true, mistake.true_score), (mistake.heard, mistake.heard_score))
        if label is not None
    ]
    return f"Scores: {', '.join(said)}"


def _named(labels: Sequence[str]) -> str:
    return " + ".join(labels) if labels else "nothing"


def _lines(session: str, file: str, onset_s: float, words: str) -> list[str]:
    return [words, f"{file} at {onset_s:.3f} s", f"session {session}"]


def issues_section(issues: LabelIssues, split: str, sights: Mapping[int, Sight]) -> Section:
    """Labels that look wrong, the worst first."""
    title, anchor = "Likely label errors", "label-issues"
    classes = f"Searched: {', '.join(issues.classes)}."
    caution = (
        " The model was trained on these very labels, so it has learnt their faults as well: search a split "
        "that it has not seen."
        if split == "train"
        else ""
    )
    if not issues.listed:
        return Section(
            title, [], f"None among {plural(issues.searched, 'moment')}. {classes}{caution}", anchor
        )
    cards = [
        Clip(
            _doubt(issue),
            _lines(issue.session_id, issue.audio_path, issue.onset_time, _quality(issue)),
            sights[issue.row],
        )
        for issue in issues.worst
    ]
    rows = [_row(issue) for issue in issues.worst]
    columns = [
        Column("given"), Column("suggested"), Column("quality", 3), Column("file"), Column("time (s)", 3),
        Column("row"),
    ]  # fmt: skip
    intro = (
        f"Counted as wrongly labelled: {plural(issues.found, 'moment')} of {issues.searched:,}, where the "
        f"model disagrees although it is usually right. Shown: {len(cards)} of the {issues.listed:,} in "
        "label_issues.jsonl, the worst first. Listen before you believe: the weaker the model, the fewer of "
        "them are wrong. "
        f"{classes}{caution} {_HOW_TO_READ}"
    )
    return Section(title, [Clips(cards), Table(columns, rows)], intro, anchor)


def _quality(issue: LabelIssue) -> str:
    return f"label quality {issue.score:.3f}" + (", counted as wrong" if issue.flagged else "")


def _doubt(issue: LabelIssue) -> str:
    """What may be wrong, as a question."""
    without = [f"no {label}" for label in issue.given if label not in issue.suggested]
    more = [label for label in issue.suggested if label not in issue.given]
    return f"{_named(issue.given)}: {' and '.join([*without, *more])}?"


def _row(issue: LabelIssue) -> tuple[str | float, ...]:
    return (
        _named(issue.given), " + ".join(issue.suggested) or UNKNOWN, issue.score, issue.audio_path,
        issue.onset_time, str(issue.row),
    )  # fmt: skip
