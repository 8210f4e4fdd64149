"""Server: the page and what it asks for, over HTTP. Standard library only.

It answers this machine alone unless told otherwise. Other pages that a browser has open cannot use
it: the names that it is called by, and the origin of what is posted, are checked. Requests are
small and not too many.
"""

import base64
import binascii
import http.server
import json
import pathlib
import threading
import time
import urllib.parse

import drawings
import numpy as np

PAGE = pathlib.Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/pad.css": ("pad.css", "text/css; charset=utf-8"),
    "/pad.js": ("pad.js", "text/javascript; charset=utf-8"),
    "/pad.svg": ("pad.svg", "image/svg+xml"),
}
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
MOST_BYTES = 4096  # of a request's body: 784 pixels in base64, and a name
MOST_CONNECTIONS = 32
SILENCE_SECONDS = 10  # after which a connection is closed
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Rate:
    """So many requests a second on average, and `burst` at once, from each address."""

    def __init__(self, per_second, burst, clock=time.monotonic):
        self.per_second, self.burst, self._clock = per_second, burst, clock
        self._left = {}
        self._lock = threading.Lock()

    def allows(self, address):
        """Returns whether one more request may come now, and counts it."""
        with self._lock:
            now = self._clock()
            if len(self._left) > 1000:  # those that have been silent have all of theirs again
                self._left = {k: v for k, v in self._left.items() if now - v[1] < 60}
            left, before = self._left.get(address, (self.burst, now))
            left = min(self.burst, left + (now - before) * self.per_second)
            self._left[address] = (left - (left >= 1), now)
            return left >= 1


class Refused(Exception):
    """A request that is not done; holds the status and what to say."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "LearningPad"
    sys_version = ""
    timeout = SILENCE_SECONDS

    def do_GET(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def _answer(self, make):
        try:
            self._check_name()
            kind, content, others = make()
            self._send(200, kind, content, others)
        except Refused as refused:
            status, text = refused.args
            self.close_connection = True  # a body may not have been read
            self._send_json(status, {"error": text})
        except ValueError as error:
            self._send_json(400, {"error": str(error)})

    def _get(self):
        path = urllib.parse.urlsplit(self.path).path
        if path in FILES:
            name, kind = FILES[path]
            return kind, (PAGE / name).read_bytes(), {}
        learner = self.server.learner
        if path == "/api/status":
            return *as_json(learner.status()), {}
        if path == "/api/model":
            self._limit(self.server.lessons)
            disposition = {"Content-Disposition": 'attachment; filename="learned.tflite"'}
            return "application/octet-stream", learner.model(), disposition
        raise Refused(404, "There is no such page.")

    def _post(self):
        self._check_origin()
        asked = self._body()
        learner = self.server.learner
        path = urllib.parse.urlsplit(self.path).path
        if path == "/api/predict":
            self._limit(self.server.looks)
            return *as_json({"shares": learner.predict(image_in(asked))}), {}
        self._limit(self.server.lessons)
        if path == "/api/teach":
            return *as_json(learner.teach(image_in(asked), asked.get("name"))), {}
        if path == "/api/undo":
            return *as_json(learner.undo()), {}
        if path == "/api/reset":
            return *as_json(learner.reset()), {}
        raise Refused(404, "There is no such page.")

    def _check_name(self):
        """A page of another name that leads here, by its owner's DNS, is not served."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in self.server.names and host not in self.server.names:
            raise Refused(403, "This address is not among those that the pad is told to answer.")

    def _check_origin(self):
        origin = self.headers.get("Origin")
        if origin is not None and urllib.parse.urlsplit(origin).netloc != self.headers["Host"]:
            raise Refused(403, "Other pages may not use the pad.")

    def _limit(self, rate):
        if not rate.allows(self.client_address[0]):
            raise Refused(429, "Too many requests. Wait a moment.")

    def _body(self):
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "The request must be JSON.")
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise Refused(411, "The request must tell its length.")
        if len(text) > 9 or int(text) > MOST_BYTES:
            raise Refused(413, f"The request must have at most {MOST_BYTES} bytes.")
        content = self.rfile.read(int(text))
        try:
            asked = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError("The request must be JSON.") from error
        if not isinstance(asked, dict):
            raise ValueError("The request must be a JSON object.")
        return asked

    def _send_json(self, status, value):
        self._send(status, *as_json(value), {})

    def _send(self, status, kind, content, others):
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            **others,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):
        """Says nothing: a line for each stroke helps nobody."""


class Server(http.server.ThreadingHTTPServer):
    """Serves one learner.

    Args:
        learner: The `Learner`.
        host: Address to listen at.
        port: Port; 0 takes a free one.
        names: Names beside `host` and this machine's that browsers may call it by.
    """

    daemon_threads = True

    def __init__(self, learner, host="127.0.0.1", port=8000, names=()):
        self.learner = learner
        self.names = {host, *LOCAL_NAMES, *names}
        self.looks, self.lessons = Rate(20, 40), Rate(2, 8)
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), Handler)

    @property
    def url(self):
        """Where a browser on this machine finds the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def process_request(self, request, client_address):
        """Takes no more connections at once than there are places."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        """Gives the place back at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


def as_json(value):
    """Returns the type and the bytes of a value."""
    return "application/json", json.dumps(value).encode()


def image_in(asked):
    """Returns the drawing in a request, float32 (28, 28, 1) in 0..1.

    Raises:
        ValueError: There is none.
    """
    size = drawings.SIZE
    try:
        content = base64.b64decode(asked.get("pixels", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        content = b""
    if len(content) != size * size:
        raise ValueError(f"`pixels` must be {size} x {size} bytes in base64.")
    image = np.frombuffer(content, np.uint8).reshape(size, size, 1)
    if not image.any():
        raise ValueError("`pixels` must show a drawing. Received: an empty one.")
    return image.astype(np.float32) / np.float32(255)
