"""Report: an evaluation's figures as a table, as JSON, and as a sheet to be looked at."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from training.sheet import Misread, sheet, visible


def examples(found: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """(what, name) pairs -> {what: {"count", "examples"}}, at most five names of each."""
    table: dict[str, dict[str, Any]] = {}
    for what, name in found:
        entry = table.setdefault(what, {"count": 0, "examples": []})
        entry["count"] += 1
        if len(entry["examples"]) < 5:
            entry["examples"].append(name)
    return table


def figure_rows(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, interval) of each figure, as they are printed."""
    figures = [
        (name, f"{of['value']:.4f}", f"{of['low']:.4f} .. {of['high']:.4f}") for name, of in report["figures"].items()
    ]
    errors = [
        (
            f"calibration {name}",
            f"{of['error']:.4f}",
            f"{of['by_chance']['low']:.4f} .. {of['by_chance']['high']:.4f} by chance",
        )
        for name, of in report["calibration"].items()
    ]
    return figures + errors


def trouble(report: dict[str, Any]) -> list[str]:
    """One sentence for each kind of sample that could only be an error, and for rows that were left out."""
    found = [
        f"{of['count']} {what}, counted as errors: {', '.join(of['examples'])}" for what, of in report["faults"].items()
    ]
    if count := report["targets_with_unknown_characters"]:
        characters = " ".join(list(report["unknown_characters"])[:20])
        found.append(f"{count} targets with characters that the model lacks, counted as errors: {characters}")
    if count := report["rows_without_text_left_out"]:
        found.append(f"{count} boxes without text, left out")
    return found


def table(report: dict[str, Any]) -> str:
    """A report as the terminal shows it."""
    lines = [
        f"{report['dataset']} ({report['split']}): {report['samples']} samples, {report['samples_per_second']:.0f} read/s"
    ]
    lines += [f"  {name:25}{value}  {interval}".rstrip() for name, value, interval in figure_rows(report)]
    lines += [f"  {sentence}" for sentence in trouble(report)]
    pairs = (
        f"{c['target'] or 'nothing'} > {c['prediction'] or 'nothing'} {c['count']}" for c in report["confusions"][:12]
    )
    lines.append(f"  confused: {', '.join(pairs)}")
    lines += [
        f"  worst: {row['target']!r} read as {row['prediction']!r} ({row['name']})" for row in report["worst"][:10]
    ]
    return "\n".join(map(visible, lines))


def summary(reports: Sequence[dict[str, Any]]) -> str:
    """One row a set."""
    names = list(reports[0]["figures"])
    width = max(len(stem(report["dataset"])) for report in reports)
    lines = [f"{'set':{width}}  samples  {'  '.join(names)}  read/s"]
    for report in reports:
        values = (f"{report['figures'][name]['value']:{len(name)}.4f}" for name in names)
        row = f"{stem(report['dataset']):{width}}  {report['samples']:7}  {'  '.join(values)}  {report['samples_per_second']:6.0f}"
        lines.append(row)
    return "\n".join(lines)


def stem(dataset: str) -> str:
    """What the files about a set are called."""
    return re.sub(r"[^\w.-]", "_", Path(dataset).resolve().name.removesuffix(".parquet")) or "set"


def free_name(name: str, taken: set[str]) -> str:
    """The name, numbered where it is taken; taken from then on."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free


def write(out: Path, report: dict[str, Any], worst: Sequence[Misread], taken: set[str]) -> None:
    """OUT/<set>.json and OUT/<set>.html; sets of the same name are numbered."""
    name = free_name(stem(report["dataset"]), taken)
    model = report["model"]
    page = sheet(
        title=f"{name}: {report['samples']} samples",
        facts=[
            ("command", report["command"]),
            ("model", f"{model['name']}, sha256 {model['sha256']}"),
            (
                "set",
                f"{report['dataset']}, {report['split']}, {report['samples_per_second']:.0f} samples read a second",
            ),
            *(("trouble", sentence) for sentence in trouble(report)),
        ],
        figures=figure_rows(report),
        worst=worst,
        curve=report["calibration"]["alphanumeric"]["risk_coverage"],
        confusions=[(c["target"], c["prediction"], c["count"]) for c in report["confusions"]],
    )
    (out / f"{name}.html").write_text(page, encoding="utf-8")
    text = json.dumps(report, ensure_ascii=False, indent=1)
    # half a surrogate pair in a label is no UTF-8; its escape is the same JSON
    (out / f"{name}.json").write_bytes(f"{text}\n".encode(errors="backslashreplace"))
