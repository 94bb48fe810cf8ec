"""Stands between the platform and a service, so that a test can cut the line and mend it."""

import contextlib
import select
import socket
import threading
from urllib.parse import SplitResult


class TcpProxy:
    """Forwards a loopback port to `target`. While cut, it closes what comes and what there is."""

    def __init__(self, *, target: SplitResult) -> None:
        self.target = (target.hostname or "127.0.0.1", target.port or 0)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.is_cut = threading.Event()
        self.is_stopped = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._spawn(self._accept)

    def cut(self) -> None:
        self.is_cut.set()
        self._hang_up()

    def mend(self) -> None:
        self.is_cut.clear()

    def stop(self) -> None:
        self.is_stopped.set()
        self._hang_up()
        for thread in self._threads:
            thread.join(5)
        self.listening.close()

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.is_stopped.is_set():
            if not select.select([self.listening], [], [], 0.1)[0]:
                continue
            near, _ = self.listening.accept()
            if self.is_cut.is_set():
                near.close()
                continue
            far = socket.create_connection(self.target)
            self._pairs.append((near, far))
            self._spawn(self._forward, near, far)
            self._spawn(self._forward, far, near)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _hang_up(self) -> None:
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
