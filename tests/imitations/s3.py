"""A bucket on a loopback port, as far as attachments need one: put, get, head, delete and list,
with paths for names of buckets. Of a signature only the key is checked."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET, BUCKET = "right-key", "right-secret", "attachments"


class S3Server:
    """`objects` is what lies in it; with `is_away` every answer is a 503."""

    def __enter__(self) -> Self:
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.is_away = False
        handler = type("Handler", (_Handler,), {"bucket": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="s3-imitation")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    bucket: S3Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests say what they saw."""

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if (key := self._key()) is not None:
            self.bucket.objects[key] = data
            self._answer(200, b"", ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        if parse_qs(urlsplit(self.path).query).get("delimiter"):
            self._list()
        else:
            self._get()

    def do_DELETE(self) -> None:
        if (key := self._key()) is not None:
            self.bucket.objects.pop(key, None)
            self._answer(204, b"")

    def _get(self) -> None:
        if (key := self._key()) is None:
            return
        data = self.bucket.objects.get(key)
        if data is None:
            self._fail(404, "NoSuchKey")
            return
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, data, ETag=tag)
        else:
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            part = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            self._answer(206, data[first : last + 1], ETag=tag, **part)

    def _list(self) -> None:
        if self._key() is None:
            return
        prefix = parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
        rest = [key[len(prefix) :] for key in self.bucket.objects if key.startswith(prefix)]
        folders = sorted({name.split("/")[0] + "/" for name in rest if "/" in name})
        files = sorted(name for name in rest if "/" not in name)
        body = "".join(
            [
                "<ListBucketResult><IsTruncated>false</IsTruncated>",
                *(f"<Contents><Key>{escape(prefix + name)}</Key></Contents>" for name in files),
                *(
                    f"<CommonPrefixes><Prefix>{escape(prefix + name)}</Prefix></CommonPrefixes>"
                    for name in folders
                ),
                "</ListBucketResult>",
            ]
        )
        self._answer(200, body.encode(), **{"Content-Type": "application/xml"})

    def _key(self) -> str | None:
        """The name of the object; None when the answer was given already."""
        self.bucket.calls.append(self.command)
        bucket, _, key = unquote(urlsplit(self.path).path)[1:].partition("/")
        if self.bucket.is_away:
            self._fail(503, "SlowDown")
        elif f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            self._fail(403, "InvalidAccessKeyId")
        elif bucket != BUCKET:
            self._fail(404, "NoSuchBucket")
        else:
            return key
        return None

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Mon, 23 Nov 2026 12:00:00 GMT")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
