"""Guard: what stands before a public page: bounded requests, no errands to other hosts, clear refusals, swept folders.

Plain ASGI, so that it can be put before any server and be tested without one.
"""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

UPLOAD = re.compile(r"^(/gradio_api)?/upload/?$")
# Gradio's server fetches what others host, without a limit, writes files that it never deletes, and has developers' routes
ERRANDS = re.compile(
    r"^(/gradio_api)?/(file[=/]\s*[a-z]+:|proxy=|deep_link|dev/|vibe-|process_recording)", re.IGNORECASE
)
RUN = re.compile(r"^(/gradio_api)?/(run|api)/")
STRANGE = "This request is not understood; what is can be read at the foot of the page, under “Use it from a program”."
BUSY = "Too many pictures are waiting to be read just now; please try again in a minute."


class _TooLarge(Exception):  # noqa: N818 - it is raised through the guarded app and caught behind it
    pass


class Guard:
    """An ASGI app that lets through to another what is small enough and meant for it.

    Args:
        app: the guarded one.
        max_upload: bytes of an upload, all its files and fields together.
        max_body: bytes of any other request.
    """

    def __init__(self, app: App, max_upload: int, max_body: int) -> None:
        self.app, self.max_upload, self.max_body = app, max_upload, max_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if ERRANDS.match(path):
            await _answer(send, 403, "Nothing is fetched for others here.")
            return
        allowed = self.max_upload if UPLOAD.match(path) else self.max_body
        started, refused, received = False, False, 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > allowed:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started, refused
            if refused:
                return
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 500 and RUN.match(path):  # so Gradio calls what was refused with a sentence
                    message = {**message, "status": 400}
                if message["status"] == 503:  # the queue is full: said in numbers by Gradio
                    refused = True
                    await _answer(send, 503, BUSY)
                    return
                if received > allowed:  # somebody in between made something else of it
                    refused = True
                    await _answer(send, 413, _too_large(allowed))
                    return
            await send(message)

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > allowed:
            await _answer(send, 413, _too_large(allowed))
            return
        try:
            await self.app(scope, counted, watched)
        except _TooLarge:
            if not started:
                await _answer(send, 413, _too_large(allowed))
        except (OSError, MemoryError):
            raise  # no request is to blame for those
        except Exception as error:  # noqa: BLE001 - Gradio raises what an unknown name, number or argument leads it to
            logging.getLogger("simpleocr.guard").info("%s %s: %r", scope.get("method"), path, error)
            if not started:
                await _answer(send, 400, STRANGE)
            elif not refused:
                await send({"type": "http.response.body", "body": b""})


def _too_large(allowed: int) -> str:
    return f"A request may hold at most {allowed // 2**20} MB."


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def sweep(folder: Path, older_than: float) -> int:
    """Delete the files in a folder that nobody has written to for so many seconds, and folders that are empty as long.

    Returns:
        How many files were deleted.
    """
    before, swept = time.time() - older_than, 0
    found = sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True)
    for path in found:
        try:
            if path.lstat().st_mtime > before:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
                swept += 1
        except OSError:  # not empty, or gone meanwhile
            continue
    return swept


def keep_swept(folder: Path, older_than: float, every: float) -> Event:
    """Sweep a folder again and again in a thread of its own, until the event that is returned is set."""
    done = Event()

    def run() -> None:
        while not done.wait(every):
            sweep(folder, older_than)

    Thread(target=run, name="sweeper", daemon=True).start()
    return done
