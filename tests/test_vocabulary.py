"""simpleocr.vocabulary: one form for each text, and ids that come back as the same text."""

import dataclasses
import pickle
import string
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.vocabulary import BLANK, VOCABULARIES, Vocabulary, VocabularyError, normalize

PRINTABLE = {chr(code) for code in range(0x20, 0x7F)}
TYPOGRAPHIC = set("‘’“”–—…•£€°§©®™×½¼¾")
SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
# what compositions, reorderings and foldings are made of, beside everything else
TRICKY = "eE\u0301\u0323\u0327\u0338 \t\r\n\x1c\x85\xa0\u2000\u2003\u2028\u3000\u200b\u0344\u0958\u1100\u1161\u11a8\u212b\u1fef"
law = settings(deadline=None, max_examples=50)
texts = st.text(st.one_of(st.sampled_from(TRICKY), st.characters()), max_size=30)


@law
@given(texts)
def test_normalize_reaches_one_form_and_stays_there(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert "  " not in once
    assert [c for c in once if c.isspace() and c != " "] == []


@law
@given(texts, st.sampled_from(SPACES), st.sampled_from(SPACES))
def test_normalize_folds_what_a_picture_does_not_show(text: str, first: str, second: str) -> None:
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(text)
    assert normalize(first + text + second + first) == normalize(text)
    assert normalize("x" + first + second + text) == normalize(f"x {text}")


@law
@given(texts)
def test_normalize_loses_nothing_but_white_space(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert unicodedata.normalize("NFD", "".join(normalize(text).split())) == "".join(decomposed.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \t\n", ""),
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("q\u0307\u0323", "q\u0323\u0307"),  # no composed form: the marks are put in order
        ("\u1112\u1161\u11ab", "한"),
        ("\ufb01 ½ × ™", "\ufb01 ½ × ™"),  # a picture does show these: NFC, not NFKC
        ("‘a’", "‘a’"),
        ("a\u00a0\u2003\r\nb", "a b"),
        ("A b", "A b"),
    ],
)
def test_normalize_by_example(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"U+{ord(space):04X}")
def test_every_white_space_becomes_a_space(space: str) -> None:
    assert normalize(f"{space}a{space}{space}b{space}") == "a b"


@pytest.mark.parametrize("name", VOCABULARIES)
def test_named_vocabularies(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    ids = vocabulary.encode(vocabulary.characters)
    assert ids == list(range(1, len(vocabulary) + 1))
    assert vocabulary.decode(ids) == vocabulary.characters
    assert vocabulary.num_classes == len(vocabulary) + 1
    assert BLANK not in ids
    assert vocabulary.unknown(vocabulary.characters) == []
    for character in set(vocabulary.characters) - {" "}:  # something to draw, in the form that labels have
        assert normalize(character) == character
        assert unicodedata.category(character)[0] not in "CZ", ascii(character)
    assert normalize(vocabulary.characters) in {vocabulary.characters, vocabulary.characters.strip()}


def test_digits_ascii_and_english_have_what_they_say() -> None:
    assert VOCABULARIES["digits"].characters == string.digits
    assert set(VOCABULARIES["ascii"].characters) == PRINTABLE
    assert len(VOCABULARIES["ascii"]) == 95
    english = set(VOCABULARIES["english"].characters)
    assert english >= PRINTABLE | TYPOGRAPHIC


@pytest.mark.parametrize(
    ("characters", "fault"),
    [
        ("", "at least one"),
        ("abca", "'a'"),
        ("a  b", "' '"),
        ("a\ud800", "surrogate"),
        ("\udcff", "surrogate"),
        ("a\n", "control"),
        ("\t", "control"),
        ("\x00", "control"),
        ("\x7f", "control"),
        ("\x85", "control"),
        ("\u212b", "normalize"),  # the angstrom sign, in NFC a letter
        ("\u0344", "normalize"),  # in NFC two code points
        ("\u0958", "normalize"),  # excluded from composition
        ("\xa0", "normalize"),
        ("\u2028", "normalize"),
        ("\u3000", "normalize"),
    ],
    ids=ascii,
)
def test_unusable_vocabularies(characters: str, fault: str) -> None:
    with pytest.raises(VocabularyError, match=fault) as caught:
        Vocabulary(characters)
    assert isinstance(caught.value, ValueError)
    str(caught.value).encode()  # can be printed


def test_decomposed_characters_are_two() -> None:
    assert len(Vocabulary("é")) == 1
    assert Vocabulary("é").unknown("e\u0301") == ["e", "\u0301"]
    assert Vocabulary("é").encode(normalize("e\u0301")) == [1]


@law
@given(st.data())
def test_encode_and_decode_round_trip(data: st.DataObject) -> None:
    vocabulary = VOCABULARIES[data.draw(st.sampled_from(sorted(VOCABULARIES)))]
    text = data.draw(st.text(vocabulary.characters))
    ids = vocabulary.encode(text)
    assert all(type(i) is int and 1 <= i <= len(vocabulary) for i in ids)
    assert vocabulary.decode(ids) == text
    again = data.draw(st.lists(st.integers(1, len(vocabulary))))
    assert vocabulary.encode(vocabulary.decode(again)) == again


@law
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8), st.text(st.characters()))
def test_any_accepted_vocabulary_writes_all_or_names_what_it_lacks(characters: str, text: str) -> None:
    try:
        vocabulary = Vocabulary(characters)
    except VocabularyError:
        return
    if missing := vocabulary.unknown(text):
        assert missing == list(dict.fromkeys(c for c in text if c not in characters))
        with pytest.raises(VocabularyError) as caught:
            vocabulary.encode(text)
        assert repr(missing[0]) in str(caught.value)
        str(caught.value).encode()
    else:
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_unknown_names_each_once_in_order() -> None:
    assert VOCABULARIES["digits"].unknown("b1a2b a") == ["b", "a", " "]
    assert VOCABULARIES["digits"].unknown("") == []
    assert VOCABULARIES["digits"].encode("") == []
    assert VOCABULARIES["digits"].decode([]) == ""


@pytest.mark.parametrize("class_id", [BLANK, -1, -3, 4, 10**9])
def test_ids_that_are_no_character(class_id: int) -> None:
    with pytest.raises(VocabularyError, match=str(class_id)):
        Vocabulary("abc").character(class_id)
    with pytest.raises(VocabularyError, match=str(class_id)):
        Vocabulary("abc").decode([1, class_id])


def test_vocabularies_are_frozen_values() -> None:
    first, second = Vocabulary("ab"), Vocabulary("ab")
    assert first.encode("b") == [2]  # fills a cache, which must not count
    assert first == second
    assert hash(first) == hash(second)
    assert first != Vocabulary("ba")
    assert pickle.loads(pickle.dumps(first)) == first
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.characters = "c"  # type: ignore[misc]


@pytest.mark.parametrize("wrong", [None, 5, b"text"])
def test_what_is_no_text_is_not_normalized(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"normalize\(\) takes a text, not"):
        normalize(wrong)
