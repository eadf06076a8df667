"""Readiness as JUnit XML, which GitHub, GitLab and Jenkins show among their tests.

One ``testsuite`` a part, one ``testcase`` a gate. A failed gate is a ``failure``, a gate that could not be
checked an ``error``; parts that were not run or not configured are ``skipped``. A part that judged nothing
fails in a case named ``judged``, since it counts as not passed. There are no times or host names: the same
report gives the same bytes. Format: the schema of Jenkins' xunit plugin (junit-10.xsd).
"""

from __future__ import annotations

import os
import re
from xml.etree import ElementTree as ET

from beatsight.files import write_bytes
from beatsight.gates.readiness import Part, ReadinessReport
from beatsight.report.outcome import NOT_CONFIGURED, NOT_JUDGED, NOT_RUN, shortfall

_SUITES = "beatsight readiness"
# What XML 1.0 cannot hold, not even escaped: control characters, lone surrogates, two non-characters.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"


def junit_xml(report: ReadinessReport) -> bytes:
    """The report as a UTF-8 XML document."""
    root = ET.Element("testsuites", name=_SUITES)
    for part in report.parts:
        root.append(_suite(part))
    for name in report.not_configured:
        suite = ET.SubElement(root, "testsuite", name=_clean(name))
        _skip(suite, name, "configured", NOT_CONFIGURED)
        _count(suite)
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def write_junit(report: ReadinessReport, path: str | os.PathLike[str]) -> None:
    """Write :func:`junit_xml` aside and rename it.

    Raises:
        InputError: the file cannot be written.
    """
    write_bytes(path, junit_xml(report))


def _suite(part: Part) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(part.name))
    for result in part.report.gating_results if part.report else ():
        case = _case(suite, part.name, result.gate)
        if not result.passed:
            _mark(case, "failure", shortfall(result))
    if part.status == "error":
        _mark(_case(suite, part.name, "run"), "error", part.error)
    elif part.status == "not_judged":
        _mark(_case(suite, part.name, "judged"), "failure", NOT_JUDGED)
    elif part.status == "not_run":
        _skip(suite, part.name, "run", NOT_RUN)
    _count(suite)
    return suite


def _case(suite: ET.Element, part: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"readiness.{_clean(part)}", name=_clean(name))


def _mark(case: ET.Element, kind: str, text: str) -> None:
    ET.SubElement(case, kind, message=_clean(text), type=kind).text = _clean(text)


def _skip(suite: ET.Element, part: str, name: str, text: str) -> None:
    ET.SubElement(_case(suite, part, name), "skipped", message=text)


def _count(suite: ET.Element) -> None:
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(kind) is not None for case in cases)))


def _clean(text: str) -> str:
    return _NOT_XML.sub(_REPLACEMENT, text)
