"""A Postfix of the test's own: a real server's judgement of what we write.

    with SmtpServer() as far_end, Postfix(relay_to=far_end.port) as postfix:
        ...                       # send to 127.0.0.1:postfix.port, read far_end.mails

It touches no system service: its configuration, queue and data are in a folder that goes away, and
its master is our child. It accepts everything from the loopback and hands it on to `relay_to`.
Postfix starts as root only.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.imitations.ports import free_port

# Every option that the imitation of a far end and a test of ours depend on.
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.net
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_host_lookup = native
smtp_dns_support_level = disabled
default_transport = smtp:[127.0.0.1]:{relay}
# One copy for everyone, as the client gave it.
default_destination_recipient_limit = 1000
smtpd_recipient_limit = 1000
smtpd_recipient_restrictions =
  check_recipient_access inline:{{ {{ {refused} = 550 5.1.1 unknown user }} }}
smtp_tls_security_level = none
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
{tls}
"""
TLS = """
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_received_header = yes
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
# Its RCPT is refused.
REFUSED = "nobody@example.com"
SECONDS = 60.0


def why_not() -> str:
    """Why Postfix cannot run here; empty if it can."""
    if shutil.which("postfix") is None:
        return "Postfix is not installed (Debian: apt install postfix)."
    if os.geteuid() != 0:
        return "Postfix starts as root only."
    return ""


class Postfix:
    def __init__(self, *, relay_to: int, certificate: Path | None = None) -> None:
        self.port = free_port()
        self._relay_to = relay_to
        self._certificate = certificate
        self._starter: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # Not below the test's own folder, which only root may enter: the daemons run as `postfix`.
        self._folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self._folder.chmod(0o755)
        try:
            self._configure()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._starter is not None:
            self._stop(self._starter)
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _configure(self) -> None:
        settings = self._folder / "etc"
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data"):
            (self._folder / name).mkdir(mode=0o755)
        os.chown(self._folder / "data", owner.pw_uid, owner.pw_gid)
        tls = ""
        if self._certificate is not None:
            copy = settings / "certificate.pem"
            copy.write_bytes(self._certificate.read_bytes())
            copy.chmod(0o600)
            tls = TLS.format(certificate=copy)
        values = {"folder": self._folder, "relay": self._relay_to, "tls": tls}
        daemons = subprocess.run(
            ["postconf", "-dh", "daemon_directory"], capture_output=True, text=True, check=True
        ).stdout.strip()
        (settings / "main.cf").write_text(MAIN.format(**values, daemons=daemons, refused=REFUSED))
        (settings / "master.cf").write_text(MASTER.format(port=self.port))

    def _start(self) -> None:
        # It checks and makes what is missing, starts the master and waits for it.
        self._starter = subprocess.Popen(
            ["postfix", "-c", str(self._folder / "etc"), "start-fg"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + SECONDS
        while not self._answers():
            if self._starter.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Postfix did not start:\n{self.log()}")
            time.sleep(0.05)

    def _stop(self, starter: "subprocess.Popen[bytes]") -> None:
        """The master leads a group of its own, which ends with it."""
        written = self._folder / "queue" / "pid" / "master.pid"
        master = int(written.read_text()) if written.exists() else None
        if master is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(master, signal.SIGTERM)
        else:
            starter.terminate()
        try:
            starter.wait(SECONDS)
        finally:
            if master is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(master, signal.SIGKILL)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(5)
            try:
                probe.connect(("127.0.0.1", self.port))
                return probe.recv(100).startswith(b"220")
            except OSError:
                return False
