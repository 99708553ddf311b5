"""Requests that no page makes: malformed ones, and those for files that nobody uploaded; each is refused in plain words."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from tests.test_app import BLACK, ROOT, SENTENCE, app, hosts, run, upload, url

__all__ = ["hosts", "url"]

META = {"meta": {"_type": "gradio.FileData"}}
NOTE = "what-only-the-server-may-see"
TRACE = re.compile(r"Traceback|site-packages|\.py\b.*line")


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}/gradio_api", timeout=60) as client:
        yield client


def ask(http: httpx.Client, name: str, body: bytes) -> tuple[int, str]:
    """(status, last data) of a raw body; one that was accepted is waited for."""
    headers = {"Content-Type": "application/json"}
    started = http.post(f"/call/{name}", content=body, headers=headers)
    if started.status_code != 200:
        return started.status_code, started.text
    answer = http.get(f"/call/{name}/{started.json()['event_id']}").text
    return 200, re.findall(r"^data: (.*)$", answer, flags=re.MULTILINE)[-1]


def is_said(data: str) -> bool:
    """Whether an answer is an error with one sentence."""
    return bool(SENTENCE.fullmatch(json.loads(data)["error"]))


@pytest.mark.parametrize(
    "values",
    [
        [], [1], ["x"], [[]], [[[[]]]], [True], [{"path": 1}], [{"path": ["a"]}], [{"path": {"a": 1}}], [{"url": 1}], [{}],
        [{"path": "a", "meta": 1}], [{"url": "x" * 100_000}], [{"url": "data:image/png;base64,AAAA", "path": 5}], [None], [None, None],
        [{"path": "/etc/passwd", "size": "large"}], ["\ud800"], [float("inf")], [None] * 1000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["read", "score"])
def test_values_of_any_kind_are_answered_with_a_sentence(
    http: httpx.Client, url: str, name: str, values: list[Any]
) -> None:
    status, data = ask(http, name, json.dumps({"data": values}).encode())
    assert status == 200
    assert is_said(data), data


@pytest.mark.parametrize("texts", [None, 5, ["a"], {"a": 1}, "\0", "x" * 10_000])
def test_texts_of_any_kind_are_answered(http: httpx.Client, url: str, texts: object) -> None:
    picture = {"path": upload(url, BLACK), **META}
    _, data = ask(http, "score", json.dumps({"data": [picture, texts]}).encode())
    assert isinstance(json.loads(data), list) or is_said(data), data
    assert "Something went wrong" not in data


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"{}", b'{"data": 1}', b'{"data": null}', b"[" * 100_000, b"\xff\xfe", b'{"data": [', b"--x",
        b'{"data":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_a_fault_of_the_client(http: httpx.Client, url: str, body: bytes) -> None:
    status, said = ask(http, "read", body)
    assert status in (400, 422)
    assert not TRACE.search(said)


@pytest.mark.parametrize("path", ["call/nothing", "call/v2/nothing", "call/v2/read", "run/nothing", "api/nothing"])
def test_an_endpoint_that_is_not_there_is_said_so(http: httpx.Client, url: str, path: str) -> None:
    answer = http.post(f"/{path}", json={"data": [None]})
    assert answer.status_code == 400
    assert answer.json() == {"detail": app.STRANGE}


@pytest.mark.parametrize("number", [999, -1, 10**9, "x", None, 1.5])
def test_a_number_that_is_no_handler_is_refused(http: httpx.Client, url: str, number: object) -> None:
    job = {"fn_index": number, "data": [], "session_hash": "s"}
    answer = http.post("/queue/join", json=job)
    assert answer.status_code in (400, 422)
    assert not TRACE.search(answer.text)


def test_an_event_that_is_not_there_ends_at_once(http: httpx.Client, url: str) -> None:
    for path in ("call/read/none", "queue/data?session_hash=none"):
        assert "404" in http.get(f"/{path}").text


@pytest.mark.parametrize(
    "name", ["../../evil.png", "..", ".", "a\0b.png", "a" * 5000, "", "a/b", "\\\\host\\x", "\n.png", "ü.png"]
)
def test_no_name_leads_out_of_the_upload_folder(http: httpx.Client, url: str, name: str) -> None:
    uploads = Path(upload(url, BLACK)).parent.parent
    answer = http.post("/upload", files={"files": (name, b"x")})
    assert answer.status_code in (200, 400, 413)
    if answer.status_code == 200:
        (path,) = map(Path, answer.json())
        assert path.resolve().is_relative_to(uploads)
        assert path.read_bytes() == b"x"


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {"Content-Type": "multipart/form-data; boundary=x"}]
)  # fmt: skip
def test_an_upload_that_is_none_is_refused(http: httpx.Client, url: str, headers: dict[str, str]) -> None:
    assert http.post("/upload", content=b"abc", headers=headers).status_code == 400


def test_an_upload_of_too_many_parts_is_refused(http: httpx.Client, url: str) -> None:
    files = [("files", (f"{i}.png", b"a")) for i in range(1001)]
    assert http.post("/upload", files=files).status_code == 400


# files that nobody uploaded


@pytest.fixture
def secrets(url: str) -> tuple[Path, Path]:
    """(upload folder, folder beside it with a note and a picture that nobody uploaded)."""
    uploads = Path(upload(url, BLACK)).parent.parent
    beside = uploads.parent / "beside"
    beside.mkdir(exist_ok=True)
    (beside / "note.txt").write_text(NOTE)
    Image.new("RGB", (50, 20)).save(beside / "server.png")
    return uploads, beside


SPELLINGS = [
    "{note}", "/{note}", "//{note}", "file:{note}", "file://{note}", "FILE://{note}", "file://localhost{note}", "{uploads}/../beside/note.txt",
    "{uploads}/..%2fbeside/note.txt", "{uploads}/%2e%2e/beside/note.txt", "{uploads}/..%252fbeside%252fnote.txt",
    "{uploads}/%252e%252e/beside/note.txt", "{uploads}/..\\beside\\note.txt", "{uploads}/./../beside/note.txt", "{uploads}//../beside/note.txt",
    "{uploads}/x/../../beside/note.txt", "{quoted}", "{note}%00.png", "{note}?x=1", "{note}/", " {note}", "\t{note}", "%20{note}",
    "./app.py", "app.py", "../app.py", "{root}/app.py", "~/.bashrc", "/etc/passwd", "/proc/self/environ", "/proc/self/cwd/app.py", "/dev/stdin",
    "{uploads}", "{uploads}/", "..", "/", "", "http://127.0.0.1:9/a.png", "https:/127.0.0.1/a.png", "HTTPS://example.com/a.png",
    "//127.0.0.1/a.png", "\\\\127.0.0.1\\a.png", "ftp://127.0.0.1/a", "gopher://127.0.0.1/", "data:text/plain,x", "{uploads}/" + "a/" * 2000,
]  # fmt: skip


def spelled(text: str, name: str, uploads: Path, beside: Path) -> str:
    note = beside / name
    text = text.replace("note.txt", name)
    return text.format(note=note, uploads=uploads, root=ROOT, quoted=quote(str(note), safe=""))


@pytest.mark.parametrize("route", ["gradio_api/file=", "gradio_api/file/", "file=", "gradio_api/FILE="])
def test_no_file_is_served_that_nobody_uploaded(http: httpx.Client, secrets: tuple[Path, Path], route: str) -> None:
    for spelling in SPELLINGS:
        target = f"/{route}{spelled(spelling, 'note.txt', *secrets)}"
        target = re.sub(r"[\t \\]", lambda match: quote(match[0]), target)
        answer = http.send(http.build_request("GET", http.base_url.copy_with(raw_path=target.encode())))
        if answer.status_code == 307:  # the same path without what is too much in it
            assert httpx.URL(answer.headers["location"]).netloc == http.base_url.netloc, target
        else:
            assert answer.status_code in (400, 403, 404), (target, answer.status_code, answer.text[:200])
        assert NOTE not in answer.text
        assert "import" not in answer.text


PAYLOADS: dict[str, Callable[[str], dict[str, Any]]] = {
    "bare": lambda path: {"path": path},
    "as uploaded": lambda path: {"path": path, **META},
    "with a URL": lambda path: {"path": path, "url": path, **META},
    "URL": lambda path: {"url": path},
    "URL as uploaded": lambda path: {"url": path, **META},
    "URL of ours": lambda path: {"path": None, "url": f"/gradio_api/file={path}"},
    "path of ours": lambda path: {"path": f"/gradio_api/file={path}", **META},
    "of another kind": lambda path: {"path": path, "meta": {"_type": "x"}},
    "in full": lambda path: {
        "path": path,
        "orig_name": path,
        "size": 1,
        "mime_type": "image/png",
        "is_stream": True,
        **META,
    },
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_no_file_is_read_that_nobody_uploaded(http: httpx.Client, secrets: tuple[Path, Path], kind: str) -> None:
    for spelling in SPELLINGS:
        path = spelled(spelling, "server.png", *secrets)
        _, data = ask(http, "read", json.dumps({"data": [PAYLOADS[kind](path)]}).encode())
        assert is_said(data), (path, data)
        assert "beside" not in data


@pytest.mark.parametrize("kind", PAYLOADS)
def test_no_list_of_files_has_one_that_nobody_uploaded(url: str, secrets: tuple[Path, Path], kind: str) -> None:
    path = str(secrets[1] / "server.png")
    answer = run(url, "show_files", [PAYLOADS[kind](path)], "english", "greedy", app.ANYTHING, "", 0)
    assert "&lt;b&gt;" not in json.dumps(answer)
    assert "beside" not in json.dumps(answer)
