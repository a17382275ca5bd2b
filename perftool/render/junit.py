"""Runs held against each other as JUnit XML, which CI servers read.

A suite for each run and metric, a case for each configuration in it. What `--fail-on-regression` fails on is
a failure; what has no verdict is skipped, with the reason.
"""

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from perftool.analysis.compared import (
    AccuracyShift,
    CommonShift,
    Compared,
    Comparison,
    ConfigurationShift,
    Lost,
    Shift,
)
from perftool.analysis.digits import times
from perftool.render.compare import figure_of
from perftool.render.numbers import plain


def junit(found: Compared, refusal: str | None = None) -> str:
    """Return the comparisons as a JUnit document; a `refusal` to judge them is an error in it."""
    root = ElementTree.Element("testsuites", name="perftool compare")
    for one in found.comparisons:
        for name, cases in _suites(one, judged=found.threshold is not None):
            suite = ElementTree.SubElement(
                root, "testsuite", name=plain(f"{one.run.id} against {one.baseline.id}: {name}")
            )
            suite.extend(cases)
    if refusal is not None:
        suite = ElementTree.SubElement(root, "testsuite", name="compared")
        case = ElementTree.SubElement(suite, "testcase", classname="perftool.compare", name="can be judged")
        ElementTree.SubElement(case, "error", message=plain(refusal))
    for suite in root:
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite)))
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def _suites(one: Comparison, *, judged: bool) -> Iterator[tuple[str, list[ElementTree.Element]]]:
    """Yield the suites of a comparison that have any case."""
    refusal = "; ".join(one.incomparable)
    measured = [_measured(one, each) for each in one.configurations]
    gone = {lost.subject for lost in one.lost}
    measured += [
        _case(one, "measured", alone.id, skipped=f"only in the baseline run: {alone.reason}")
        for alone in one.only
        if alone.run == "baseline" and alone.id not in gone
    ]
    measured += [_lost(one, lost, failed=judged) for lost in one.lost]
    suites = [("measured", measured), ("all configurations", [_common(one, common) for common in one.common])]
    suites += [
        (
            name,
            [
                _figure(one, each.id, shift, refusal)
                for each in one.configurations
                for shift in each.shifts
                if shift.metric == name
            ],
        )
        for name in one.metrics
    ]
    suites.append(("top1", [_accuracy(one, each, refusal) for each in one.accuracy]))
    return ((name, cases) for name, cases in suites if cases)


def _lost(one: Comparison, lost: Lost, *, failed: bool) -> ElementTree.Element:
    """Tell of what the run cannot be judged by: worse is a failure, and what nobody asked for is skipped."""
    told = f"{lost.what}: the baseline run could judge it, and this one cannot: {lost.reason}"
    worse = lost.worse and failed
    name = lost.subject if lost.what == "measured" else f"{lost.subject}: {lost.what}"
    return _case(one, "measured", name, failure=told if worse else None, skipped=None if worse else told)


def _measured(one: Comparison, each: ConfigurationShift) -> ElementTree.Element:
    """Tell whether a configuration was measured; one that failed is no success where nothing is a failure."""
    lost = each.failed is not None and not each.regression
    return _case(
        one,
        "measured",
        each.id,
        failure=each.failed if each.regression else None,
        skipped=f"failed: {each.failed}" if lost else None,
    )


def _common(one: Comparison, common: CommonShift) -> ElementTree.Element:
    whose = "most configurations" if common.kind == "most" else "the hint baselines"
    told = f"{common.metric} of {whose} {times(common.ratio)}"
    name = f"{common.metric} on {common.device}"
    return _case(one, "all configurations", name, failure=told if common.regression else None, out=told)


def _figure(one: Comparison, id: str, shift: Shift, refusal: str) -> ElementTree.Element:
    figures = f"{figure_of(shift.before, shift.metric)} to {figure_of(shift.now, shift.metric)} {shift.unit}"
    told = figures if shift.ratio is None else f"{figures}, ratio {times(shift.ratio)}"
    if shift.own is not None and shift.own != shift.ratio:
        told += f", {times(shift.own)} without what the control changed by"
    return _case(
        one,
        shift.metric,
        id,
        failure=told if shift.regression else None,
        skipped=refusal or shift.reason or None if shift.verdict == "not compared" else None,
        out=f"{shift.verdict}: {told}",
    )


def _accuracy(one: Comparison, each: AccuracyShift, refusal: str) -> ElementTree.Element:
    figures = " to ".join("-" if value is None else f"{value:.1f}" for value in (each.before, each.now))
    told = f"{figures} %, {each.lost} lost and {each.gained} gained of {each.images} images"
    return _case(
        one,
        "top1",
        each.variant,
        failure=told if each.regression else None,
        skipped=refusal or each.reason if each.verdict == "not compared" else None,
        out=f"{each.verdict}: {told}" if each.reason is None else None,
    )


def _case(
    one: Comparison,
    kind: str,
    name: str,
    *,
    failure: str | None = None,
    skipped: str | None = None,
    out: str | None = None,
) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=plain(f"{one.run.model}.{kind}"), name=plain(name))
    messages: Iterable[tuple[str, str | None]] = (("failure", failure), ("skipped", skipped))
    for tag, message in messages:
        if message is not None:
            ElementTree.SubElement(case, tag, message=plain(message))
    if out is not None:
        ElementTree.SubElement(case, "system-out").text = plain(out)
    return case
