r"""Patterns: a regular expression -> Constraint; a whole text must match, as with re.fullmatch.

Texts are in the form of normalize(): of those that match, the ones with a space at an end or a double one are left out.

Understood are literals, ".", classes such as [A-Z] and [^0-9], \d \w \s and their opposites, groups, "|", and the
repetitions ? * + {m} {m,} {m,n}. What no finite automaton can do (look-around, back-references) is refused.
Thompson's construction, then subsets (Aho, Sethi & Ullman 1986, section 3.7).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from simpleocr.constraints import Constraint, ConstraintError, in_normal_form
from simpleocr.vocabulary import Vocabulary

MOST_REPEATS = 200  # of {m,n}
MOST_STATES = 10_000  # a pattern that needs more is refused: its automaton would not fit a web request
MOST_WORK = 500_000  # states of subsets that are looked at, for the same reason
CLASSES: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}


@dataclass
class _Graph:
    """A non-deterministic automaton while it is built: for each state its (characters, next) and its free moves."""

    moves: list[list[tuple[frozenset[str], int]]] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        if len(self.moves) > 4 * MOST_STATES:
            raise ConstraintError("the pattern is too large")
        self.moves.append([])
        self.free.append([])
        return len(self.moves) - 1

    def closure(self, states: set[int]) -> frozenset[int]:
        found, todo = set(states), list(states)
        while todo:
            for following in self.free[todo.pop()]:
                if following not in found:
                    found.add(following)
                    todo.append(following)
        return frozenset(found)


class _Parser:
    """Recursive descent; each method builds its part between two states of the graph and returns (start, end)."""

    def __init__(self, expression: str, characters: str) -> None:
        self.text = expression
        self.at = 0
        self.alphabet = frozenset(characters)
        self.graph = _Graph()

    def fault(self, what: str, at: int | None = None) -> ConstraintError:
        """What is wrong at the character of this index; by default at the next one."""
        number = (self.at if at is None else at) + 1
        return ConstraintError(f"the pattern {self.text[:80]!r} has at character {number} {what}")

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        if not (c := self.peek()):
            raise self.fault("an unexpected end")
        self.at += 1
        return c

    def whole(self) -> tuple[int, int]:
        if self.peek() == "^":
            self.at += 1
        part = self.alternatives(0)
        if self.at < len(self.text):
            raise self.fault("a ')' too many" if self.peek() == ")" else f"{self.peek()!r}")
        return part

    def alternatives(self, depth: int) -> tuple[int, int]:
        if depth > 50:
            raise self.fault("too many groups in each other")
        start, end = self.graph.state(), self.graph.state()
        while True:
            first, last = self.sequence(depth)
            self.graph.free[start].append(first)
            self.graph.free[last].append(end)
            if self.peek() != "|":
                return start, end
            self.at += 1

    def sequence(self, depth: int) -> tuple[int, int]:
        start = end = self.graph.state()
        while (c := self.peek()) and c not in "|)":
            if c == "$" and self.at == len(self.text) - 1:
                self.at += 1
                break
            first, last = self.repeated(depth)
            self.graph.free[end].append(first)
            end = last
        return start, end

    def repeated(self, depth: int) -> tuple[int, int]:
        begins = self.at
        start, end = self.atom(depth)
        while self.peek() and self.peek() in "?*+{":
            least, most = self.counts()
            after = self.at
            if self.peek() in ("?", "+"):
                raise self.fault("a lazy or possessive repetition")
            if (least, most) == (1, None):
                self.graph.free[end].append(start)
            else:
                first, last = start, end
                start = end = self.graph.state()
                copies = most if most is not None else least + 1
                skips = [start] if least == 0 else []
                for copy in range(copies):
                    if copy:  # the part is read again for each copy but the first
                        self.at = begins
                        first, last = self.part_until(after, depth)
                    self.graph.free[end].append(first)
                    if most is None and copy == copies - 1:
                        self.graph.free[last].append(first)
                    end = last
                    if copy + 1 >= least:
                        skips.append(end)
                final = self.graph.state()
                for state in {*skips, end}:
                    self.graph.free[state].append(final)
                end = final
                self.at = after
            if self.peek() and self.peek() in "*+?{":
                raise self.fault("a repetition of a repetition")
        return start, end

    def part_until(self, after: int, depth: int) -> tuple[int, int]:
        part = self.atom(depth)
        self.at = after
        return part

    def counts(self) -> tuple[int, int | None]:
        begins = self.at
        c = self.take()
        if c != "{":
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[c]
        inside = ""
        while (c := self.take()) != "}":
            inside += c
        least, comma, most = inside.partition(",")
        if not (least.isdecimal() and (most.isdecimal() or not most)):
            raise self.fault(f"{{{inside[:20]}}}, which is no number of times", begins)
        bounds = self.fault(f"{{{inside[:20]}}}: times go from 0 to {MOST_REPEATS}, the smaller first", begins)
        if max(len(least), len(most)) > 9:  # of thousands of digits Python makes no number
            raise bounds
        numbers = int(least), (int(most) if most else None) if comma else int(least)
        if max(n for n in numbers if n is not None) > MOST_REPEATS or (
            numbers[1] is not None and numbers[1] < numbers[0]
        ):
            raise bounds
        return numbers

    def atom(self, depth: int) -> tuple[int, int]:
        begins = self.at
        c = self.take()
        if c == "(":
            if self.peek() == "?":
                self.at += 1
                if self.take() != ":":
                    raise self.fault("a group that looks around or has a name or flags", begins)
            part = self.alternatives(depth + 1)
            if self.peek() != ")":
                raise self.fault("a '(' that is not closed", begins)
            self.at += 1
            return part
        if c in "*+?{":
            raise self.fault(f"nothing to repeat by {c!r}", begins)
        if c in "^$":
            raise self.fault(f"{c!r} inside; it stands for the start or end of the whole text", begins)
        if c == "[":
            return self.characters(self.bracket())
        if c == ".":
            return self.characters(self.alphabet)
        return self.characters(self.escaped() if c == "\\" else frozenset(c))

    def escaped(self) -> frozenset[str]:
        begins = self.at - 1  # of the backslash
        c = self.take()
        if c.lower() in CLASSES:
            inside = frozenset(filter(CLASSES[c.lower()], self.alphabet))
            return inside if c.islower() else self.alphabet - inside
        if c.isalnum():
            raise self.fault(f"the escape \\{c}", begins)
        return frozenset(c)

    def bracket(self) -> frozenset[str]:
        opposite = self.peek() == "^"
        self.at += opposite
        members: set[str] = set()
        first = True
        while first or self.peek() != "]":
            first = False
            begins = self.at
            c = self.take()
            one = self.escaped() if c == "\\" else frozenset(c)
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                low, high = c if len(one) == 1 and c != "\\" else "".join(one), self.take()
                if high == "\\":
                    high = "".join(self.escaped())
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise self.fault("a range that goes nowhere", begins)
                one = frozenset(d for d in self.alphabet if low <= d <= high)
            members |= one
        self.at += 1
        return self.alphabet - members if opposite else frozenset(members)

    def characters(self, which: frozenset[str]) -> tuple[int, int]:
        start, end = self.graph.state(), self.graph.state()
        self.graph.moves[start].append((which & self.alphabet, end))
        return start, end


def pattern(expression: str, vocabulary: Vocabulary) -> Constraint:
    r"""Texts that match a regular expression as a whole: `[A-Z]{2}\d{4}`, `\d\d/\d\d/\d{4}`.

    Raises:
        ConstraintError: the expression is not understood, too large, or matches nothing that the vocabulary can write.
    """
    parser = _Parser(expression, vocabulary.characters)
    start, end = parser.whole()
    graph = parser.graph
    alike = _alike(graph, vocabulary.characters)
    subsets = {graph.closure({start}): 0}
    edges: list[dict[int, int]] = []
    todo = list(subsets)
    work = 0
    for subset in todo:  # grows while it is gone through
        work += len(subset)
        if work > MOST_WORK:
            raise ConstraintError(f"the pattern {expression[:80]!r} is too large")
        targets: dict[int, set[int]] = {}
        for state in subset:
            for groups, following in alike.moves[state]:
                for group in groups:
                    targets.setdefault(group, set()).add(following)
        out = {}
        for group, following_states in sorted(targets.items()):
            following_subset = graph.closure(following_states)
            if following_subset not in subsets:
                if len(subsets) >= MOST_STATES:
                    raise _too_many(expression)
                subsets[following_subset] = len(subsets)
                todo.append(following_subset)
            out.update(dict.fromkeys(vocabulary.encode(alike.members[group]), subsets[following_subset]))
        edges.append(out)
    accepting = frozenset(number for subset, number in subsets.items() if end in subset)
    try:
        whole = in_normal_form(Constraint(tuple(edges), accepting), vocabulary.space)
    except ConstraintError as error:
        raise ConstraintError(f"{error} by the pattern {expression[:80]!r} and the model's characters") from None
    if len(whole.edges) > MOST_STATES:  # after a space and after another character are now two states
        raise _too_many(expression)
    return whole


def _too_many(expression: str) -> ConstraintError:
    return ConstraintError(f"the pattern {expression[:80]!r} needs more than {MOST_STATES} states")


@dataclass(frozen=True)
class _Alike:
    """Characters in groups that no part of an expression tells apart; moves by group instead of by character.

    Args:
        members: the characters of each group.
        moves: as of a _Graph.
    """

    members: list[str]
    moves: list[list[tuple[list[int], int]]]


def _alike(graph: _Graph, alphabet: str) -> _Alike:
    sets = {characters for moves in graph.moves for characters, _ in moves}
    members: dict[tuple[bool, ...], str] = {}
    for c in alphabet:
        signature = tuple(c in one for one in sets)
        members[signature] = members.get(signature, "") + c
    groups = list(members.values())
    of_set = {one: [i for i, group in enumerate(groups) if group[0] in one] for one in sets}
    return _Alike(groups, [[(of_set[characters], to) for characters, to in moves] for moves in graph.moves])
