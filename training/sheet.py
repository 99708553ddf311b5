"""Sheet: figures, worst errors and confusions of an evaluation as one HTML file that needs nothing else."""

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from simpleocr.metrics import align

# XHTML throughout: browsers do not mind, and any XML parser can tell whether it is well-formed
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1b1b1b; --ground: #fff; --faint: #666; --rule: #ccc; --bad: #b00020; --tint: #ffdbe0 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e8e8e8; --ground: #161616; --faint: #a0a0a0; --rule: #444; --bad: #ff9aa8; --tint: #571925 }}
}}
body {{ margin: 2rem auto; max-width: 70rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground) }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--rule) }}
img {{ max-width: 100%; min-height: 32px; background: #fff }}
code {{ font: 15px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }}
mark {{ color: var(--bad); background: var(--tint); font-weight: bold }}
small {{ color: var(--faint); overflow-wrap: anywhere }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Misread:
    """One error to be looked at.

    Args:
        name: where the picture is from.
        target, prediction: what it says, what was read.
        confidence: 0..1, how sure the network was.
        picture: a PNG file's bytes.
    """

    name: str
    target: str
    prediction: str
    confidence: float
    picture: bytes


def sheet(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    figures: Sequence[tuple[str, ...]],
    curve: Sequence[tuple[float, float]],
    worst: Sequence[Misread],
    confusions: Sequence[tuple[str, str, int]],
) -> str:
    """One HTML page; whatever is in the texts is shown and never taken for markup.

    Args:
        title: of the page.
        facts: (what, value) of the run.
        figures: (name, value, interval), as they are to be printed.
        curve: (coverage, risk) points, coverage rising.
        worst: the errors, worst first.
        confusions: (of the target, of the prediction, how often), commonest first; "" stands for nothing.
    """
    parts = [
        _table((), [(_text(what), f"<small>{_text(value)}</small>") for what, value in facts]),
        "<h2>Figures</h2>",
        _table(("figure", "value", "95 % interval"), [tuple(map(_text, row)) for row in figures]),
        "<h2>Risk and coverage</h2>",
        "<p>Of the samples that were read most surely (across), the share that is wrong when case and all but a-z0-9 is "
        "dropped (up).</p>",
        _plot(curve),
        "<h2>Worst errors</h2>",
        "<p>Above what should have been read, below what was; marked is where they differ. Errors of "
        "case alone come last; of errors equally bad, the surest first.</p>",
        _table(("picture", "target and prediction", "confidence"), [_misread(row) for row in worst]),
        "<h2>Commonest confusions</h2>",
        _table(("target", "prediction", "times"), [(_unit(a), _unit(b), str(count)) for a, b, count in confusions]),
    ]
    return PAGE.format(title=_text(title), body="\n".join(parts))


def gallery(title: str, note: str, rows: Sequence[Misread]) -> str:
    """One HTML page of pictures with what their labels say and what was read, in the order given."""
    table = _table(("picture", "label and reading", "confidence"), [_misread(row) for row in rows])
    return PAGE.format(title=_text(title), body=f"<p>{_text(note)}</p>\n{table}")


def visible(text: str) -> str:
    """The text with what cannot be shown (control characters, lone surrogates) written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _text(text: str) -> str:
    return html.escape(visible(text))


def _unit(text: str) -> str:
    return "<small>nothing</small>" if not text else f"<code>{_text(text.replace(' ', '␣'))}</code>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    if not rows:
        return "<p>None.</p>"
    lines = [f"<tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"] if head else []
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _plot(curve: Sequence[tuple[float, float]]) -> str:
    """A line through points of the unit interval, its height scaled to the highest; as SVG."""
    if not curve:
        return "<p>None.</p>"
    top = max(0.01, *(risk for _, risk in curve))
    points = " ".join(f"{40 + 540 * x:.1f},{180 - 160 * y / top:.1f}" for x, y in curve)
    labels = "".join(f'<text x="{40 + 540 * x:.0f}" y="200" text-anchor="middle">{x:.0%}</text>' for x in (0, 0.5, 1))
    return (
        '<svg viewBox="0 0 620 210" role="img" aria-label="risk and coverage" '
        'style="max-width: 40rem; fill: currentColor; font: 12px system-ui, sans-serif">'
        f'<path d="M40 20V180H580" fill="none" stroke="var(--rule)"/><text x="36" y="24" text-anchor="end">{top:.0%}</text>'
        f'<text x="36" y="184" text-anchor="end">0%</text>{labels}'
        f'<polyline points="{points}" fill="none" stroke="var(--bad)" stroke-width="2"/></svg>'
    )


def _misread(row: Misread) -> tuple[str, str, str]:
    above, below = differences(prediction=row.prediction, target=row.target)
    picture = f'<img src="data:image/png;base64,{b64encode(row.picture).decode("ascii")}" alt="{_text(row.target)}"/>'
    texts = f"<code>{above}</code><br/><code>{below}</code><br/><small>{_text(row.name)}</small>"
    return picture, texts, f"{row.confidence:.2f}"


def differences(*, prediction: str, target: str) -> tuple[str, str]:
    """(target, prediction) as HTML, the characters that differ marked; a gap stands where the other has more."""
    sides: tuple[list[str], list[str]] = ([], [])
    for kind, *units in align(prediction=prediction, target=target):
        for side, unit in zip(sides, units, strict=True):
            # a missing or wrong space must be seen, and two lines of the same length can be compared by eye
            shown = _text(unit) if kind == "equal" else f"<mark>{_text(unit.replace(' ', '␣')) or '·'}</mark>"
            side.append(shown)
    return "".join(sides[0]), "".join(sides[1])
