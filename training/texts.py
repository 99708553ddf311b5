"""Texts: what rendered pictures say, kind by kind: words, lines, made-up numbers, codes, addresses, rows of programs."""

import calendar
import string
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

from simpleocr.vocabulary import Vocabulary, normalize
from training.corpus import Corpus

MAX_CHARACTERS = 120
MONTHS = calendar.month_name[1:]
UNITS = (" kg", "kg", " ml", "g", " lbs", "mm", " cm", '"', "'", "km", " mi", "th", "st", "W", "V")


def sample_text(corpus: Corpus, vocabulary: Vocabulary, rng: Random, kinds: Sequence[str] = ()) -> str:
    """One text of 1 to 120 characters in the form of normalize(), every character in `vocabulary`.

    Args:
        corpus: where its words are from.
        vocabulary: of its characters.
        rng: what it draws from.
        kinds: names in KINDS, of which it is one; none: all.
    """
    for _ in range(100):
        text = normalize(_kind(kinds, rng)(corpus, vocabulary, rng))
        if "…" in text and rng.random() < 0.8:
            text = text.replace("…", "...")  # most fonts draw them alike, and most labels spell it out
        if text := _known(text, vocabulary):
            return normalize(text[:MAX_CHARACTERS])
    return rng.choice([c for c in vocabulary.characters if c != " "])


def can_be_written(kind: str, corpus: Corpus, vocabulary: Vocabulary) -> bool:
    """Whether a vocabulary has any characters of such texts: digits have none of words."""
    return any(_known(normalize(KINDS[kind](corpus, vocabulary, Random(i))), vocabulary) for i in range(100))


def _known(text: str, vocabulary: Vocabulary) -> str:
    if vocabulary.unknown(text):
        return normalize("".join(c for c in text if not vocabulary.unknown(c)))
    return text


def _kind(kinds: Sequence[str], rng: Random) -> "_Kind":
    if kinds:
        chosen = [KINDS[name] for name in kinds]
        return rng.choices(chosen, [_SHARES[kind] for kind in chosen])[0]
    return _KINDS[bisect(_KIND_WEIGHTS, rng.random() * _KIND_WEIGHTS[-1], 0, len(_KINDS) - 1)]


def _cased(word: str, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.35:
        return word.upper()
    return word[:1].upper() + word[1:] if draw < 0.65 else word


def _word(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    return _cased(corpus.word(rng), rng)


def _words(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    case = rng.choice((str.upper, str.lower, str.title, str.capitalize))
    return case(" ".join(corpus.word(rng) for _ in range(rng.choice((2, 2, 3, 3, 4, 5)))))


def _punctuated(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    word = _cased(corpus.word(rng), rng)
    if rng.random() < 0.65:
        return word + rng.choice(".,::;!?-/)”*…™®")
    opening = rng.choice("([“\"'‘“($#*-—")
    closing = {"(": ")", "[": "]", "“": "”", '"': '"', "'": "'", "‘": "’"}
    return opening + word + (closing.get(opening, "") if rng.random() < 0.7 else "")


def _compound(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    joint = rng.choice("----/&'.+_@:~=×")
    return joint.join(_cased(corpus.word(rng), rng) for _ in range(2))


def _phrase(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    return corpus.span(rng, rng.randint(1, 3))


def _line(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    text = corpus.span(rng, rng.randint(3, 9))
    return text.upper() if rng.random() < 0.2 else text


def _long_line(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    return corpus.span(rng, rng.randint(8, 22))


def number(_: Corpus, __: Vocabulary, rng: Random) -> str:
    """Digits, with separators, signs, units."""
    digits = "".join(rng.choices(string.digits, k=rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12))))
    value = int(digits)
    return rng.choice(
        (
            digits,
            digits,
            f"{value:,}",
            f"{value / 100:.2f}",
            f"{value / 10:.1f}%",
            f"{value % 100}%",
            f"{value % 100}°",
            f"-{value}",
            f"+{value}",
            f"{value % 1000}.{rng.randrange(1000):03d}",
            f"#{value}",
            f"No. {value}",
            f"{value % 100}{rng.choice('½¼¾')}",
            f"{value % 10000} x {rng.randrange(100)}",
            f"{value % 300}{rng.choice(UNITS)}",
        )
    )


def price(_: Corpus, __: Vocabulary, rng: Random) -> str:
    """An amount of money."""
    amount = rng.random() * 10 ** rng.randint(1, 5)
    text = f"{amount:,.2f}" if rng.random() < 0.7 else f"{amount:.0f}"
    return rng.choice(
        (
            f"${text}",
            f"${text}",
            f"£{text}",
            f"€{text}",
            f"{text} €",
            f"RM {text}",
            f"USD {text}",
            f"{text}-",
            f"@{text}",
        )
    )


def date(_: Corpus, __: Vocabulary, rng: Random) -> str:
    """A date or a time."""
    day, month, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1900, 2039)
    name = MONTHS[month - 1]
    if rng.random() < 0.5:
        name = name[:3]
    return rng.choice(
        (
            f"{day}/{month}/{year}",
            f"{month:02d}/{day:02d}/{year % 100:02d}",
            f"{day:02d}.{month:02d}.{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day:02d}-{month:02d}-{year % 100:02d}",
            f"{name} {day}, {year}",
            f"{day} {name} {year}",
            f"{name} {year}",
            f"{name.upper()} {day}",
            str(year),
            f"{year}-{(year + 1) % 100:02d}",
            f"{rng.randrange(24):02d}:{rng.randrange(60):02d}",
            f"{rng.randint(1, 12)}:{rng.randrange(60):02d} {rng.choice(('AM', 'PM', 'am', 'pm', 'a.m.', 'p.m.'))}",
            f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}",
            f"{rng.randint(1, 12)}{rng.choice(('am', 'pm', 'AM', 'PM'))}-{rng.randint(1, 12)}{rng.choice(('am', 'pm', 'AM', 'PM'))}",
        )
    )


def phone(_: Corpus, __: Vocabulary, rng: Random) -> str:
    """A telephone number."""

    def digits(count: int) -> str:
        return "".join(rng.choices(string.digits, k=count))

    return rng.choice(
        (
            f"({digits(3)}) {digits(3)}-{digits(4)}",
            f"{digits(3)}-{digits(3)}-{digits(4)}",
            f"{digits(3)}.{digits(3)}.{digits(4)}",
            f"+{digits(2)} {digits(2)} {digits(4)} {digits(4)}",
            f"{digits(3)}-{digits(4)}",
            f"{digits(2)}-{digits(7)}",
            f"Tel: {digits(2)}-{digits(8)}",
        )
    )


def code(_: Corpus, __: Vocabulary, rng: Random) -> str:
    """A serial number."""
    groups = []
    for _group in range(rng.choice((1, 1, 2, 2, 3))):
        letters = rng.choice(
            (string.ascii_uppercase, string.digits, string.digits, string.ascii_uppercase + string.digits)
        )
        if len(letters) > 26 and rng.random() < 0.7:
            letters = letters.replace("O", "").replace("I", "")  # as those who make codes do: many fonts draw O as 0
        groups.append("".join(rng.choices(letters, k=rng.randint(1, 6))))
    return rng.choice(("-", "-", "", " ", "/", ".")).join(groups)


def address(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    """A web page, a mail address, a street."""
    word, other = corpus.word(rng).lower(), corpus.word(rng).lower()
    ending = rng.choice(("com", "com", "org", "net", "edu", "co.uk", "de", "io", "gov"))
    return rng.choice(
        (
            f"www.{word}.{ending}",
            f"{word}{other}.{ending}",
            f"http://www.{word}.{ending}/{other}",
            f"https://{word}.{ending}/{other}.html",
            f"{word}@{other}.{ending}",
            f"{word}.{other}@{word}.{ending}",
            f"{word}_{other}@{ending}.{ending}",
            f"{rng.randint(1, 9999)} {word.title()} {rng.choice(('St', 'Street', 'Ave.', 'Road', 'Rd.', 'Blvd', 'Drive', 'Lane'))}",
            f"#{word}{other}",
            f"@{word}",
        )
    )


def name(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    """A first and a last name, or what could be one."""
    return f"{corpus.word(rng).title()} {corpus.word(rng).title()}"


def _label(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    words = " ".join(corpus.word(rng) for _ in range(rng.choice((1, 1, 2))))
    text = rng.choice((str.title, str.upper, str.capitalize))(words) + ":"
    return text if rng.random() < 0.6 else f"{text} {rng.choice((number, date, price, code))(corpus, _, rng)}"


def _initials(_: Corpus, __: Vocabulary, rng: Random) -> str:
    letters = rng.choices(string.ascii_uppercase, k=rng.randint(2, 5))
    return rng.choice(("", "", ".", "&", ". "))[:2].join(letters) + rng.choice(("", "", ".", "'s", "s"))


def _random(_: Corpus, vocabulary: Vocabulary, rng: Random) -> str:
    letters = rng.choice((vocabulary.characters, string.ascii_letters, string.ascii_uppercase, string.ascii_lowercase))
    return "".join(rng.choices(letters, k=rng.randint(1, 12)))


def _pieces(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # parts of two words joined and cut: any length from 1 to 25 as likely as any other, which words alone do not give
    text = "".join(corpus.word(rng) for _ in range(6))
    return _cased(text[: rng.randint(1, 25)], rng)


def _single(_: Corpus, vocabulary: Vocabulary, rng: Random) -> str:
    return rng.choice(string.ascii_letters + string.digits if rng.random() < 0.7 else vocabulary.characters)


def _repeated(corpus: Corpus, vocabulary: Vocabulary, rng: Random) -> str:
    text = _single(corpus, vocabulary, rng) * rng.choice((2, 3, 3, 4, 4, 5, 6, 8, 12))
    draw = rng.random()
    if draw < 0.7:
        return text
    return text + corpus.word(rng) if draw < 0.85 else text + _single(corpus, vocabulary, rng) * rng.randint(1, 4)


def _look_alikes(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # I, l, 1, | and O, o, 0 where their neighbours tell them apart: names, ordinals, times, tables
    number = str(rng.choice((rng.randint(1, 31), rng.randint(1, 1000) * 10, rng.randint(0, 111))))
    word = rng.choice((str.title, str.upper, str.lower))(corpus.word(rng))
    capital = rng.choice(
        ("I", "I", "Il", "Al", "El", "Ol", "Ill", "Isl", "Iron ", "Ish", "All", "Oil", "Old", "Is", "In", "O", "It")
    )
    ordinal = {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th") if number[-2:-1] != "1" else "th"
    return rng.choice(
        (
            number + ordinal,
            f"{number}{ordinal} {word}",
            f"{word} {number}",
            f"{number} {word}",
            f"{rng.randint(0, 12)}:{rng.choice(('01', '10', '11', '00'))}",
            capital + corpus.word(rng).lower(),
            f"{number} {capital}{corpus.word(rng).lower()}",
            f"I {corpus.word(rng).lower()}",
            f"{word}|{corpus.word(rng)}",
            f"| {word} | {number} |",
            f"{rng.choice(string.ascii_letters)}|{rng.choice(string.ascii_letters)}",
            rng.choice("01") * rng.randint(2, 6),
            "".join(rng.choices("01", k=rng.randint(2, 8))),
            "".join(rng.choices("Il1|O0o", k=rng.randint(1, 4))),
        )
    )


def _enumeration(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # what stands before the points of a list, and brackets beside digits, which look like one character
    item = rng.choice(
        (
            str(rng.randint(1, 20)),
            str(rng.randint(1, 20)),
            rng.choice(string.ascii_letters),
            rng.choice(("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "ii", "iii", "iv", "vi")),
        )
    )
    mark = rng.choice(("({})", "({})", "({}", "{})", "{}.", "{}.", "{}:", "[{}]", "{}", "({}.)", "{}-"))
    return mark.format(item) + (f" {corpus.word(rng)}" if rng.random() < 0.3 else "")


def _dashed(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # a dash between spaces, a cross between numbers: their spaces are easily missed
    if rng.random() < 0.5:
        first, second = corpus.word(rng), corpus.word(rng)
        case = rng.choice((str.upper, str.title, str.lower))
        return case(first) + rng.choice((" - ", " – ", " — ", " / ", " & ", " + ", " = ", ": ")) + case(second)
    a, b = rng.randint(1, 999), rng.randint(1, 99)
    return f"{a}{rng.choice((' - ', ' – ', ' x ', ' × ', ' / ', ' + ', ' = ', '-', ' X ', ' @ '))}{b}"


def _program(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # lines of programs, of files of settings and of a terminal: symbols with and without spaces around them
    def thing() -> str:
        draw = rng.random()
        if draw < 0.35:
            return rng.choice(string.ascii_letters)
        if draw < 0.55:
            return str(rng.randint(0, 10 ** rng.randint(1, 4)))
        return rng.choice(("", "", f"{corpus.word(rng).lower()}_")) + corpus.word(rng).lower()

    a, b, c, operator = thing(), thing(), thing(), rng.choice("+-*/%<>=&|")
    return rng.choice(
        (
            f"{a} = {b}",
            f"{a} = {b} {operator} {c}",
            f"{a}={b}",
            f"{a} {rng.choice(('==', '!=', '<=', '>=', '+=', '-=', ':=', '->', '=>', '&&', '||', '<', '>'))} {b}",
            f"if {a} == {b}:",
            f"if ({a} < {b}) {{",
            f"for (i = 0; i < {a}; i++) {{",
            f"return {a} {operator} {b};",
            f"{a}({b}, {c})",
            f"{a}.{b}({c})",
            f"{a}[{b}] = {c}",
            f"# {a} {b} {c}",
            f"// {a} {b}",
            f"import {a}",
            f"def {a}({b}, {c}):",
            f"{a}: {b}",
            f'"{a}": "{b}",',
            f'"{a}": {b},',
            f"{{{a}: {b}}}",
            f'<{a} {b}="{c}">',
            f"</{a}>",
            f"$ {a} --{b} {c}",
            f"{a} -{b[:1]} {c}.txt",
            f"/{a}/{b}/{c}",
            f"C:\\{a}\\{b}",
        )
    )


def _cells(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # some cells of a row of a table: short, and nothing but a space between them
    kind = rng.choice((number, price, lambda *_: str(rng.randint(0, 99)), lambda *_: rng.choice(string.ascii_letters)))
    cells = [kind(corpus, _, rng) for _cell in range(rng.choice((2, 2, 3, 4, 5)))]
    return " ".join(([corpus.word(rng)] if rng.random() < 0.3 else []) + cells)


def _spaced(_: Corpus, __: Vocabulary, rng: Random) -> str:
    # single characters with spaces between them: columns of marks, keys, letters that are filled in
    letters = rng.choice((string.digits, string.digits, string.ascii_uppercase, string.ascii_letters, "xX+-./*•|"))
    return " ".join(rng.choices(letters, k=rng.choice((2, 3, 3, 4, 5, 6, 8, 10))))


def _leaders(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # dots that lead to a number, and lines that are filled in: how many there are is easily miscounted
    mark = rng.choice(("." * 3, ".", ".", ".", "_", "_", "_", "-", "*", ". ")) * rng.randint(3, 16)
    joint = rng.choice((" ", " ", ""))
    label = rng.choice((str.title, str.capitalize, str.upper))(corpus.word(rng)) + rng.choice(("", ":"))
    value = rng.choice((str(rng.randint(1, 400)), f"{rng.randint(1, 9999) / 100:.2f}", corpus.word(rng)))
    draw = rng.random()
    if draw < 0.4:
        return f"{label}{joint}{mark.strip()}{joint}{value}"
    if draw < 0.8:
        return f"{label}{joint}{mark.strip()}"
    return mark.strip().replace("_", ".").replace("-", ".")  # of lines alone nobody could tell how many they are


def _led(corpus: Corpus, _: Vocabulary, rng: Random) -> str:
    # marks before a word or a number: small, at the edge, and easily lost
    digits, word = str(rng.randint(0, 10 ** rng.randint(1, 3))), rng.choice((str.lower, str.title))(corpus.word(rng))
    mark = rng.choice(
        (".", ".", "-", "'", "’", "•", "*", "~", "_", "/", "…", "...", "--", ">", "|", ",", "^", "“", "`", "=", ":")
    )
    return mark + rng.choice(("", "", " ")) + rng.choice((digits, digits, word))


def _symbols(_: Corpus, vocabulary: Vocabulary, rng: Random) -> str:
    symbols = [c for c in vocabulary.characters if not c.isalnum() and c != " "] or list(vocabulary.characters)
    return "".join(rng.choices(symbols, k=rng.choice((1, 1, 2, 3))))


_Kind = Callable[[Corpus, Vocabulary, Random], str]
# share of each kind, among all of them together: mostly what pictures show, words; the rest so that nothing is unheard of
_SHARES: dict[_Kind, int] = {
    _word: 370,
    _words: 60,
    _punctuated: 50,
    _compound: 15,
    _phrase: 120,
    _line: 60,
    _long_line: 14,
    number: 70,
    price: 20,
    date: 35,
    phone: 10,
    code: 25,
    address: 20,
    _label: 30,
    _initials: 10,
    _random: 25,
    _pieces: 20,
    _single: 45,
    _repeated: 24,
    _symbols: 12,
    _enumeration: 20,
    _dashed: 18,
    _program: 18,
    _cells: 14,
    _spaced: 14,
    _leaders: 10,
    _led: 16,
    _look_alikes: 20,
}
_KINDS = list(_SHARES)
_KIND_WEIGHTS = list(accumulate(_SHARES.values()))
KINDS: dict[str, _Kind] = {kind.__name__.removeprefix("_"): kind for kind in _SHARES}
"""Name -> texts of one kind."""
