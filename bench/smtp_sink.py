"""An SMTP server that takes everything, counts it and keeps nothing: the far end of a benchmark.

It is asked over SMTP itself: `XCOUNT` answers how many messages and bytes came, `XRESET` begins
anew. Commands may be pipelined (RFC 2920). Data is taken up to its final dot in whole chunks.
"""

import argparse
import asyncio
import contextlib
import signal
from collections import deque
from dataclasses import dataclass
from pathlib import Path

END_OF_DATA = b"\r\n.\r\n"


@dataclass(slots=True)
class Tally:
    """What the sink took since the last reset. Bytes are counted as they came, dots stuffed."""

    messages: int = 0
    size: int = 0
    # Where the next message is written to, once; then None.
    keep: Path | None = None


class Session(asyncio.Protocol):
    """One connection. `delay` is what each answer waits, in seconds, in order."""

    def __init__(self, tally: Tally, delay: float = 0.0) -> None:
        self.tally = tally
        self.delay = delay
        self.buffer = bytearray()
        self.answers = bytearray()
        self.late: deque[bytes] = deque()
        self.is_in_data = False
        self.is_over = False
        self.searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.answers += b"220 sink ESMTP\r\n"
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.is_over and (self._take_data() if self.is_in_data else self._take_command()):
            pass
        self._flush()

    def _take_command(self) -> bool:
        end = self.buffer.find(b"\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end]).strip()
        del self.buffer[: end + 1]
        verb = line[:6].upper()
        if verb[:4] in {b"MAIL", b"RCPT", b"RSET", b"NOOP"}:
            self.answers += b"250 2.0.0 OK\r\n"
        elif verb[:4] == b"DATA":
            self.is_in_data = True
            # The line end before the final dot may be the one of DATA itself: an empty message.
            self.buffer[:0] = b"\r\n"
            self.searched = 0
            self.answers += b"354 Go ahead\r\n"
        elif verb[:4] == b"EHLO":
            self.answers += b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
        elif verb[:4] == b"HELO":
            self.answers += b"250 sink\r\n"
        elif verb == b"XCOUNT":
            self.answers += b"250 %d %d\r\n" % (self.tally.messages, self.tally.size)
        elif verb == b"XRESET":
            self.tally.messages = self.tally.size = 0
            self.answers += b"250 2.0.0 OK\r\n"
        elif verb[:4] == b"QUIT":
            self.answers += b"221 2.0.0 Bye\r\n"
            self.is_over = True
        else:
            self.answers += b"502 5.5.1 Not here\r\n"
        return True

    def _take_data(self) -> bool:
        end = self.buffer.find(END_OF_DATA, self.searched)
        if end < 0:
            self.searched = max(0, len(self.buffer) - len(END_OF_DATA) + 1)
            return False
        if self.tally.keep is not None:
            data = bytes(self.buffer[2 : end + 2])
            self.tally.keep.write_bytes(data.replace(b"\r\n..", b"\r\n."))
            self.tally.keep = None
        del self.buffer[: end + len(END_OF_DATA)]
        self.tally.messages += 1
        self.tally.size += end
        self.is_in_data = False
        self.answers += b"250 2.0.0 Taken\r\n"
        return True

    def _flush(self) -> None:
        if not self.answers:
            return
        answers = bytes(self.answers)
        self.answers.clear()
        if self.delay:
            self.late.append(answers)
            asyncio.get_running_loop().call_later(self.delay, self._write_late)
            return
        self.transport.write(answers)
        if self.is_over:
            self.transport.close()

    def _write_late(self) -> None:
        self.transport.write(self.late.popleft())
        if self.is_over and not self.late:
            self.transport.close()


async def serve(*, delay: float, keep: Path | None) -> None:
    """Serve on a free port, which is printed, until SIGTERM."""
    loop = asyncio.get_running_loop()
    tally = Tally(keep=keep)
    over = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, over.set)
    server = await loop.create_server(lambda: Session(tally, delay), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.smtp_sink", description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="Seconds before each answer.")
    parser.add_argument("--keep", type=Path, help="Write the first message into this file.")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(delay=options.delay, keep=options.keep))
