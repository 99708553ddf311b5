"""The demo under hostile files, over HTTP: each is answered with text or with one sentence, and the server is as before."""

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.hostile import KINDS, hostile_files
from tests.test_app import SENTENCE, free_port
from tests.test_browser import needs_weights

app = pytest.importorskip("app")

ROOT = Path(__file__).parent.parent
META = {"meta": {"_type": "gradio.FileData"}}
PLAIN = ["english", "greedy", "anything", "", 0]  # settings of the page
CLUMSY = ("Traceback", "Something went wrong", "/tmp/", "site-packages", "Error:")


@dataclass
class Server:
    """A demo in a process of its own, and what it complains of."""

    url: str
    pid: int
    log: Path
    uploads: Path
    numbers: dict[str, int]

    def resident(self) -> float:
        """MiB, once it has given back what it does not need."""
        time.sleep(1.5 * app.TRIMMED_EVERY)
        return int(Path(f"/proc/{self.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().split()[-1].rstrip("/")
        (uploads,) = folder.glob("simpleocr-*")
        dependencies = httpx.get(f"{url}/config").json()["dependencies"]
        numbers = {one["api_name"]: one["id"] for one in dependencies}
        yield Server(url, process.pid, folder / "log", uploads, numbers)
        assert process.poll() is None
        process.terminate()
        process.wait(timeout=30)
        assert not uploads.exists()


def events(text: str) -> list[str]:
    return re.findall(r"^data: (.*)$", text, flags=re.MULTILINE)


def read(client: httpx.Client, server: Server, payload: object) -> str:
    """What became of a picture at /read: "text", or the sentence."""
    started = client.post("/gradio_api/call/read", json={"data": [payload]})
    assert started.status_code == 200, started.text
    answer = client.get(f"/gradio_api/call/read/{started.json()['event_id']}").text
    data = json.loads(events(answer)[-1])
    if "event: complete" in answer:
        text, lines = data
        assert isinstance(text, str)
        assert isinstance(lines, list)
        return "text"
    sentence = data["error"]
    assert isinstance(sentence, str)
    return sentence


def show(client: httpx.Client, server: Server, payload: object, session: str) -> str:
    """The same of the page's list of files, which takes documents, too."""
    job = {"fn_index": server.numbers["show_files"], "data": [[payload], *PLAIN], "session_hash": session}
    assert client.post("/gradio_api/queue/join", json=job).status_code == 200
    messages = [json.loads(one) for one in events(client.get(f"/gradio_api/queue/data?session_hash={session}").text)]
    (done,) = [one for one in messages if one["msg"] == "process_completed"]
    if not done["success"]:
        return str(done["output"]["error"])
    status = json.dumps(done["output"]["data"])
    alert = re.search(r'role=\\"alert\\">(.*?)</p>', status)
    return alert[1] if alert else "text"


def send(client: httpx.Client, server: Server, number: int, name: str, data: bytes) -> str:
    """Upload a file as a browser does, or send it as text, and have it read."""
    if number % 5 == 4:
        return read(client, server, {"url": "data:image/png;base64," + b64encode(data).decode()})
    uploaded = client.post("/gradio_api/upload", files={"files": (name, data)})
    assert uploaded.status_code in (200, 400), (uploaded.status_code, uploaded.text)
    if uploaded.status_code == 400:
        return "no file of that name"
    payload = {"path": uploaded.json()[0], "orig_name": name, **META}
    return show(client, server, payload, f"session-{number}") if number % 5 == 3 else read(client, server, payload)


def attack(server: Server, count: int, seed: int, first: int = 0) -> Counter[tuple[str, bool]]:
    """Send so many files, four at a time; how many of each kind were read, and how many refused."""
    outcomes: Counter[tuple[str, bool]] = Counter()
    with httpx.Client(base_url=server.url, timeout=120) as client, ThreadPoolExecutor(4) as pool:

        def one(job: tuple[int, tuple[str, str, bytes]]) -> tuple[str, str, str]:
            number, (kind, name, data) = job
            return kind, name, send(client, server, number, name, data)

        for kind, name, said in pool.map(one, enumerate(hostile_files(count, seed), first)):
            read_it = said in ("text", "no file of that name")
            assert read_it or SENTENCE.fullmatch(said), (kind, name, said)
            assert not any(word in said for word in CLUMSY), (kind, name, said)
            outcomes[kind, read_it] += 1
    return outcomes


def check_quiet(server: Server) -> None:
    """No trace in its log, where only the C libraries of formats may grumble, and it answers at once."""
    assert not re.search("Traceback|Error|Exception|site-packages", server.log.read_text())
    assert httpx.get(f"{server.url}/health", timeout=30).status_code == 200


@pytest.mark.slow
@needs_weights
def test_60_hostile_files_are_read_or_refused_in_one_sentence(server: Server) -> None:
    outcomes = attack(server, 60, 0)
    assert {kind for kind, _ in outcomes} == set(KINDS)
    check_quiet(server)


@needs_weights
@pytest.mark.slow
def test_2000_hostile_files_leave_the_server_as_it_was(server: Server) -> None:
    attack(server, 300, 1, first=1000)
    warm = server.resident()
    outcomes = attack(server, 2000, 2, first=10_000)
    assert sum(outcomes.values()) == 2000
    assert outcomes["good", False] == 0
    assert all(outcomes[kind, False] for kind in KINDS if kind not in ("good", "thin"))
    end = server.resident()
    assert end - warm < 30, f"from {warm:.0f} to {end:.0f} MiB"
    check_quiet(server)
