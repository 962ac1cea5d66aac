"""`python -m benchmarks.proxy HOST:PORT LOG`: passes HTTP on, and logs one line for each request.

It stands between karma-sync and Syncthing, to count requests without the help of either. It prints
the port that it listens on.
"""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TextIO

_WITHIN_S = 600
# Headers of one connection: they are not passed on to the other.
_OF_A_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target = ""
    log: TextIO

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.log.write(f"{self.command} {self.path}\n")
        self.log.flush()
        onward = http.client.HTTPConnection(self.target, timeout=_WITHIN_S)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_A_CONNECTION}
        onward.request(self.command, self.path, body or None, headers)
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 http.server's names

    def log_message(self, *_: object) -> None:
        """Print nothing: the request is in the log."""


def main(target: str, log: str) -> None:
    """Serve until somebody ends this process."""
    with open(log, "a") as out:  # noqa: PTH123 a plain file, kept open
        _Handler.target, _Handler.log = target, out
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:3])
