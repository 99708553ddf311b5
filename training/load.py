"""Load: many users at once against the demo, as strangers would use it; answers, refusals, times, memory, what is left.

    python -m training.load --users 100 --seconds 600
    python -m training.load --users 8 --sessions 10000

Starts app.py by itself. Every user sends a picture of a word to the endpoint /read, waits for the answer, and sends the
next; to the demo each request is a session of its own. Counted are right answers, a clear "busy", and everything else, of
which there should be none. The users are tasks of one process that speaks HTTP by itself: a client library would need
more of the processor than the demo does.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from simpleocr.options import Parser
from training.simple import line

ROOT = Path(__file__).parent.parent
WORDS = ("Hello", "Street", "Receipt", "Total", "market", "Exit 12", "coffee", "48.50")
PATIENCE = 60  # seconds for one answer
WARM_SECONDS, WARM_SESSIONS = 30, 1000  # before anything is counted, whichever are over first
REST = 12  # seconds after which a demo has given back what it does not need
FAULTS = (OSError, EOFError, ValueError, LookupError, asyncio.TimeoutError)


@dataclass
class Tally:
    """What users met.

    Args:
        outcomes: answered, busy, wrong (another text), failed.
        seconds: of each answer.
        faults: the first few of what was neither.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: str, seconds: float, said: str = "") -> None:
        """One more request."""
        self.outcomes[outcome] += 1
        if outcome in ("answered", "wrong"):
            self.seconds.append(seconds)
        if outcome in ("failed", "wrong") and len(self.faults) < 20:
            self.faults.append(f"{outcome}: {said[:200]}")


@dataclass
class Connection:
    """One user's connection, kept open between requests as browsers do; opened again where it was closed."""

    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """(status, body) of an answer.

        Raises:
            OSError, EOFError, ValueError: the server does not answer as one.
        """
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        first, *rows = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().lower().split("\r\n")
        headers = {name.strip(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        if "content-length" in headers:
            answer = await self.reader.readexactly(int(headers["content-length"]))
        else:
            answer = b"".join([chunk async for chunk in self._chunks()])
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), answer

    async def _chunks(self) -> AsyncIterator[bytes]:
        assert self.reader
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()

    def close(self) -> None:
        """Until the next request."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def picture(word: str) -> bytes:
    """What is sent to have a word read."""
    file = io.BytesIO()
    line(word, size=36, margins=(8, 6)).save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return json.dumps({"data": [{"url": url, "meta": {"_type": "gradio.FileData"}}]}).encode()


async def ask(connection: Connection, body: bytes) -> tuple[str, str]:
    """One request -> (outcome, text or fault).

    Raises:
        OSError, EOFError, ValueError: as Connection.request().
    """
    status, said = await connection.request("POST", "/gradio_api/call/read", body)
    if status == 503:
        return "busy", said.decode()
    if status != 200:
        return "failed", f"{status} {said.decode()}"
    _, stream = await connection.request("GET", f"/gradio_api/call/read/{json.loads(said)['event_id']}")
    event, _, data = stream.decode().strip().rpartition("data: ")
    if "event: complete" in event:
        return "answered", str(json.loads(data)[0])
    return ("busy" if "busy" in data.lower() or "too many" in data.lower() else "failed"), f"{event} {data}"


async def user(port: int, pictures: Mapping[str, bytes], until: float, sessions: int, tally: Tally, seed: int) -> None:
    """Asks again and again until it is time to go, or enough was asked by all together."""
    rng = random.Random(seed)
    connection = Connection(port)
    await asyncio.sleep(rng.uniform(0, 1))
    while time.monotonic() < until and tally.outcomes.total() < sessions:
        word = rng.choice(list(pictures))
        started = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                outcome, said = await ask(connection, pictures[word])
        except FAULTS as error:
            outcome, said = "failed", repr(error)
            connection.close()
        if outcome == "answered" and said != word:
            outcome, said = "wrong", f"{said!r} is not {word!r}"
        tally.add(outcome, time.monotonic() - started, said)
        if outcome != "answered":
            await asyncio.sleep(rng.uniform(0.2, 1.0))  # who is told to wait a moment does
    connection.close()


def resident(pid: int) -> float:
    """MiB of memory that a process holds (Linux)."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def processor(pid: int) -> float:
    """Seconds of processor that a process has had (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What one run of the demo under load came to.

    Args:
        tally: what users met.
        seconds: it took.
        memory: MiB that the demo holds after it, and after a rest.
        server, client: seconds of processor.
    """

    tally: Tally
    seconds: float = 0.0
    memory: float = 0.0
    server: float = 0.0
    client: float = 0.0


async def crowd(port: int, pid: int, users: int, seconds: float, sessions: int) -> Run:
    """Let so many users at the demo, for so long or for so many requests."""
    pictures = {word: picture(word) for word in WORDS}
    run = Run(Tally())
    started, had, own = time.monotonic(), processor(pid), time.process_time()
    crowded = [
        asyncio.create_task(user(port, pictures, started + seconds, sessions, run.tally, seed)) for seed in range(users)
    ]
    await asyncio.gather(*crowded)
    run.seconds = time.monotonic() - started
    run.server, run.client = processor(pid) - had, time.process_time() - own
    await asyncio.sleep(REST)
    run.memory = resident(pid)
    return run


def report(run: Run, warm: float) -> None:
    """Say what users met, and what it cost; `warm` is the memory before, in MiB."""
    outcomes, times = run.tally.outcomes, run.tally.seconds
    print(f"{dict(outcomes)}; {outcomes['answered'] / run.seconds:.1f} answers/s in {run.seconds:.0f} s")
    if times:
        p50, p99 = np.percentile(times, [50, 99])
        print(f"seconds of an answer: median {p50:.2f}, 99th percentile {p99:.2f}, longest {max(times):.2f}")
        server, client = 1000 * run.server / len(times), 1000 * run.client / len(times)
        print(f"milliseconds of processor an answer: demo {server:.1f}, users {client:.1f}")
    print(f"memory: {warm:.0f} MiB warm, {run.memory - warm:+.0f} MiB at the end")
    for fault in run.tally.faults:
        print(f"  {fault}")


@contextmanager
def started(command: Sequence[str], stderr: TextIO) -> Iterator["subprocess.Popen[str]"]:
    """A program of this repository that has said its first line; it is ended afterwards.

    What else it says is thrown away, and what it complains of is in the file `stderr`: a pipe that nobody reads fills,
    and then whoever writes to it waits for ever.

    Raises:
        SystemExit: it has ended without a word.
    """
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:  # noqa: S603
        assert process.stdout
        has_spoken = bool(process.stdout.readline())
        listener = threading.Thread(target=deque, args=(process.stdout, 0), daemon=True)
        listener.start()
        try:
            if not has_spoken:
                stderr.seek(0)
                sys.exit(f"training.load: the demo did not start: {stderr.read().strip()[-600:]}")
            yield process
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            listener.join(PATIENCE)


def main(argv: Sequence[str] | None = None) -> None:
    """Start the demo, let the users at it, and say what they met."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--sessions", type=int, help="stop after so many requests instead, however long that takes")
    parser.add_argument("--runtime", help="as app.py --runtime")
    args = parser.parse_args(argv)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    temp = Path(tempfile.gettempdir())
    before = {path.name for path in temp.glob("simpleocr-*")}
    command = [sys.executable, "app.py", "--port", str(port), *(["--runtime", args.runtime] if args.runtime else [])]
    seconds, sessions = (1e6, args.sessions) if args.sessions else (args.seconds, sys.maxsize)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        with started(command, stderr) as process:
            warmed = asyncio.run(crowd(port, process.pid, args.users, WARM_SECONDS, WARM_SESSIONS))
            run = asyncio.run(crowd(port, process.pid, args.users, seconds, sessions))
        stderr.seek(0)
        complaints = stderr.read()
    report(run, warmed.memory)
    left = sorted({path.name for path in temp.glob("simpleocr-*")} - before)
    print(f"temporary folders left: {left or 'none'}")
    if complaints.strip():
        print(f"the server complained: {complaints.strip()[-600:]}")
    bad = [one.tally.outcomes[name] for one in (warmed, run) for name in ("failed", "wrong")]
    if any(bad) or left:
        sys.exit(1)


if __name__ == "__main__":
    main()
