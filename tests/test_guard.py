import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from simpleocr.guard import BUSY, STRANGE, Guard, Message, Receive, Send, keep_swept, sweep


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Reads the whole body and answers with its length; of /busy, that the queue is full."""
    count = 0
    while True:
        message = await receive()
        count += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 503 if scope["path"] == "/busy" else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % count, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def swallow(scope: Message, receive: Receive, send: Send) -> None:
    """A framework that turns whatever goes wrong in a body into an answer of its own."""
    try:
        await echo(scope, receive, send)
    except Exception:  # noqa: BLE001
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"an error"})


def ask(path: str, *chunks: bytes, declared: bytes | None = None, app: Any = echo) -> tuple[int, bytes]:
    """Status and body of the answer; the messages must be one start and then bodies."""
    sent: list[Message] = []
    waiting = list(chunks) or [b""]

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", declared)]
    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(Guard(app, max_upload=3 * 2**20, max_body=2**20)(scope, receive, send))
    assert [message["type"] for message in sent[:1]] == ["http.response.start"]
    assert {message["type"] for message in sent[1:]} == {"http.response.body"}
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


MB = b"x" * 2**20


@pytest.mark.parametrize("app", [echo, swallow])
def test_bodies_are_bounded_declared_or_not(app: Any) -> None:
    assert ask("/gradio_api/queue/join", MB, app=app) == (200, b"%d" % 2**20)
    assert ask("/gradio_api/queue/join", MB, b"x", app=app)[0] == 413
    assert ask("/gradio_api/upload", MB, MB, MB, app=app)[0] == 200
    assert ask("/gradio_api/upload", MB, MB, MB, b"x", app=app)[0] == 413
    assert ask("/gradio_api/upload/..", MB, b"x", app=app)[0] == 413
    assert json.loads(ask("/a", MB, MB, app=app)[1]) == {"detail": "A request may hold at most 1 MB."}


@pytest.mark.parametrize("declared", [b"1048577", b"-1", b"1e9", b"", b"99999999999999999999"])
def test_a_length_that_is_too_large_or_none_is_refused_before_anything_is_read(declared: bytes) -> None:
    assert ask("/a", declared=declared)[0] == 413


def test_a_full_queue_is_said_in_one_sentence() -> None:
    status, body = ask("/busy")
    assert (status, json.loads(body)) == (503, {"detail": BUSY})


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.com/a", "/gradio_api/file=HTTP://example.com", "/file=https://example.com",
        "/gradio_api/file/https://example.com", "/gradio_api/file= https://example.com", "/gradio_api/file=ftp://a",
        "/gradio_api/proxy=https://example.com", "/GRADIO_API/PROXY=x", "/gradio_api/deep_link", "/gradio_api/dev/reload", "/gradio_api/vibe-edit/",
        "/gradio_api/process_recording",
    ],
)  # fmt: skip
def test_no_errands_are_run(path: str) -> None:
    assert ask(path)[0] == 403


@pytest.mark.parametrize("path", ["/", "/gradio_api/file=/tmp/up/https:/a.png", "/gradio_api/upload", "/config"])
def test_everything_else_is_let_through(path: str) -> None:
    assert ask(path)[0] == 200


def test_old_files_and_folders_go_and_new_ones_stay(tmp_path: Path) -> None:
    for name in ("old/a.png", "old/b/c.png", "mixed/old.png", "mixed/new.png", "cut-off"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "elsewhere.txt").write_text("kept")
    (tmp_path / "old" / "link").symlink_to(tmp_path / "mixed")
    for path in tmp_path.rglob("*"):
        if path.name not in ("new.png", "elsewhere.txt"):
            os.utime(path, (0, time.time() - 100), follow_symlinks=False)
    os.utime(tmp_path / "old", (0, time.time() - 100))
    assert sweep(tmp_path, 50) == 5
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert {"mixed", "mixed/new.png", "elsewhere.txt"} <= left
    assert not {"old/a.png", "old/b/c.png", "old/link", "mixed/old.png", "cut-off"} & left
    for path in tmp_path.rglob("*"):
        if path.is_dir():
            os.utime(path, (0, time.time() - 100))
    sweep(tmp_path, 50)
    sweep(tmp_path, 0.0)
    assert list(tmp_path.rglob("*.png")) == []


def test_a_folder_is_kept_swept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.utime(tmp_path / "a", (0, 0))
    done = keep_swept(tmp_path, 60, 0.01)
    deadline = time.monotonic() + 10
    while (tmp_path / "a").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    done.set()
    assert not (tmp_path / "a").exists()


def test_what_nobody_understands_is_said_so_and_what_the_machine_is_to_blame_for_is_not_hidden(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def lost(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        raise OSError("disk full") if scope["path"] == "/disk" else KeyError("nothing")

    status, body = ask("/a", app=lost)
    assert (status, json.loads(body)) == (400, {"detail": STRANGE})
    assert ask("/late", app=lost) == (200, b"a part")
    with pytest.raises(OSError, match="disk full"):
        ask("/disk", app=lost)
    assert "Traceback" not in caplog.text


def test_a_refusal_of_a_direct_call_is_no_fault_of_the_server() -> None:
    async def refuse(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b'{"error": "Not a picture."}'})

    assert ask("/gradio_api/run/read", app=refuse) == (400, b'{"error": "Not a picture."}')
    assert ask("/config", app=refuse)[0] == 500
