"""Documents: every page of a picture file, a multi-page TIFF or a PDF, one at a time."""

from collections.abc import Iterator
from threading import RLock

from PIL import Image, TiffImagePlugin

from simpleocr.image import (
    MAX_PIXELS,
    ImageSource,
    InputError,
    decode_picture,
    load_image,
    open_picture,
    read_source,
)

PDF_DPI = 200.0  # dots an inch at which a PDF's pages are drawn: print of 6 points is 12 pixels high
# the library is not made for several threads; the command line reads with several. One that holds it may need it again:
# the garbage collector closes a document that was left half read, whenever it runs
PDFIUM = RLock()
MAX_PAGES = 10_000  # of a document; more is a trap or a mistake


def load_pages(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The pages of a document, as load_image() gives pictures; drawn or decoded when they are asked for.

    A TIFF has a page for every frame, a PDF one for each of its own; of any other file, and of PIL images and arrays,
    there is one.

    Args:
        source: as for load_image(), or a PDF.
        max_pixels: larger pages are refused before they are decoded; those of a PDF are drawn with fewer dots an inch.

    Raises:
        InputError: as load_image(); a PDF that is damaged or needs a password, or where pypdfium2 is not installed.
            Raised when the page is asked for that cannot be read.
    """
    if not isinstance(source, bytes | bytearray | memoryview) and not _is_file(source):
        yield load_image(source, max_pixels=max_pixels)
        return
    data, name = read_source(source)
    if b"%PDF-" in data[:1024]:
        yield from _pdf_pages(data, name, max_pixels)
        return
    picture = open_picture(data, name)
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        yield decode_picture(picture, name, max_pixels=max_pixels)
        return
    number = 0
    while number < MAX_PAGES:
        which = f"page {number + 1} of {name}"
        try:
            picture.seek(number)
        except EOFError:
            return
        except Exception as error:
            raise InputError(f"{which} is damaged or cut off ({error})") from error
        yield decode_picture(picture, which, max_pixels=max_pixels)
        number += 1
    raise InputError(f"{name} has more than {MAX_PAGES:,} pages")


def _is_file(source: object) -> bool:
    return isinstance(source, str) or hasattr(source, "__fspath__") or callable(getattr(source, "read", None))


def _pdf_pages(data: bytes, name: str, max_pixels: int) -> Iterator[Image.Image]:
    try:
        import pypdfium2 as pdfium
    except ImportError as error:
        raise InputError(f"{name} is a PDF: reading those needs pypdfium2: pip install pypdfium2") from error
    try:
        with PDFIUM:
            document = pdfium.PdfDocument(data)
            count = len(document)
    except pdfium.PdfiumError as error:
        kind = "needs a password" if "password" in str(error).lower() else "is a damaged PDF"
        raise InputError(f"{name} {kind} ({error})") from error
    try:
        if not count:
            raise InputError(f"{name} is a PDF without pages")
        if count > MAX_PAGES:
            raise InputError(f"{name} has {count:,} pages: up to {MAX_PAGES:,} are read")
        for number in range(count):
            which = f"page {number + 1} of {name}"
            try:
                with PDFIUM:
                    page = document[number]
                    width, height = page.get_size()
                    scale = PDF_DPI / 72
                    if width * height * scale**2 > max_pixels:  # a poster: fewer dots an inch
                        scale = (0.99 * max_pixels / (width * height)) ** 0.5
                    image = page.render(scale=scale, may_draw_forms=True).to_pil()
                    page.close()
            except pdfium.PdfiumError as error:
                raise InputError(f"{which} cannot be drawn ({error})") from error
            yield decode_picture(image, which, max_pixels=max_pixels)
    finally:
        with PDFIUM:
            document.close()
