"""Runs a foreign program in a network namespace with loopback alone, beside a scripted API.

    unshare --net python3 inside.py RUN.json

RUN.json names the program, its environment and directory, and what the API answers. This process
brings loopback up, refuses to go on where there is any other way out, serves the API, runs the
program, and writes what was posted. It uses only the standard library, because it runs by itself.
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NOWHERE = ("192.0.2.1", 443)  # of a block for documentation (RFC 5737)
REMINDER = "<system-reminder>"
_COLUMNS, _ROWS = 160, 60


def loopback_alone() -> None:
    """Bring loopback up; raises SystemExit if there is another interface, or a way out."""
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"]:
        raise SystemExit(f"this is no namespace with loopback alone: {names}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        up = struct.unpack("16sH14x", flags)[1] | IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", up))
    with socket.socket() as out:
        out.settimeout(2)
        try:
            out.connect(NOWHERE)
        except OSError:
            return
    raise SystemExit("something answers outside of this namespace")


class Script:
    """The API's answers: the first rule whose word stands in the new part of a request.

    A rule is `{"word": ..., "blocks": [...]}`. What is new is the id of a tool call that has got
    its result, or the text of the last prompt.
    """

    def __init__(self, rules: list[Json], log: Path) -> None:
        self._rules = rules
        self._log = log
        self._lock = threading.Lock()
        self._count = 0

    def answer(self, request: Json) -> tuple[str, list[Json]]:
        """The id of the answer, and its blocks."""
        with self._lock:
            self._count += 1
            with self._log.open("a") as out:
                out.write(json.dumps(request) + "\n")
            number = self._count
        new = what_is_new(request["messages"])
        blocks = next((r["blocks"] for r in self._rules if r["word"] in new), None)
        nonce = f"{os.getpid()}_{number}"
        return f"msg_{nonce}", blocks or [{"type": "text", "text": f"Done {nonce}."}]


def what_is_new(messages: list[Json]) -> str:
    """The text of the last prompt, or the ids of the tool calls that have got their results."""
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        ids = [part["tool_use_id"] for part in parts if part["type"] == "tool_result"]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        typed = [text for text in texts if not text.startswith(REMINDER)]
        if ids or typed:
            return " ".join(ids or typed)
    return ""


def events(model: str, name: str, blocks: list[Json]) -> list[Json]:
    """An answer as the API streams it."""
    calls = any(block["type"] == "tool_use" for block in blocks)
    usage = {"input_tokens": 10, "output_tokens": 1}
    start: Json = {
        "id": name,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
    }
    start |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    found: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        empty, deltas = _streamed(block)
        at = {"index": index}
        found.append({"type": "content_block_start", **at, "content_block": empty})
        found += [{"type": "content_block_delta", **at, "delta": delta} for delta in deltas]
        found.append({"type": "content_block_stop", **at})
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    found.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}})
    return [*found, {"type": "message_stop"}]


def _streamed(block: Json) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "text":
            return block | {"text": ""}, [{"type": "text_delta", "text": block["text"]}]
        case "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            return empty, [thought, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            text = json.dumps(block["input"])
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": text}]
    return block, []


def whole(model: str, name: str, blocks: list[Json]) -> Json:
    """The same answer in one piece."""
    message: Json = events(model, name, blocks)[0]["message"]
    return message | {"content": blocks, "stop_reason": "end_turn"}


class Handler(BaseHTTPRequestHandler):
    """Answers as the API does; a subclass names the script."""

    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._say(b"{}")

    def do_HEAD(self) -> None:
        self._say(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._say(b'{"input_tokens": 10}')
        elif path.endswith("/v1/messages"):
            self._answer(json.loads(body))
        else:
            self._say(b"{}")

    def _answer(self, request: Json) -> None:
        name, blocks = self.script.answer(request)
        if not request.get("stream"):
            self._say(json.dumps(whole(request["model"], name, blocks)).encode())
            return
        found = events(request["model"], name, blocks)
        lines = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in found]
        self._say("".join(lines).encode(), "text/event-stream")

    def _say(self, body: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(script: Script) -> ThreadingHTTPServer:
    """Serve the API on a free port of loopback."""
    handler = type("Scripted", (Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(spec: Json, environ: dict[str, str]) -> Json:
    """Run the program without a terminal."""
    try:
        done = subprocess.run(
            spec["command"],
            cwd=spec["cwd"],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=spec["timeout_s"],
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return {"code": None, "out": _text(late.stdout), "err": _text(late.stderr)}
    return {"code": done.returncode, "out": _text(done.stdout), "err": _text(done.stderr)}


def run_on_terminal(spec: Json, environ: dict[str, str]) -> Json:
    """Run the program on a terminal until it shows one of the awaited texts, then end it."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(spec["cwd"])
        os.execve(spec["command"][0], spec["command"], environ)  # noqa: S606 no shell
    fcntl.ioctl(terminal, 0x5414, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))  # TIOCSWINSZ
    seen = b""
    deadline = time.monotonic() + spec["timeout_s"]
    awaited = [text.encode() for text in spec["until"]]
    while time.monotonic() < deadline and not any(text in seen for text in awaited):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 1 << 16)
            except OSError:
                break
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    return {"code": 0, "out": _text(seen), "err": ""}


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")


def main() -> None:
    """Do what RUN.json says, and write the result beside it."""
    place = Path(sys.argv[1])
    spec = json.loads(place.read_text())
    loopback_alone()
    server = serve(Script(spec["rules"], Path(spec["log"])))
    url = f"http://127.0.0.1:{server.server_address[1]}"
    environ = spec["environ"] | {"ANTHROPIC_BASE_URL": url}
    done = (run_on_terminal if spec.get("until") else run)(spec, environ)
    place.with_suffix(".result").write_text(json.dumps(done))


if __name__ == "__main__":
    main()
