"""The page of gate ``openset``: ROC curve, scores of both groups, the samples nearest to the wrong side."""

from __future__ import annotations

from collections.abc import Sequence

from beatsight.gates.openset import OpensetReport
from beatsight.gates.openset.records import ScoredSample
from beatsight.metrics import TPR_TARGET
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Group, Reference, Series, histogram, xy_chart
from beatsight.report.text import number, plural

# The page's table of the curve; the JSON report holds every point that is drawn.
_ROC_ROWS = 40


def story(report: OpensetReport) -> Story:
    """What the page tells below the verdict."""
    return Story(
        title="Open-set rejection",
        question="Are sounds that the model does not know told from those it knows?",
        facts=_facts(report),
        sections=[
            Section("Known against unknown", [SideBySide([_roc(report), _histogram(report)])]),
            Section(
                "Nearest to the wrong side",
                [
                    SideBySide(
                        [
                            _hardest("Unknown samples that look most known", report, report.hardest_unknown),
                            _hardest("Known samples that look least known", report, report.hardest_known),
                        ]
                    )
                ],
                "Listen to these first: a wrong truth shows here too.",
            ),
            Section("How it was measured", [Text(text) for text in _method(report)]),
        ],
    )


def _facts(report: OpensetReport) -> Facts:
    share = report.known / (report.known + report.unknown)
    return Facts(
        (
            Fact("AUROC", number(report.auroc, 4), "0.5 is chance"),
            Fact("FPR at 95 % TPR", number(report.fpr_at_95_tpr, 4), "unknown let through"),
            Fact("AUPRC", number(report.auprc, 4), f"known positive; {share:.2f} is chance"),
            Fact("AUPRC", number(report.auprc_unknown, 4), f"unknown positive; {1 - share:.2f} is chance"),
            Fact("samples", number(report.known + report.unknown), _groups(report)),
        )
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _groups(report: OpensetReport) -> str:
    return f"{report.known:,} known, {report.unknown:,} unknown"


def _roc(report: OpensetReport) -> Figure:
    limit = next(r.threshold for r in report.gating_results if r.gate == "fpr_at_95_tpr")
    curve = Series("ROC curve", [p.fpr for p in report.roc], [p.tpr for p in report.roc])
    name = f"operating point, FPR {report.fpr_at_95_tpr:.3f}"
    point = Series(name, [report.fpr_at_95_tpr], [report.tpr_at_threshold], dots=True)
    drawn = xy_chart(
        "ROC curve: share of known samples accepted over share of unknown samples accepted",
        [curve, point],
        "unknown samples accepted (false-positive rate)",
        "known samples accepted (true-positive rate)",
        x_limits=(0.0, 1.0),
        y_limits=(0.0, 1.0),
        diagonal=True,
        references=[
            Reference(TPR_TARGET, f"{_percent(TPR_TARGET)} of the known"),
            Reference(limit, f"gate {limit:g}", axis="x"),
        ],
    )
    caption = (
        f"At {report.accepts}, {_percent(report.tpr_at_threshold)} of the known and "
        f"{_percent(report.fpr_at_95_tpr)} of the unknown samples are accepted. The diagonal is chance."
    )
    columns = [Column("threshold", 4), Column("unknown accepted", 4), Column("known accepted", 4)]
    step = -(-len(report.roc) // _ROC_ROWS)
    rows = [(p.threshold, p.fpr, p.tpr) for p in (*report.roc[:-1:step], report.roc[-1])]
    which = "" if step == 1 else f" Every {step}th is listed; the JSON report holds them all."
    return Figure(drawn, caption, Table(columns, rows, f"Points of the curve.{which}"))


def _histogram(report: OpensetReport) -> Figure:
    bins = report.histogram
    groups = [("known", bins.known, report.known), ("unknown", bins.unknown, report.unknown)]
    drawn = histogram(
        f"{report.score_name} of known and unknown samples",
        bins.edges,
        [Group(name, [100 * count / total for count in counts]) for name, counts, total in groups],
        _axis(report),
        "share of its group in %",
        references=[Reference(report.threshold, "operating point", axis="x")],
    )
    columns = [Column("from", 4), Column("to", 4), Column("known"), Column("unknown")]
    rows = list(zip(bins.edges, bins.edges[1:], bins.known, bins.unknown, strict=False))
    return Figure(drawn, f"{_groups(report)}; each group adds up to 100 %.", Table(columns, rows))


def _axis(report: OpensetReport) -> str:
    return f"{report.score_name} ({'high: unknown' if report.score == 'given' else 'high: known'})"


def _hardest(caption: str, report: OpensetReport, samples: Sequence[ScoredSample]) -> Table:
    columns = [Column("sample"), Column(report.score_name, 4)]
    return Table(columns, [(sample.sample_id, sample.score) for sample in samples], caption)


def _method(report: OpensetReport) -> list[str]:
    return [
        f"Score: {report.score_text}. The positive class is known; samples of equal score stand or fall "
        "together, so nothing depends on the order of the files.",
        "FPR at 95 % TPR is read at the first threshold, coming from the strictest, that accepts at least "
        f"{_percent(TPR_TARGET)} of the known samples ({report.accepts}), without interpolation. AUPRC is "
        f"average precision. The ROC curve is drawn through {plural(len(report.roc), 'point')}: "
        f"{report.roc_text}.",
    ]
