"""An SMTP server that takes everything, counts it and keeps nothing: the far end of a benchmark.

It is asked over SMTP itself: `XCOUNT` answers how many messages and bytes came and how many
connections were open at once, `XTIMES` which message came when, `XRESET` begins anew. Commands may
be pipelined (RFC 2920). Data is taken up to its final dot in whole chunks.
"""

import argparse
import asyncio
import contextlib
import re
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

END_OF_DATA = b"\r\n.\r\n"
MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<([^@>]+)")
# Of one connection's talk, what has to wait: every answer, or only the one to a message.
ANSWERS, MESSAGES = "answers", "messages"


@dataclass(slots=True)
class Tally:
    """What the sink took since the last reset. Bytes are counted as they came, dots stuffed."""

    messages: int = 0
    size: int = 0
    # Where the next message is written to, once; then None.
    keep: Path | None = None
    # The local part of each Message-ID and the Unix time at which its final dot came. None: no
    # times are kept.
    times: list[tuple[bytes, float]] | None = None
    # Connections that sent a message and are still open, and the most of them at once.
    senders: set["Session"] = field(default_factory=set)
    most_senders: int = 0

    def reset(self) -> None:
        self.messages = self.size = self.most_senders = 0
        self.senders.clear()
        if self.times is not None:
            self.times = []


@dataclass(frozen=True, slots=True)
class Slowness:
    """What a connection lets its client wait for, and for how many seconds. One after the other:
    what is asked while an answer is late begins when that answer has left."""

    seconds: float = 0.0
    of: str = ANSWERS


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally, slowness: Slowness) -> None:
        self.tally = tally
        self.slowness = slowness
        self.buffer = bytearray()
        self.answers = bytearray()
        # Answers that wait, each with the loop's time at which it leaves.
        self.late: deque[tuple[float, bytes]] = deque()
        self.is_in_data = False
        self.is_over = False
        self.searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.answers += b"220 sink ESMTP\r\n"
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.senders.discard(self)

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
            tally = self.tally
            self.answers += b"250 %d %d %d\r\n" % (tally.messages, tally.size, tally.most_senders)
        elif verb == b"XTIMES":
            for id_, at in self.tally.times or ():
                self.answers += b"250-%s %.6f\r\n" % (id_, at)
            self.answers += b"250 2.0.0 That is all\r\n"
        elif verb == b"XRESET":
            self.tally.reset()
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
        self._count(end)
        del self.buffer[: end + len(END_OF_DATA)]
        self.is_in_data = False
        if self.slowness.of == MESSAGES:
            # What was said before the final dot does not wait with the answer to it.
            self._flush()
            self.answers += b"250 2.0.0 Taken\r\n"
            self._flush(is_of_message=True)
        else:
            self.answers += b"250 2.0.0 Taken\r\n"
        return True

    def _count(self, end: int) -> None:
        tally = self.tally
        tally.messages += 1
        tally.size += end
        tally.senders.add(self)
        tally.most_senders = max(tally.most_senders, len(tally.senders))
        if tally.times is not None:
            # Our own header stands among the first; a body that quotes one is not searched.
            found = MESSAGE_ID.search(self.buffer, 0, min(end, 4096))
            tally.times.append((found[1] if found else b"?", time.time()))
        if tally.keep is not None:
            data = bytes(self.buffer[2 : end + 2])
            tally.keep.write_bytes(data.replace(b"\r\n..", b"\r\n."))
            tally.keep = None

    def _flush(self, *, is_of_message: bool = False) -> None:
        """Send what there is to say, now or when its turn comes."""
        if not self.answers:
            return
        answers = bytes(self.answers)
        self.answers.clear()
        is_slow = self.slowness.of == ANSWERS or is_of_message
        seconds = self.slowness.seconds if is_slow else 0.0
        if not seconds and not self.late:
            self._write(answers)
            return
        loop = asyncio.get_running_loop()
        leaves_at = (self.late[-1][0] if self.late else loop.time()) + seconds
        self.late.append((leaves_at, answers))
        loop.call_at(leaves_at, self._write_late)

    def _write_late(self) -> None:
        self._write(self.late.popleft()[1])

    def _write(self, answers: bytes) -> None:
        self.transport.write(answers)
        if self.is_over and not self.late:
            self.transport.close()


async def serve(tally: Tally, slowness: Slowness) -> None:
    """Serve on a free port, which is printed, until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, over.set)
    server = await loop.create_server(lambda: Session(tally, slowness), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.smtp_sink", description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="Seconds before an answer.")
    parser.add_argument(
        "--delay-of",
        choices=(ANSWERS, MESSAGES),
        default=ANSWERS,
        help="Before every answer, or only before the one to a whole message.",
    )
    parser.add_argument("--keep", type=Path, help="Write the first message into this file.")
    parser.add_argument("--times", action="store_true", help="Keep the time of every message.")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            serve(
                Tally(keep=options.keep, times=[] if options.times else None),
                Slowness(options.delay, options.delay_of),
            )
        )
