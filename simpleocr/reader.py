"""OCR: one object that reads pages and lines; what most users need."""

import os
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from simpleocr.beam import WIDTH, beam_search
from simpleocr.check_boxes import without_box_before, without_check_boxes
from simpleocr.codes import WithCodes
from simpleocr.consensus import favouring, placed, weigh
from simpleocr.constraints import Constraint, ConstraintError, charset, lexicon
from simpleocr.decoding import DECODERS, Decoder, constrained
from simpleocr.detection import Detector
from simpleocr.document import Line, Page
from simpleocr.documents import load_pages
from simpleocr.geometry import Transform
from simpleocr.image import MAX_PIXELS, ImageSource, InputError, load_image
from simpleocr.layout import find_lines, whole
from simpleocr.memory import NowAndThen
from simpleocr.patterns import pattern
from simpleocr.recognition import Recognizer, recognize
from simpleocr.retry import DOUBT, Look, as_likely, look_again, looks, recognize_carefully, weighted
from simpleocr.runtimes import RUNTIMES, Runtime
from simpleocr.sharing import Shared
from simpleocr.sides import ALL_AROUND, ON_A_PAGE
from simpleocr.sight import Sight, mean_confidence, see, see_page
from simpleocr.small import are_sure, as_one, holds
from simpleocr.vocabulary import Vocabulary, normalize

DEFAULT_MODEL = "english"
DEFAULT_DETECTOR = "lines"
TRIM_EVERY = 1.0  # seconds after which the memory that pages have left is given back
# bytes of it that are given back at once; ONNX Runtime leaves less, and the time that it takes counts for more there
HOLES = {"torch": 32 * 2**20}
NUMBERS = (int, float, np.integer, np.floating)
NAMES = (str, os.PathLike)  # of models
# share of letters and digits, and mean confidence, below which what several lines say are specks and grain
FEW_LETTERS, DOUBTFUL_MARKS = 0.3, 0.7
NO_TEXT = 0.1  # mean confidence of a line's words below which it is none, on a page with others
SURE_LETTERS, SURE = 3, 0.9  # but so many letters, each read so surely, are text whatever it is that stands beside them


class OCR:
    r"""Reads text from pictures: `OCR()("photo.jpg").text`.

    One object serves any number of threads: reading changes nothing in it.

    Args:
        network: recognizes lines: a CRNN or an OnnxCRNN; by default the model that comes with the package. A CRNN's
            weights are copied: to read with changed ones, make another OCR.
        decoder: a name in DECODERS.
        charset: a line may have these characters only: `charset="0123456789.,"`.
        lexicon: a line is one of these words or phrases, as written.
        pattern: a line matches this regular expression as a whole: `pattern=r"\d\d/\d\d/\d{4}"`. Under one of these
            three, confidences are those among the texts that are allowed.
        language_weight: how much the language in the model's file has to say; 0 is nothing, 0.3 helps words and may
            change codes and names. Confidences stay those of the picture alone, too low where it had a say.
        retry: whether what was read doubtfully is looked at again from other sides; see retry.py.
        detector: finds the lines of pages; by name as for from_pretrained(). None tells lines apart by the profile of
            their ink, which does for upright print in one column.
        runtime: a name in RUNTIMES, for networks that are given by name. "onnx" does without torch and is faster on
            most processors, "onnx-int8" is faster still; both need onnx and onnxruntime.
        max_pixels: larger pictures are refused before they are decoded: a scan of A4 at 600 dots an inch has 35 million.

    Raises:
        ModelError: the default model is not there or damaged, or a runtime that is not installed.
        ConstraintError: a constraint that cannot be kept.
        ValueError: no decoder or runtime of that name, more than one constraint, a number out of its range, or a
            language that the model does not have.
        TypeError: a network or detector that is none.
    """

    def __init__(
        self,
        network: Recognizer | None = None,
        *,
        decoder: str = "greedy",
        charset: str | None = None,
        lexicon: Iterable[str] | None = None,
        pattern: str | None = None,
        language_weight: float = 0.0,
        retry: bool = True,
        detector: Detector | str | os.PathLike[str] | None = DEFAULT_DETECTOR,
        runtime: str = "torch",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not isinstance(max_pixels, NUMBERS) or not max_pixels >= 1:
            raise ValueError(f"max_pixels {max_pixels!r} is not a number from 1 on")
        _check_networks(network, detector)
        load = _runtime(runtime)
        self.network: Recognizer = load.recognizer(DEFAULT_MODEL) if network is None else network
        self._fast: Recognizer = _prepared(self.network)
        self.constraint = _constraint(self.network.vocabulary, charset, lexicon, pattern)
        self.language_weight = language_weight
        self._language = _language(self.network, language_weight)
        self.decoder = _decoder(decoder, self.constraint, self._language, language_weight)
        self.retry = retry
        self.max_pixels = max_pixels
        self.detector: Detector | None = load.detector(detector) if isinstance(detector, NAMES) else detector
        self._fast_detector: Detector | None = _prepared(self.detector) if self.detector is not None else None
        self._give_back = NowAndThen(TRIM_EVERY, HOLES.get(runtime))

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        decoder: str = "greedy",
        charset: str | None = None,
        lexicon: Iterable[str] | None = None,
        pattern: str | None = None,
        language_weight: float = 0.0,
        retry: bool = True,
        detector: Detector | str | os.PathLike[str] | None = DEFAULT_DETECTOR,
        runtime: str = "torch",
        max_pixels: int = MAX_PIXELS,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """A reader with the model `name`: a folder, a file, a shipped model, or a Hub repository "user/repo".

        What follows `max_pixels` is for the Hub only, see CRNN.from_pretrained(); the rest is as for OCR().

        Raises:
            ModelError: there is no such model, or it is damaged.
            ValueError: as OCR().
            TypeError: as OCR(), or a name that is none.
        """
        network = _runtime(runtime).recognizer(
            name,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
        )
        return cls(
            network,
            decoder=decoder,
            charset=charset,
            lexicon=lexicon,
            pattern=pattern,
            language_weight=language_weight,
            retry=retry,
            detector=detector,
            runtime=runtime,
            max_pixels=max_pixels,
        )

    def with_options(
        self,
        *,
        decoder: str = "greedy",
        charset: str | None = None,
        lexicon: Iterable[str] | None = None,
        pattern: str | None = None,
        language_weight: float = 0.0,
        retry: bool | None = None,
    ) -> Self:
        """Another reader with the same networks, which are not copied; options that are not given are those of OCR().

        Args:
            decoder: as all that follow, as for OCR().
            charset: at most one of this and the next two.
            lexicon: words or phrases.
            pattern: a regular expression.
            language_weight: 0..5.
            retry: by default as this reader has it.

        Raises:
            ValueError: as OCR().
        """
        other = copy(self)
        other.constraint = _constraint(self.network.vocabulary, charset, lexicon, pattern)
        other.language_weight = language_weight
        other._language = _language(self.network, language_weight)
        other.decoder = _decoder(decoder, other.constraint, other._language, language_weight)
        other.retry = self.retry if retry is None else retry
        return other

    def shared(self) -> Self:
        """The same for a server: what many threads want read at the same time is computed together."""
        other = copy(self)
        other._fast = Shared(self._fast)
        return other

    def __call__(self, source: ImageSource) -> Page:
        """Read a picture with one or several lines.

        Args:
            source: a path, bytes, a file object, a PIL image or a numpy array.

        Returns:
            A Page whose polygons are in the pixels of the upright picture; without lines where there is no text.

        Raises:
            InputError: the picture cannot be read.
        """
        image = load_image(source, max_pixels=self.max_pixels)
        found = tuple(self._lines_of(image))
        several = len(found) > 1
        if several:  # among others, what hardly reads as anything is a rule, a stain or a face
            found = tuple(line for line in found if mean_confidence([line]) >= NO_TEXT or _has_letters(line)) or found
        if self.constraint is None and _are_specks(found, DOUBTFUL_MARKS if several else NO_TEXT):
            found = ()
        self._give_back()
        return Page(found, image.size)

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        """Read a document page by page: all frames of a TIFF, all pages of a PDF, or the one picture that it is.

        Args:
            source: as for a call, or a PDF.

        Raises:
            InputError: as load_pages(), when the page is asked for that cannot be read.
        """
        return (self(image) for image in load_pages(source, max_pixels=self.max_pixels))

    def look_once(self, image: Image.Image) -> list[Sight]:
        """Each line of a picture at one look, in reading order, as the picture lies.

        Args:
            image: as load_image gives it.
        """
        return see(self._fast, image, find_lines(self._fast_detector, image), self.decoder)

    def recognize(self, sources: Sequence[ImageSource]) -> list[Line]:
        """Read pictures of one line each, in one go.

        Args:
            sources: as for a call; each picture is taken as one line, whatever its shape.

        Returns:
            A Line for each, in its own pixels; without characters where there is no text.

        Raises:
            InputError: a picture that cannot be read; of several, which one it is.
            TypeError: a single source where a list is wanted.
        """
        if isinstance(sources, str | bytes | os.PathLike | np.ndarray) or not isinstance(sources, Sequence):
            raise TypeError(
                "recognize() takes a list of pictures; for one picture give a list of one, or call the reader"
            )
        images = _load_each(sources, self.max_pixels)
        if not self.retry:
            return recognize(self._fast, images, self.decoder)
        return recognize_carefully(self._fast, images, self.decoder)

    def n_best(self, source: ImageSource, count: int = 5) -> list[Line]:
        """The likeliest readings of a picture of one line, each with its confidence; the first is what recognize() reads.

        Confidences add up to 1 at most: where the picture was looked at from several sides, all of them are what those
        sides say that favour the first.

        Args:
            source: as for a call.
            count: how many at most.

        Raises:
            InputError: the picture cannot be read.
            ValueError: a count below 1.
        """
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"count {count!r} is not a whole number from 1 on")
        look = self._look(source)
        if not look.line.text and self.constraint is not None and not self.constraint.accepts(()):
            return [look.line]  # it says nothing, so nothing that is allowed
        surest = max(look.readings, key=lambda reading: reading.log_confidence)
        found = beam_search(
            surest.log_probs,
            self.network.vocabulary,
            count=count,
            width=max(WIDTH, 2 * count),
            constraint=self.constraint,
            language=self._language,
            weight=self.language_weight,
            bonus=self.language_weight,
        )
        read = tuple(self._ids(look.line.text))
        first, *others = self._lines(look, list(dict.fromkeys([read, *(one.ids for one in found)])))
        likely = [line for line in others if line.confidence > 0]
        return [first, *sorted(likely, key=lambda line: -line.confidence)][:count]

    def score(self, source: ImageSource, candidates: Sequence[str]) -> list[Line]:
        """How likely does a picture of one line say each of these texts?

        Args:
            source: as for a call.
            candidates: texts; compared in the form of normalize().

        Returns:
            A Line for each candidate, in their order: its confidence is P(text | picture), under a constraint among
            what it allows, and its characters have theirs, and lie where they would have to be; the doubtful one is
            the one with the lowest confidence. A candidate that is too long for the picture, or not allowed, has
            confidence 0 and no characters.

        Raises:
            InputError: the picture cannot be read.
            TypeError: no list of texts.
            ConstraintError: a candidate with characters that the model cannot write.
        """
        try:
            given = _texts(candidates)
        except TypeError as error:
            raise TypeError(f"score() takes a list of candidates: {error}") from None
        vocabulary = self.network.vocabulary
        texts = [normalize(candidate) for candidate in given]
        for text in texts:
            if unknown := vocabulary.unknown(text):
                raise ConstraintError(f"the model cannot write {unknown[:5]} of {text[:60]!r}")
        return self._lines(self._look(source), [tuple(self._ids(text)) for text in texts])

    def _ids(self, text: str) -> list[int]:
        return self.network.vocabulary.encode(text)

    def _look(self, source: ImageSource) -> Look:
        (look,) = looks(
            self._fast, [load_image(source, max_pixels=self.max_pixels)], self.decoder, DOUBT if self.retry else 0.0
        )
        return look

    def _lines_of(self, image: Image.Image) -> list[Line]:
        """What is read on a picture: on one that may be a line by itself, as lines or as a whole."""
        detector, polygons = self._fast_detector, find_lines(self._fast_detector, image)
        one_line = polygons == [whole(image)]
        if one_line and self.retry:  # which is seen from all sides
            found = self._settled(see(self._fast, image, polygons, self.decoder))
        else:
            found = self._settled(see_page(self._fast, detector, image, polygons, self.decoder, once=not self.retry))
        found = [line for line in found if line.chars]
        if detector is None or one_line or are_sure(found):
            return found
        one = as_one(image, found, self.network.preprocessing)
        if one is None:
            return found
        (line,) = self._settled(see(self._fast, one, [whole(one)], self.decoder))
        line = line.moved(Transform.scale(image.width / one.width, image.height / one.height))
        return [line] if holds(line, found, image) else found

    def _settled(self, seen: Sequence[Sight]) -> list[Line]:
        """A line for each, in the picture's pixels; those in doubt looked at again."""
        lines = [sight.reading.line for sight in seen]
        level = [True] * len(seen)
        if self.retry:
            several = ALL_AROUND if len(seen) == 1 else ON_A_PAGE
            first = [sight.reading for sight in seen]
            crops = [
                without_box_before(line, sight.crop)
                if line.confidence < DOUBT and self.constraint is None
                else sight.crop
                for line, sight in zip(lines, seen, strict=True)
            ]
            told = self._told(lines, seen, level)
            again = look_again(self._fast, crops, first, self.decoder, effort=several, told=told)
            lines = [look.line for look in again]
            level = [look.back == Transform.identity() for look in again]
        written = self._told(lines, seen, level)
        return [line.moved(sight.back) for line, sight in zip(written, seen, strict=True)]

    def _told(self, lines: Sequence[Line], seen: Sequence[Sight], level: Sequence[bool]) -> list[Line]:
        """Lines, in their crops' pixels, without their check boxes, where they lie as they were seen."""
        if self.constraint is not None:  # what a line is held to, it says as a whole
            return list(lines)
        return [
            without_check_boxes(line, sight.crop) if upright else line
            for line, sight, upright in zip(lines, seen, level, strict=True)
        ]

    def _lines(self, look: Look, texts: Sequence[tuple[int, ...]]) -> list[Line]:
        """Any texts as what one picture says; those that are not allowed or do not fit have confidence 0."""
        vocabulary, seen = self.network.vocabulary, look.readings
        views = favouring(vocabulary, seen, look.line.text)
        room = max(len(reading.log_probs) for reading in seen)
        possible = [
            ids for ids in texts if len(ids) <= room and (self.constraint is None or self.constraint.accepts(ids))
        ]
        weighed = {}
        # where it was seen in one of several ways, all that it says is as likely as that way is
        (told,) = weigh(vocabulary, [seen[i] for i in views], [self._ids(look.line.text)])
        share = weighted(told.confidence, look.odds) / told.confidence if told.confidence > 0 else 1.0
        if possible:
            of_each = weigh(vocabulary, [seen[i] for i in views], possible)
            weighed = {ids: replace(one, view=views[one.view]) for ids, one in zip(possible, of_each, strict=True)}
        lines = []
        for ids in texts:
            line = Line((), look.line.polygon, 0.0)
            if ids in weighed and weighed[ids].confidence > 0:
                line = placed(vocabulary, seen, ids, weighed[ids]).line.moved(look.back)
                line = as_likely(line, share * line.confidence)
            lines.append(line)
        return lines


def _load_each(sources: Sequence[ImageSource], max_pixels: int) -> list[Image.Image]:
    """All pictures; of bytes and arrays only their number tells which of them cannot be read."""
    images = []
    for number, source in enumerate(sources, 1):
        try:
            images.append(load_image(source, max_pixels=max_pixels))
        except InputError as error:
            if len(sources) == 1:
                raise
            raise InputError(f"picture {number} of {len(sources)}: {error}") from error
    return images


def _has_letters(line: Line) -> bool:
    """Whether a line of which the whole is unlikely has letters all the same, as "Date: ____" has, whose blanks are many."""
    return sum(char.text.isalnum() and char.confidence >= SURE for char in line.chars) >= SURE_LETTERS


def _are_specks(lines: Sequence[Line], doubtful: float) -> bool:
    """Whether what was read is grain and dirt: nearly nothing but marks, of less confidence than is `doubtful`."""
    read = "".join(line.text for line in lines)
    letters = sum(char.isalnum() for char in read)
    return letters < FEW_LETTERS * len(read) and mean_confidence(lines) < doubtful


def _check_networks(network: object, detector: object) -> None:
    """Whether they are what OCR() takes.

    Raises:
        TypeError: one is not.
    """
    if isinstance(network, NAMES):
        raise TypeError(f"OCR() takes a network: OCR.from_pretrained({os.fspath(network)!r}) loads one by its name")
    if network is not None and not hasattr(network, "log_probs"):
        raise TypeError(f"{network!r:.60} is not a network: a CRNN or an OnnxCRNN is accepted")
    if detector is not None and not isinstance(detector, NAMES) and not hasattr(detector, "cell_probs"):
        raise TypeError(f"{detector!r:.60} is not a detector: a LineNet, an OnnxLineNet, a name or None is accepted")


def _prepared(network: Any) -> Any:
    """A network that is as fast as it can be; one of torch's is copied for that."""
    if not hasattr(network, "eval"):
        return network
    from simpleocr.inference import for_inference

    return for_inference(network.eval())


def _runtime(name: str) -> Runtime:
    if name not in RUNTIMES:
        raise ValueError(f"no runtime {name!r}: there are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]


def _constraint(
    vocabulary: Vocabulary, characters: str | None, words: Iterable[str] | None, expression: str | None
) -> Constraint | None:
    if sum(given is not None for given in (characters, words, expression)) > 1:
        raise ValueError("only one of charset, lexicon and pattern can be given")
    for name, given in (("charset", characters), ("pattern", expression)):
        if given is not None and not isinstance(given, str):
            raise ConstraintError(f"a {name} is one text, not {given!r:.60}")
    if characters is not None:
        return charset(characters, vocabulary)
    if words is not None:
        try:
            return lexicon(_texts(words), vocabulary)
        except TypeError as error:
            raise ConstraintError(f"a lexicon is a list of words: {error}") from None
    return pattern(expression, vocabulary) if expression is not None else None


def _texts(given: Iterable[str]) -> list[str]:
    """Several texts, if they are some.

    Raises:
        TypeError: one text, which would be taken for its letters, or what is none.
    """
    if isinstance(given, str):
        raise TypeError("for one text give a list of one")
    if not isinstance(given, Iterable):
        raise TypeError(f"{given!r:.60} is none")
    texts = list(given)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r:.60} is no text")
    return texts


def _language(network: Recognizer, weight: float) -> WithCodes | None:
    """What is asked how texts go on; None where nothing is."""
    if not isinstance(weight, NUMBERS) or not 0 <= weight <= 5:
        raise ValueError(f"language_weight {weight!r} is not in 0..5")
    if weight and network.language is None:
        raise ValueError("the model has no language: python -m training.language gives it one")
    return WithCodes(network.language, network.vocabulary) if weight and network.language is not None else None


def _decoder(name: str, constraint: Constraint | None, language: WithCodes | None, weight: float) -> Decoder:
    if name not in DECODERS:
        raise ValueError(f"no decoder {name!r}: there are {', '.join(DECODERS)}")
    if constraint is None and language is None:
        return DECODERS[name]
    return constrained(constraint, language=language, weight=weight)
