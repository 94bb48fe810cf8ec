"""Stands between the platform and a service, so that a test can spoil the line and mend it."""

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import SplitResult


class Line(Enum):
    """What the line does, to open connections and to new ones."""

    GOOD = auto()
    # Closes what comes and what there is.
    CUT = auto()
    # The same with a reset instead of a good-bye.
    RESET = auto()
    # Takes connections and data, and nothing arrives: a firewall that drops.
    BLACK_HOLE = auto()


# `socket.SO_LINGER` with no time: a close becomes a reset.
_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Pair:
    near: socket.socket
    far: socket.socket
    # Bytes were swallowed: after the mending it can only be closed.
    is_spoilt: bool = False
    seen: bytes = b""


class TcpProxy:
    """Forwards a loopback port to `target`. Every fault may be switched while connections are
    open."""

    def __init__(self, *, target: SplitResult) -> None:
        self.target = (target.hostname or "127.0.0.1", target.port or 0)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.is_stopped = threading.Event()
        self.line = Line.GOOD
        # Seconds by which every chunk is late.
        self.latency = 0.0
        # A connection is cut right after it carried these bytes from the client: once by default.
        self.drop_after = b""
        self.drops_left = 0
        # Of each connection and direction all that went through, once a test asks for it by `{}`.
        self.heard: dict[int, bytearray] | None = None
        self._pairs: list[_Pair] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._spawn(self._accept)

    def cut(self) -> None:
        self.line = Line.CUT
        self._hang_up()

    def reset(self) -> None:
        self.line = Line.RESET
        self._hang_up(abruptly=True)

    def black_hole(self) -> None:
        self.line = Line.BLACK_HOLE

    def drop_when_seen(self, pattern: bytes, *, times: int = 1) -> None:
        """Cut the next `times` connections that carry `pattern` to the service, after it left."""
        self.drop_after, self.drops_left = pattern, times

    def mend(self) -> None:
        self.latency, self.drop_after, self.drops_left = 0.0, b"", 0
        self.line = Line.GOOD
        self._hang_up(spoilt_only=True)

    def stop(self) -> None:
        self.is_stopped.set()
        self._hang_up()
        for thread in self._threads:
            thread.join(5)
        self.listening.close()

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        # Those that ended are forgotten: a long test opens many connections.
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.is_stopped.is_set():
            if not select.select([self.listening], [], [], 0.1)[0]:
                continue
            near, _ = self.listening.accept()
            if self.line in {Line.CUT, Line.RESET}:
                if self.line is Line.RESET:
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                near.close()
                continue
            try:
                far = socket.create_connection(self.target)
            except OSError:
                # The service is away: whoever asks is told so.
                near.close()
                continue
            pair = _Pair(near, far)
            self._pairs.append(pair)
            self._spawn(self._forward, pair, near, far)
            self._spawn(self._forward, pair, far, near)

    def _forward(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        heard = bytearray()
        if self.heard is not None:
            self.heard[len(self.heard)] = heard
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.heard is not None:
                    heard += data
                if self.latency:
                    time.sleep(self.latency)
                if self.line is Line.BLACK_HOLE:
                    pair.is_spoilt = True
                    continue
                sink.sendall(data)
                if source is pair.near and self._is_to_be_dropped(pair, data):
                    break
        if self.line is not Line.RESET:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        # The other end is closed by the thread that reads from it.
        source.close()
        with contextlib.suppress(ValueError):
            self._pairs.remove(pair)

    def _is_to_be_dropped(self, pair: _Pair, data: bytes) -> bool:
        if not self.drops_left:
            return False
        pair.seen = (pair.seen + data)[-65_536 - len(self.drop_after) :]
        if self.drop_after not in pair.seen:
            return False
        self.drops_left -= 1
        return True

    def _hang_up(self, *, abruptly: bool = False, spoilt_only: bool = False) -> None:
        for pair in list(self._pairs):
            if spoilt_only and not pair.is_spoilt:
                continue
            for end in (pair.near, pair.far):
                with contextlib.suppress(OSError):
                    if abruptly:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    end.shutdown(socket.SHUT_RD if abruptly else socket.SHUT_RDWR)
