"""training.corpus and texts: texts from any source, each in the form and the characters that a label may have."""

import re
import string
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simpleocr.vocabulary import VOCABULARIES, normalize
from training import texts as module
from training.corpus import Corpus, load_corpus
from training.texts import MAX_CHARACTERS, sample_text

ENGLISH = VOCABULARIES["english"]
KINDS = list(module._SHARES)


@pytest.fixture(scope="module")
def topics() -> Corpus:
    """What there is without any file."""
    return load_corpus()


def frequency_list(words: int) -> str:
    letters = string.ascii_lowercase
    return "".join(f"{letters[i // 26 % 26]}{letters[i % 26]} {10_000 - i}\n" for i in range(words))


def test_running_text_gives_words_and_its_own_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The cat, the cat -- and the “dog”!\nNo. 7 of 9.\n", encoding="utf-8")
    found = load_corpus([tmp_path / "a.txt"])
    assert found.running == ["The", "cat,", "the", "cat", "—", "and", "the", "“dog”!", "No.", "7", "of", "9."]
    assert list(found.words[:2]) == ["cat", "the"], "the most frequent first"
    assert set(found.words) == {"The", "cat", "the", "and", "dog", "No", "of"}, "no numbers, no punctuation"
    assert len(found.weights) == len(found.words)


def test_spans_are_neighbours_even_where_the_text_is_shorter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three", encoding="utf-8")
    found = load_corpus([tmp_path / "a.txt"])
    spans = {found.span(Random(i), count) for i in range(20) for count in (1, 2, 3, 50)}
    assert spans <= {"one", "two", "three", "one two", "two three", "one two three"}
    assert "one two three" in spans


def test_a_frequency_list_gives_words_and_not_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(frequency_list(300), encoding="utf-8")
    found = load_corpus([tmp_path / "a.txt"])
    assert len(found.words) == 300
    assert list(found.words[:3]) == ["aa", "ab", "ac"]
    assert list(found.running) == list(found.words)


@pytest.mark.parametrize("count", [5, 90])
def test_a_short_frequency_list_is_one_too(tmp_path: Path, count: int) -> None:
    (tmp_path / "a.txt").write_text(frequency_list(count), encoding="utf-8")
    assert len(load_corpus([tmp_path / "a.txt"]).running) == count


def test_folders_are_read_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("second", encoding="utf-8")
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    (tmp_path / "deep" / "c.txt").write_text("third", encoding="utf-8")
    (tmp_path / "d.md").write_text("never", encoding="utf-8")
    assert load_corpus([tmp_path]).running == ["first", "second", "third"]


def test_frequency_lists_and_text_go_together(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(frequency_list(200), encoding="utf-8")
    (tmp_path / "text.txt").write_text("some running text", encoding="utf-8")
    found = load_corpus([tmp_path / "list.txt", tmp_path / "text.txt"])
    assert found.running == ["some", "running", "text"]
    assert {"aa", "running"} <= set(found.words)


def test_nothing_given_gives_plenty_of_english(topics: Corpus) -> None:
    assert len(topics.words) > 2000
    assert len(topics.running) > 20_000
    assert {"the", "value", "function"} <= set(topics.words[:400])


def cut(path: Path) -> None:
    path.write_bytes("für".encode("latin-1"))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def spaces(path: Path) -> None:
    path.write_bytes(b" \n\t\n")


def missing(path: Path) -> None:
    """Nothing to make."""


def folder(path: Path) -> None:
    path.mkdir()
    (path / "x.txt").mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (cut, "not UTF-8: byte 1 is 0xfc"),
        (empty, "no words"),
        (spaces, "no words"),
        (missing, "cannot read"),
        (folder, "cannot read"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path: Path, make: Callable[[Path], None], says: str) -> None:
    path = tmp_path / "bad.txt"
    make(path)
    with pytest.raises(ValueError, match=says) as caught:
        load_corpus([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no words in .*{tmp_path.name}"):
        load_corpus([tmp_path])


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_two_thousand_texts_are_all_fit_to_be_labels(topics: Corpus, name: str) -> None:
    vocabulary, rng = VOCABULARIES[name], Random(5)
    texts = [sample_text(topics, vocabulary, rng) for _ in range(2000)]
    for text in texts:
        assert 1 <= len(text) <= MAX_CHARACTERS, text
        assert not vocabulary.unknown(text), text
        assert normalize(text) == text, text
    again = Random(5)
    assert texts == [sample_text(topics, vocabulary, again) for _ in range(2000)]
    assert len(set(texts)) > (500 if name == "digits" else 1500)
    if name != "digits":
        assert len(set(vocabulary.characters) - set("".join(texts))) <= 3, "nearly every character comes"


def test_a_text_that_is_too_long_is_cut_and_still_normal(topics: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: Any) -> str:
        return "a" * (MAX_CHARACTERS - 1) + " b" * 200

    monkeypatch.setattr(module, "_KINDS", [endless] * len(KINDS))
    assert sample_text(topics, ENGLISH, Random(0)) == "a" * (MAX_CHARACTERS - 1), "no space at the end"


def test_where_no_kind_can_be_written_there_is_still_a_text(topics: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KINDS", [lambda *_: "Ω \n "] * len(KINDS))
    assert sample_text(topics, VOCABULARIES["digits"], Random(0)) in set(string.digits)


def test_decomposed_letters_and_odd_spaces_in_the_source_do_not_reach_a_label(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "plain cafe\u0301 \u00a0 na\u00efve\u200b \x00soft\u00adhyphen \ufeffmark " * 50, encoding="utf-8"
    )
    found, rng = load_corpus([tmp_path / "a.txt"]), Random(1)
    for _ in range(300):
        text = sample_text(found, ENGLISH, rng)
        assert text
        assert normalize(text) == text
        assert not ENGLISH.unknown(text)


def test_decomposed_words_are_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cafe\u0301 plain", encoding="utf-8")
    assert "caf\u00e9" in load_corpus([tmp_path / "a.txt"]).words


def test_every_kind_has_its_share(topics: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[int, int] = {}

    def counting(number: int) -> Callable[..., str]:
        def kind(*args: Any) -> str:
            drawn[number] = drawn.get(number, 0) + 1
            return KINDS[number](*args)

        return kind

    monkeypatch.setattr(module, "_KINDS", [counting(i) for i in range(len(KINDS))])
    rng = Random(3)
    for _ in range(3000):
        sample_text(topics, ENGLISH, rng)
    total = sum(module._SHARES.values())
    for number, kind in enumerate(KINDS):
        expected = 3000 * module._SHARES[kind] / total
        assert drawn.get(number, 0) >= max(1, expected * 0.6 - 5), kind.__name__
        assert drawn[number] <= expected * 1.4 + 12, kind.__name__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_each_kind_is_determined_by_its_seed_and_varies(topics: Corpus, kind: Callable[..., str]) -> None:
    texts = [kind(topics, ENGLISH, Random(seed)) for seed in range(200)]
    assert texts == [kind(topics, ENGLISH, Random(seed)) for seed in range(200)]
    assert len(set(texts)) > 40
    assert all(texts)
    for vocabulary in VOCABULARIES.values():
        for seed in range(50):
            kind(topics, vocabulary, Random(seed))


def test_ordinals_end_as_they_are_spoken(topics: Corpus) -> None:
    texts = [module._look_alikes(topics, ENGLISH, Random(seed)) for seed in range(3000)]
    found = {match[0] for text in texts if (match := re.match(r"\d+(st|nd|rd|th)\b", text))}
    assert {"1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd"} <= found
    assert not found & {"11st", "12nd", "13rd", "1th", "111st"}


def test_dots_are_mostly_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("well… so… it… goes…", encoding="utf-8")
    found, rng = load_corpus([tmp_path / "a.txt"]), Random(0)
    texts = [sample_text(found, ENGLISH, rng) for _ in range(1000)]
    assert sum("..." in text for text in texts) > 2 * sum("…" in text for text in texts) > 0


def test_a_corpus_of_one_word_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word", encoding="utf-8")
    found, rng = load_corpus([tmp_path / "a.txt"]), Random(0)
    assert any("word" in sample_text(found, ENGLISH, rng).lower() for _ in range(20))


def test_rare_words_come_too_and_frequent_ones_more_often(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(frequency_list(400), encoding="utf-8")
    found, rng = load_corpus([tmp_path / "a.txt"]), Random(0)
    words = [found.word(rng) for _ in range(8000)]
    assert len(set(words)) > 390
    assert words.count("aa") > 1.3 * words.count(found.words[-1])


def test_marks_that_are_easily_lost_or_miscounted(topics: Corpus) -> None:
    def texts(kind: str) -> list[str]:
        return [module.KINDS[kind](topics, ENGLISH, Random(seed)) for seed in range(500)]

    assert all(re.fullmatch(r"\S( \S)+", text) for text in texts("spaced"))
    leaders = texts("leaders")
    assert all(re.search(r"[._*-]{3}|\.( \.){2}", text) for text in leaders), leaders
    assert not any(set(text) <= set("_-") for text in leaders), "of which nobody could tell how many they are"
    assert all(not text[0].isalnum() for text in texts("led"))
