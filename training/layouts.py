"""Layouts: HTML pages of many kinds, filled with text; a browser lays them out and knows where every word came to stand."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from simpleocr.vocabulary import VOCABULARIES
from training import texts
from training.corpus import Corpus

VOCABULARY = VOCABULARIES["english"]


@dataclass(frozen=True)
class Stock:
    """What pages are made of.

    Args:
        corpus: texts.
        fonts: font files that a browser opens.
        text_fonts: those of them that running text is set in; headings, signatures and posters may have any.
        photos: picture files.
    """

    corpus: Corpus
    fonts: Sequence[Path]
    text_fonts: Sequence[Path]
    photos: Sequence[Path]


@dataclass(frozen=True)
class Layout:
    """One page to be.

    Args:
        html: the whole document.
        width: of the window, CSS pixels.
        scale: picture pixels of a CSS pixel.
    """

    html: str
    width: int
    scale: float


class Writer:
    """Draws texts and styles for one page."""

    def __init__(self, stock: Stock, rng: Random) -> None:
        self.stock, self.rng = stock, rng

    def text(self, low: int, high: int) -> str:
        """So many neighbouring words of running text, made safe for HTML."""
        return self.safe(self.stock.corpus.span(self.rng, self.rng.randint(low, high)))

    def safe(self, text: str) -> str:
        """Without what the vocabulary lacks, escaped."""
        return html.escape("".join(c for c in text if not VOCABULARY.unknown(c)) or "a")

    def words(self, low: int, high: int) -> str:
        """So many words in one case: a heading, a label, a button."""
        case = self.rng.choice((str.title, str.title, str.upper, str.capitalize, str.lower))
        return self.safe(case(" ".join(self.stock.corpus.word(self.rng) for _ in range(self.rng.randint(low, high)))))

    def value(self) -> str:
        """A number, a date, a price, a code, a phone number or a name."""
        kinds = (texts.number, texts.price, texts.date, texts.phone, texts.code, texts.address, texts.name)
        return self.safe(self.rng.choice(kinds)(self.stock.corpus, VOCABULARY, self.rng))

    def amount(self) -> str:
        """A price."""
        return self.safe(texts.price(self.stock.corpus, VOCABULARY, self.rng))

    def photo(self) -> str:
        """The address of a picture, or of none."""
        return self.rng.choice(self.stock.photos).as_uri() if self.stock.photos else ""

    def size(self, low: float, high: float) -> float:
        """A length in CSS pixels."""
        return round(self.rng.uniform(low, high), 1)

    def picture(self) -> str:
        """A figure with its caption."""
        height = self.rng.randint(50, 220)
        return (
            f"<figure><div style='height:{height}px;background:url({self.photo()}) center/cover #888'></div>"
            f"<figcaption>{self.text(3, 14)}</figcaption></figure>"
        )


def article(w: Writer) -> str:
    """Headings and paragraphs in one to three columns, with figures, lists and notes."""
    columns = w.rng.choice((1, 1, 2, 2, 3))
    size = w.size(9, 17)
    parts = [f"<h1>{w.words(2, 8)}</h1>"]
    if w.rng.random() < 0.5:
        parts.append(f"<p class=by>{w.words(2, 4)}, {w.value()}</p>")
    body = []
    for _ in range(w.rng.randint(2, 9)):
        draw = w.rng.random()
        if draw < 0.2:
            body.append(f"<h2>{w.words(1, 5)}</h2>")
        if draw > 0.88:
            body.append(w.picture())
        elif draw > 0.78:
            body.append("<ul>" + "".join(f"<li>{w.text(3, 18)}</li>" for _ in range(w.rng.randint(2, 6))) + "</ul>")
        else:
            body.append(f"<p>{w.text(15, 110)}</p>")
    parts.append(f"<div class=body>{''.join(body)}</div>")
    if w.rng.random() < 0.5:
        parts.append(f"<p class=foot>{w.text(4, 20)}</p><p class=number>{w.rng.randint(1, 900)}</p>")
    align, indent = w.rng.choice(("justify", "left")), w.rng.choice((0, 0, 1, 2))
    return (
        f"<style>.body{{columns:{columns};column-gap:{w.size(14, 40)}px;text-align:{align}}} p{{font-size:{size}px;"
        f"line-height:{w.size(1.05, 1.7)};margin:{w.size(0, 14)}px 0;text-indent:{indent}em}} "
        f".foot{{font-size:{size * 0.75}px;border-top:1px solid}} .number{{text-align:center}} "
        f"h1{{font-size:{size * w.rng.uniform(1.4, 3)}px}} figcaption{{font-size:{size * 0.8}px}} ul{{font-size:{size}px}}"
        f"figure{{margin:8px 0}}</style>{''.join(parts)}"
    )


def form(w: Writer) -> str:
    """Fields with small labels and typed values, in a grid with or without rules."""
    columns = w.rng.choice((1, 2, 2, 3, 4))
    border = w.rng.choice(("1px solid", "1px solid", "2px solid", "1px dotted", "0 solid"))
    cells = []
    for _ in range(w.rng.randint(8, 34)):
        draw = w.rng.random()
        if draw < 0.12:
            boxes = "".join(f"<span class=box></span>{w.words(1, 2)} &nbsp; " for _ in range(w.rng.randint(1, 4)))
            cells.append(f"<div class=cell>{boxes}</div>")
        elif draw < 0.2:
            cells.append(f"<div class='cell wide'>{w.text(6, 40)}</div>")
        elif draw < 0.27:
            cells.append(f"<div class='cell wide dark'>{w.words(1, 5)}</div>")
        else:
            value = w.value() if w.rng.random() < 0.75 else ""
            between = w.rng.choice(("<br>", " ", " ", " <i class=gap></i>"))
            cells.append(f"<div class=cell><span class=label>{w.words(1, 4)}{w.rng.choice((':', '', '.'))}</span>"
                         f"{between}<span class=value>{value}</span></div>")  # fmt: skip
    return (
        f"<style>.grid{{display:grid;grid-template-columns:repeat({columns},1fr);gap:{w.rng.choice((0, 0, 4, 10))}px}}"
        f".cell{{border:{border};padding:{w.size(1, 8)}px;min-height:{w.size(8, 34)}px}} .wide{{grid-column:1/-1}}"
        f".dark{{background:#222;color:#eee}} .label{{font-size:{w.size(8, 14)}px}} .value{{font-size:{w.size(9, 17)}px;"
        f"font-family:two}} .box{{display:inline-block;width:9px;height:9px;border:1px solid;margin:0 4px}}"
        f".gap{{display:inline-block;width:{w.rng.randint(10, 80)}px;border-bottom:1px solid}}"
        f"</style><h2>{w.words(1, 6)}</h2><p>{w.text(3, 30)}</p><div class=grid>{''.join(cells)}</div>"
    )


def _rows(w: Writer, count: int) -> tuple[str, int]:
    kinds = [w.rng.choice(("word", "value", "number", "text")) for _ in range(w.rng.randint(2, 7))]
    filled: dict[str, Callable[[], str]] = {
        "word": lambda: w.words(1, 2),
        "value": w.value,
        "number": lambda: str(w.rng.randint(0, 99999)),
        "text": lambda: w.text(2, 9),
    }
    head = "".join(f"<th>{w.words(1, 2)}</th>" for _ in kinds)
    rows = "".join(
        "<tr>" + "".join(f"<td class={kind}>{filled[kind]()}</td>" for kind in kinds) + "</tr>" for _ in range(count)
    )
    return f"<tr>{head}</tr>{rows}", len(kinds)


def _table_style(w: Writer) -> str:
    rules = w.rng.choice(
        ("td,th{border:1px solid}", "tr{border-bottom:1px solid #999}", "", "tr:nth-child(even){background:#ddd8}",
         "td,th{border:1px solid #aaa} th{background:#333;color:#fff}", "th{border-bottom:2px solid}")
    )  # fmt: skip
    return (
        f"table{{border-collapse:collapse;width:100%;font-size:{w.size(8, 16)}px}} td,th{{padding:{w.size(1, 7)}px;"
        f"text-align:{w.rng.choice(('left', 'left', 'center', 'right'))}}} .number{{text-align:right}} {rules}"
    )


def table(w: Writer) -> str:
    """Rows and columns, with and without rules."""
    rows, _ = _rows(w, w.rng.randint(4, 32))
    return f"<style>{_table_style(w)}</style><h2>{w.words(1, 6)}</h2><table>{rows}</table><p>{w.text(4, 40)}</p>"


def receipt(w: Writer) -> str:
    """A narrow slip: names to the left, prices to the right."""
    head = "".join(f"<div class=mid>{x}</div>" for x in (w.words(1, 4), w.words(2, 5), w.value(), w.value()))
    rows = []
    for _ in range(w.rng.randint(3, 18)):
        if w.rng.random() < 0.25:
            rows.append(f"<div>{w.value()}</div>")
        count = f"<span>{w.rng.randint(1, 9)}</span>" if w.rng.random() < 0.4 else ""
        rows.append(f"<div class=row><span>{w.words(1, 4)}</span>{count}<span>{w.amount()}</span></div>")
    rule = w.rng.choice(("<hr>", "<div>" + "-" * 34 + "</div>", "<div>" + "=" * 32 + "</div>", "<br>"))
    total = "".join(
        f"<div class='row big'><span>{w.words(1, 2)}</span><span>{w.amount()}</span></div>"
        for _ in range(w.rng.randint(1, 5))
    )
    foot = "".join(f"<div class=mid>{w.text(2, 8)}</div>" for _ in range(w.rng.randint(0, 4)))
    return (
        f"<style>body{{font-size:{w.size(10, 17)}px;line-height:{w.size(1.0, 1.6)}}} .mid{{text-align:center}} "
        f".row{{display:flex;justify-content:space-between;gap:8px}} .big{{font-size:{w.size(1, 1.6)}em;font-weight:"
        f"{w.rng.choice((400, 700))}}} hr{{border:0;border-top:1px dashed}}</style>"
        f"{head}{rule}{''.join(rows)}{rule}{total}{rule}{foot}"
    )


def letter(w: Writer) -> str:
    """Sender, recipient, date, paragraphs and a signature."""
    address = "".join(f"<div>{w.words(2, 4)}</div>" for _ in range(3))
    body = "".join(f"<p>{w.text(20, 90)}</p>" for _ in range(w.rng.randint(2, 5)))
    return (
        f"<style>body{{font-size:{w.size(11, 18)}px;line-height:{w.size(1.1, 2)}}} .right{{text-align:right}} "
        f".sign{{font-family:two;font-size:1.7em}}</style><div class={w.rng.choice(('right', 'left'))}>{address}</div>"
        f"<br><div>{address}</div><p class=right>{w.value()}</p><p><b>{w.words(2, 7)}</b></p>{body}"
        f"<p>{w.words(1, 3)},</p><p class=sign>{w.words(2, 2)}</p>"
    )


def invoice(w: Writer) -> str:
    """Two blocks of addresses, a table and its sum."""
    rows, columns = _rows(w, w.rng.randint(2, 14))
    block = "".join(f"<div>{w.words(1, 4)}</div>" for _ in range(w.rng.randint(2, 5)))
    facts = "".join(f"<div><b>{w.words(1, 2)}:</b> {w.value()}</div>" for _ in range(w.rng.randint(2, 6)))
    last = f"<tr><td colspan={columns - 1}>{w.words(1, 2)}</td><td>{w.amount()}</td></tr>" * w.rng.randint(1, 2)
    return (
        f"<style>{_table_style(w)} .two{{display:flex;justify-content:space-between}} body{{font-size:{w.size(9, 15)}px}}"
        f"h1{{font-size:{w.size(18, 50)}px}}</style><h1>{w.words(1, 3)}</h1><div class=two><div>{block}</div><div>{facts}"
        f"</div></div><br><table>{rows}{last}</table><p>{w.text(5, 50)}</p>"
    )


def screenshot(w: Writer) -> str:
    """A program's window: bars, buttons, cards, code, light or dark."""
    dark = w.rng.random() < 0.45
    ground, ink = ("#16181d", "#dde") if dark else ("#f7f7f9", "#223")
    tint = f"hsl({w.rng.randint(0, 359)},{w.rng.randint(20, 80)}%,{w.rng.randint(25, 60)}%)"
    bar = "".join(f"<span class=item>{w.words(1, 2)}</span>" for _ in range(w.rng.randint(3, 8)))
    side = "".join(f"<div class=item>{w.words(1, 3)}</div>" for _ in range(w.rng.randint(3, 14)))
    cards = []
    for _ in range(w.rng.randint(2, 9)):
        if w.rng.random() < 0.2:
            code = "<br>".join(
                f"{'&nbsp;' * w.rng.choice((0, 2, 4))}{w.safe(w.stock.corpus.word(w.rng))}{w.rng.choice(('()', ' = ', ';', ': '))}{w.value()}"
                for _ in range(w.rng.randint(2, 7))
            )
            cards.append(f"<div class=card><code>{code}</code></div>")
        else:
            cards.append(f"<div class=card><b>{w.words(1, 4)}</b><div>{w.text(2, 30)}</div>"
                         f"<span class=button>{w.words(1, 2)}</span> <small>{w.value()}</small></div>")  # fmt: skip
    return (
        f"<style>body{{background:{ground};color:{ink};font-size:{w.size(11, 17)}px;padding:0}} .bar{{background:{tint};"
        f"color:#fff;padding:9px}} .item{{padding:{w.size(2, 8)}px;display:inline-block}} .side .item{{display:block}}"
        f".all{{display:flex}} .side{{min-width:{w.rng.randint(90, 210)}px;border-right:1px solid #8885}}"
        f".cards{{display:grid;grid-template-columns:repeat({w.rng.randint(1, 3)},1fr);gap:10px;padding:12px}}"
        f".card{{border:1px solid #8886;border-radius:{w.rng.randint(0, 12)}px;padding:9px}} .button{{background:{tint};"
        f"color:#fff;border-radius:5px;padding:3px 9px;display:inline-block}} small{{opacity:.7}} code{{font-family:two}}"
        f"</style><div class=bar>{bar}</div><div class=all><div class=side>{side}</div>"
        f"<div class=cards>{''.join(cards)}</div></div>"
    )


def dense(w: Writer) -> str:
    """Small print, as on the back of a contract or in classified advertisements."""
    notes = "".join(f"<p><b>{w.words(1, 3)}</b> {w.text(20, 90)}</p>" for _ in range(w.rng.randint(6, 16)))
    return (
        f"<style>body{{font-size:{w.size(7, 10)}px;line-height:{w.size(1.0, 1.4)};text-align:justify}} p{{margin:3px 0}}"
        f".all{{columns:{w.rng.randint(1, 4)};column-gap:12px;column-rule:{w.rng.choice(('0', '1px solid'))}}}</style>"
        f"<div class=all>{notes}</div>"
    )


def poster(w: Writer) -> str:
    """A few lines of large letters over a photograph, a panel or a plain wall."""
    height = w.rng.randint(350, 1000)
    parts = []
    for _ in range(w.rng.randint(1, 7)):
        size = w.size(14, 90)
        grey, other = w.rng.choice((("#fff", "#000"), ("#000", "#fff"), ("#ff0", "#118"), ("#c11", "#fff")))
        looks = w.rng.choice(
            ("", f"text-shadow:0 0 4px {other}", f"background:{other};padding:6px", f"-webkit-text-stroke:1px {other}",
             f"letter-spacing:{w.size(1, 12)}px;text-shadow:1px 2px 3px {other}")
        )  # fmt: skip
        parts.append(
            f"<div style='margin:{w.size(0, 40)}px {w.size(0, 90)}px;font-size:{size}px;line-height:1.1;color:{grey};"
            f"text-align:{w.rng.choice(('left', 'center', 'right'))};font-family:{w.rng.choice(('one', 'two', 'three'))}'>"
            f"<span style='{looks};display:inline-block'>{w.words(1, 4)}</span></div>"
        )
    wall = f"url({w.photo()}) center/cover" if w.rng.random() < 0.75 else f"hsl({w.rng.randint(0, 359)},40%,50%)"
    return f"<style>body{{background:{wall};padding:0;min-height:{height}px}}</style>{''.join(parts)}"


def tags(w: Writer) -> str:
    """Price tags, weather, key figures: a number in very large letters, small lines close beside, above or below it."""
    blocks = []
    columns = w.rng.choice((1, 1, 2, 3))
    for _ in range(w.rng.randint(1, 7)):
        large = w.rng.uniform(40, 190 if columns == 1 else 90)
        share = w.rng.uniform(0.15, 0.45)
        small = "".join(
            f"<div style='font-size:{max(10, large * share * w.rng.uniform(0.7, 1)):.1f}px'>"
            f"{w.rng.choice((w.words, w.words, lambda *_: w.value()))(1, 3)}</div>"
            for _ in range(w.rng.choice((1, 1, 2, 2, 3)))
        )
        number = w.rng.choice(
            (
                f"{w.rng.randint(0, 99)}%",
                str(w.rng.randint(0, 999)),
                f"{w.rng.randint(-20, 40)}°",
                f"{w.rng.randint(-20, 40)}<sup>°C</sup>",
                f"{w.rng.choice('$€£')}{w.rng.randint(1, 99)}<sup>{w.rng.randint(0, 99):02d}</sup>",
                f"{w.rng.choice('$€£')}{w.rng.randint(1, 99)}.{w.rng.randint(0, 99):02d}",
                w.safe(w.stock.corpus.word(w.rng).upper()[:5]),
                w.rng.choice("ABCDEFGHKMRST123456789"),
            )
        )
        turn = w.rng.choice(("row", "row", "row", "row-reverse", "column", "column-reverse"))
        blocks.append(
            f"<div class=tag style='display:flex;flex-direction:{turn};gap:{w.size(0.06, 0.4) * large:.0f}px;"
            f"align-items:{w.rng.choice(('center', 'flex-start', 'flex-end', 'baseline'))}'>"
            f"<div class=large style='font-size:{large:.1f}px'>{number}</div><div>{small}</div></div>"
        )
    border = w.rng.choice(("0 solid", "0 solid", "1px solid", "2px solid"))
    wall = f"background:url({w.photo()}) center/cover;" if w.rng.random() < 0.15 else ""
    return (
        f"<style>.all{{display:grid;grid-template-columns:repeat({columns},1fr);gap:{w.size(4, 50)}px}}"
        f".large{{line-height:1;white-space:nowrap;font-family:{w.rng.choice(('one', 'two', 'three'))};"
        f"font-weight:{w.rng.choice((400, 400, 700))}}} sup{{font-size:{w.size(0.25, 0.6)}em}}"
        f".tag{{border:{border};padding:{w.size(2, 20)}px}} body{{{wall}}}</style>"
        f"<p>{w.text(2, 12)}</p><div class=all>{''.join(blocks)}</div><p>{w.text(2, 20)}</p>"
    )


def grid(w: Writer) -> str:
    """A month, a timetable, a board of scores: rows of single characters and short numbers, far apart or close."""
    columns, first = w.rng.choice((7, 7, 4, 5, 6, 9, 10)), w.rng.randint(-5, 1)
    cell: Callable[[int], str] = w.rng.choice(
        (
            lambda i: str(i) if 0 < i < 32 else "",
            lambda i: str(i) if 0 < i < 32 else "",
            lambda _: str(w.rng.randint(0, 9)),
            lambda _: w.rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            lambda _: w.rng.choice(("–", "-", "x", "", str(w.rng.randint(0, 99)), str(w.rng.randint(0, 9)))),
        )
    )
    head = "".join(f"<th>{w.words(1, 1)[: w.rng.choice((1, 2, 3, 3))]}</th>" for _ in range(columns))
    rows = [
        "".join(f"<td>{cell(first + columns * row + column)}</td>" for column in range(columns))
        for row in range(w.rng.randint(3, 8))
    ]
    named = w.rng.random() < 0.3
    body = "".join(f"<tr>{f'<th>{w.words(1, 2)}</th>' if named else ''}{row}</tr>" for row in rows)
    return (
        f"<style>{_table_style(w)} table{{font-size:{w.size(9, 34)}px}} td{{padding:{w.size(0, 16)}px;"
        f"text-align:{w.rng.choice(('center', 'center', 'left', 'right'))}}}</style>"
        f"<h2>{w.words(1, 3)}</h2><table><tr>{'<th></th>' if named else ''}{head}</tr>{body}</table>"
    )


def without_text(w: Writer) -> str:
    """A photograph, or ruled paper: nothing to be found."""
    if w.rng.random() < 0.7:
        return f"<style>body{{background:url({w.photo()}) center/cover;min-height:{w.rng.randint(300, 900)}px}}</style>"
    lines = "<div class=rule></div>" * w.rng.randint(3, 30)
    return f"<style>.rule{{border-bottom:1px solid #777;height:{w.size(14, 40)}px}}</style>{lines}"


LAYOUTS: dict[str, tuple[Callable[[Writer], str], int, tuple[int, int]]] = {
    "article": (article, 20, (420, 1100)),
    "form": (form, 20, (500, 1100)),
    "table": (table, 12, (420, 1100)),
    "receipt": (receipt, 14, (260, 460)),
    "letter": (letter, 8, (500, 950)),
    "invoice": (invoice, 8, (500, 1000)),
    "screenshot": (screenshot, 10, (420, 1280)),
    "dense": (dense, 6, (400, 900)),
    "poster": (poster, 12, (360, 1000)),
    "tags": (tags, 9, (300, 1000)),
    "grid": (grid, 5, (240, 900)),
    "without text": (without_text, 3, (300, 900)),
}
"""Kind -> how it is written, how many of about a hundred pages it makes, and the range of its width in CSS pixels."""


def lay_out_page(stock: Stock, rng: Random) -> Layout:
    """A page of a random kind, in up to three fonts."""
    kinds = list(LAYOUTS.values())
    write, _, widths = rng.choices(kinds, [share for _, share, _ in kinds])[0]
    writer = Writer(stock, rng)
    faces = "".join(
        f"@font-face{{font-family:{name};src:url({rng.choice(fonts).as_uri()})}}"
        for name, fonts in (("one", stock.text_fonts), ("two", stock.text_fonts), ("three", stock.fonts))
    )
    fallback = rng.choice(("serif", "sans-serif", "monospace"))
    family = f"one,{fallback}" if rng.random() < 0.6 else fallback
    heading = "h1,h2,.sign{font-family:three}" if rng.random() < 0.3 else ""
    ink, ground = rng.choice(
        (("#000", "#fff"), ("#111", "#fff"), ("#222", "#f4f0e6"), ("#335", "#eee"), ("#444", "#fff"))
    )
    body = write(writer)
    style = (
        f"body{{margin:0;padding:{rng.randint(4, 60)}px;font-family:{family};color:{ink};background:{ground}}}{heading}"
    )
    document = f"<!doctype html><meta charset=utf-8><style>{faces}*{{box-sizing:border-box}}{style}</style>{body}"
    return Layout(document, rng.randint(*widths), rng.choice((1, 1, 1.25, 1.5, 2)))
