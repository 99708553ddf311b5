"""Load: many users at once against the demo, as strangers would use it; answers, refusals, times, memory, what is left.

    python -m training.load --users 100 --seconds 600

Starts app.py by itself. Every user sends a picture of a word to the endpoint /read, waits for the answer, and sends the
next. Counted are right answers, a clear "busy", and everything else, of which there should be none.
"""

import argparse
import base64
import http.client
import io
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.simple import line

ROOT = Path(__file__).parent.parent
WORDS = ("Hello", "Street", "Receipt", "Total", "market", "Exit 12", "coffee", "48.50")
PATIENCE = 60  # seconds for one answer


@dataclass
class Tally:
    """What users met; shared by their threads.

    Args:
        outcomes: answered, busy, wrong (another text), failed.
        seconds: of each answer.
        faults: the first few of what was neither.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, seconds: float, said: str = "") -> None:
        """One more request."""
        with self.lock:
            self.outcomes[outcome] += 1
            if outcome in ("answered", "wrong"):
                self.seconds.append(seconds)
            if outcome == "failed" and len(self.faults) < 20:
                self.faults.append(said[:200])


def picture(word: str) -> str:
    """A word as a data: URL."""
    file = io.BytesIO()
    line(word, size=36, margins=(8, 6)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def ask(port: int, url: str) -> tuple[str, str]:
    """One request -> (outcome, text or fault).

    Raises:
        OSError, http.client.HTTPException: the server does not answer as one.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = json.dumps({"data": [{"url": url, "meta": {"_type": "gradio.FileData"}}]})
        connection.request("POST", "/gradio_api/call/read", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read().decode()
        if answer.status == 503:
            return "busy", said
        if answer.status != 200:
            return "failed", f"{answer.status} {said}"
        connection.request("GET", f"/gradio_api/call/read/{json.loads(said)['event_id']}")
        stream = connection.getresponse().read().decode()
    finally:
        connection.close()
    event, _, data = stream.strip().rpartition("data: ")
    if "event: complete" in event:
        return "answered", str(json.loads(data)[0])
    return ("busy" if "busy" in data.lower() or "full" in data.lower() else "failed"), data


def user(port: int, pictures: dict[str, str], until: float, tally: Tally, seed: int) -> None:
    """Asks again and again until it is time to go."""
    rng = random.Random(seed)
    while time.monotonic() < until:
        word = rng.choice(list(pictures))
        started = time.monotonic()
        try:
            outcome, said = ask(port, pictures[word])
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome, said = "failed", repr(error)
        if outcome == "answered" and said != word:
            outcome = "wrong"
        tally.add(outcome, time.monotonic() - started, said)
        if outcome != "answered":
            time.sleep(rng.uniform(0.2, 1.0))  # who is told to wait a moment does


def resident(pid: int) -> float:
    """MiB of memory that a process holds (Linux)."""
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith("VmRSS"):
            return int(row.split()[1]) / 1024
    return 0.0


def main(argv: Sequence[str] | None = None) -> None:
    """Start the demo, let the users at it, and say what they met."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600)
    args = parser.parse_args(argv)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    temp = Path(tempfile.gettempdir())
    before = {path.name for path in temp.glob("simpleocr-*")}
    command = [sys.executable, "app.py", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603 - the demo of this repository
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        if not process.stdout.readline():
            sys.exit("training.load: the demo did not start")
        pictures = {word: picture(word) for word in WORDS}
        tally = Tally()
        users = [
            threading.Thread(target=user, args=(port, pictures, time.monotonic() + args.seconds, tally, seed))
            for seed in range(args.users)
        ]
        for one in users:
            one.start()
        time.sleep(min(args.seconds / 2, 30))
        warm = resident(process.pid)
        for one in users:
            one.join()
        grown = resident(process.pid) - warm
        process.terminate()
        _, complaints = process.communicate(timeout=PATIENCE)
    left = sorted({path.name for path in temp.glob("simpleocr-*")} - before)
    print(f"{dict(tally.outcomes)}; {tally.outcomes['answered'] / args.seconds:.1f} answers/s")
    if tally.seconds:
        p50, p99 = np.percentile(tally.seconds, [50, 99])
        print(f"seconds of an answer: median {p50:.2f}, 99th percentile {p99:.2f}, longest {max(tally.seconds):.2f}")
    print(f"memory: {warm:.0f} MiB warm, {grown:+.0f} MiB at the end; temporary folders left: {left or 'none'}")
    if complaints.strip():
        print(f"the server complained: {complaints.strip()[-600:]}")
    for fault in tally.faults:
        print(f"  failed: {fault}")
    if tally.outcomes["failed"] or left:
        sys.exit(1)


if __name__ == "__main__":
    main()
