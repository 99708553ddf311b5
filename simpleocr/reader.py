"""OCR: one object that reads pages and lines; what most users need."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from simpleocr.crnn import CRNN
from simpleocr.decoding import DECODERS, Decoder
from simpleocr.detection import crop_line, detect_lines
from simpleocr.document import Line, Page
from simpleocr.image import ImageSource, load_image
from simpleocr.recognition import recognize

DEFAULT_MODEL = "english"


class OCR:
    """Reads text from pictures: `OCR()("photo.jpg").text`.

    One object serves any number of threads: reading changes nothing in it.

    Args:
        network: recognizes lines; by default the model that comes with the package.
        decoder: a name in DECODERS.

    Raises:
        ModelError: the default model is not there or damaged.
        ValueError: no decoder of that name.
    """

    def __init__(self, network: CRNN | None = None, *, decoder: str = "greedy") -> None:
        self.network = (network or CRNN.from_pretrained(DEFAULT_MODEL)).eval()
        self.decoder: Decoder = _decoder(decoder)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        decoder: str = "greedy",
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """A reader with the model `name`: a folder, a file, a shipped model, or a Hub repository "user/repo".

        Raises:
            ModelError: there is no such model, or it is damaged.
        """
        network = CRNN.from_pretrained(
            name,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
        )
        return cls(network, decoder=decoder)

    def __call__(self, source: ImageSource) -> Page:
        """Read a picture with one or several lines.

        Args:
            source: a path, bytes, a file object, a PIL image or a numpy array.

        Returns:
            A Page whose polygons are in the pixels of the upright picture; without lines where there is no text.

        Raises:
            InputError: the picture cannot be read.
        """
        image = load_image(source)
        crops = [crop_line(image, polygon) for polygon in detect_lines(image)]
        read = recognize(self.network, [crop for crop, _ in crops], self.decoder)
        lines = (line.moved(to_page) for line, (_, to_page) in zip(read, crops, strict=True))
        return Page(tuple(line for line in lines if line.chars), image.size)

    def recognize(self, sources: Sequence[ImageSource]) -> list[Line]:
        """Read pictures of one line each, in one go.

        Args:
            sources: as for a call; each picture is taken as one line, whatever its shape.

        Returns:
            A Line for each, in its own pixels; without characters where there is no text.

        Raises:
            InputError: a picture that cannot be read.
            TypeError: a single source where a list is wanted.
        """
        if isinstance(sources, str | bytes | os.PathLike | np.ndarray) or not isinstance(sources, Sequence):
            raise TypeError(
                "recognize() takes a list of pictures; for one picture give a list of one, or call the reader"
            )
        return recognize(self.network, [load_image(source) for source in sources], self.decoder)


def _decoder(name: str) -> Decoder:
    if name not in DECODERS:
        raise ValueError(f"no decoder {name!r}: there are {', '.join(DECODERS)}")
    return DECODERS[name]
