"""JUnit XML: each bound a test case, for pipelines that show nothing else.

pass → passed · fail → failure · inconclusive → error, or skipped where the run was cut short and
the bound could not be judged. One more case, `run`, stands for the run itself.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from drills.report import words
from drills.verdict import BoundResult, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CUT_SHORT = ("aborted", "interrupted")


def render(verdict: Verdict) -> str:
    """The document as text, the same for the same verdict."""
    suite = ET.Element("testsuite", name=_xml(verdict.drill))
    kinds = [_bound(suite, verdict, result) for result in verdict.bounds]
    kinds.append(_run(suite, verdict))
    suite.set("tests", str(len(kinds)))
    suite.set("failures", str(kinds.count("failure")))
    suite.set("errors", str(kinds.count("error")))
    suite.set("skipped", str(kinds.count("skipped")))
    suite.set("time", f"{verdict.seconds:.3f}")
    suite.set("timestamp", _xml(verdict.started))
    properties = ET.Element("properties")
    for name in ("run", "stack", "pool", "verdict"):
        ET.SubElement(properties, "property", name=name, value=_xml(getattr(verdict, name)))
    suite.insert(0, properties)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, "unicode") + "\n"


def _bound(suite: ET.Element, verdict: Verdict, result: BoundResult) -> str:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_xml(f"drill.{verdict.drill}"),
        name=_xml(words.place(result)),
        time="0",
    )
    if result.verdict == "pass":
        return "passed"
    if result.verdict == "fail":
        kind = "failure"
    else:
        kind = "skipped" if verdict.verdict in _CUT_SHORT else "error"
    said = f"observed {words.observed(result)}, limit {words.limit(result)}: {result.detail}"
    child = ET.SubElement(case, kind, message=_xml(said))
    if kind != "skipped":
        child.set("type", result.verdict)
        child.text = _xml(said)
    return kind


def _run(suite: ET.Element, verdict: Verdict) -> str:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_xml(f"drill.{verdict.drill}"),
        name="run",
        time=f"{verdict.seconds:.3f}",
    )
    if not verdict.reason:
        return "passed"
    ET.SubElement(case, "error", message=_xml(verdict.reason), type=verdict.verdict)
    return "error"


def _xml(text: str) -> str:
    """`text` without the characters that XML can't hold even when escaped."""
    return _NOT_XML.sub("?", text)
