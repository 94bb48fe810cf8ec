"""The tools do what they say: a fault that does not happen shows nothing."""

import smtplib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests

from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.base import DeliveryError, Handed, Outbound, OutcomeUnknown, Standing
from tests.faults.accounts import PASSWORD, HttpAccount, SmtpAccount
from tests.faults.ledger import CopyLedger
from tests.faults.sms import SmsAccount
from tests.imitations.http_provider import SECRET
from tests.imitations.tcp_proxy import TcpProxy
from tests.messaging.channels.aliyun import NUMBER, sms_account, sms_content

MAIL = b"Message-ID: <m-1@example.com>\r\nX-Notification-Attempt: a-1\r\n\r\nHi"


@pytest.fixture
def account() -> Iterator[SmtpAccount]:
    with SmtpAccount("plain", CopyLedger(), certificates=None) as running:
        yield running


@pytest.fixture
def line(echo: int) -> Iterator[TcpProxy]:
    proxy = TcpProxy(target=urlsplit(f"//127.0.0.1:{echo}"))
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that answers what it hears."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    stopping = threading.Event()

    def serve() -> None:
        threads: list[threading.Thread] = []
        while not stopping.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=answer, args=[connection]))
            threads[-1].start()
        for thread in threads:
            thread.join(5)

    def answer(connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection:
            try:
                while data := connection.recv(100):
                    connection.sendall(data)
            except OSError:
                return

    server = threading.Thread(target=serve)
    server.start()
    yield listening.getsockname()[1]
    stopping.set()
    server.join(10)
    listening.close()


def connect(line: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=5)


def say(end: socket.socket, words: bytes) -> bytes:
    end.sendall(words)
    return end.recv(100)


def send(account: SmtpAccount) -> None:
    with smtplib.SMTP("127.0.0.1", account.port, timeout=5) as client:
        client.login("plain", PASSWORD)
        client.sendmail("noreply@example.com", ["ann@example.com"], MAIL)


# --- lines ---------------------------------------------------------------------------------------


def test_a_good_line_carries_both_ways(line):
    with connect(line) as end:
        assert say(end, b"hi") == b"hi"


def test_a_line_that_is_cut_ends_open_connections_and_refuses_new_ones(line):
    with connect(line) as end:
        say(end, b"hi")
        line.cut()
        assert end.recv(1) == b""
    with connect(line) as end:
        assert end.recv(1) == b""

    line.mend()

    with connect(line) as end:
        assert say(end, b"hi") == b"hi"


def test_a_line_that_is_reset_says_no_good_bye(line):
    with connect(line) as end:
        say(end, b"hi")
        line.reset()
        with pytest.raises(ConnectionResetError):
            end.recv(1)


def test_a_black_hole_takes_everything_and_its_connections_end_when_it_is_mended(line):
    with connect(line) as end:
        say(end, b"hi")
        line.black_hole()
        end.settimeout(0.3)
        with pytest.raises(TimeoutError):
            say(end, b"hello?")
        end.settimeout(5)

        line.mend()

        assert end.recv(1) == b""


def test_a_line_can_be_lost_right_after_a_pattern_once(line):
    line.drop_when_seen(b"\r\n.\r\n")
    with connect(line) as end:
        assert say(end, b"body") == b"body"
        end.sendall(b"\r\n.")
        assert end.recv(100) == b"\r\n."
        # The answer to the last bytes is lost with the line, or comes just before.
        end.sendall(b"\r\n")
        assert end.recv(100) in {b"", b"\r\n"}
    with connect(line) as end:
        assert say(end, b"\r\n.\r\n") == b"\r\n.\r\n"


# --- accounts ------------------------------------------------------------------------------------


def test_a_copy_is_recorded_with_its_ids(account):
    send(account)

    (copy,) = account.ledger.copies
    assert (copy.message_id, copy.attempt_id, copy.account) == ("m-1", "a-1", "plain")
    assert copy.recipients == ("ann@example.com",)
    assert copy.is_answered


@pytest.mark.parametrize(
    ("illness", "copies"),
    [
        ("closes after the dot, taken", 1),
        ("closes after the dot, not taken", 0),
        ("resets after the dot, taken", 1),
        ("half-closes after the dot, taken", 1),
    ],
)
def test_a_message_without_an_answer_is_recorded_if_it_was_taken(account, illness, copies):
    account.fall_ill(illness)

    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(account)

    assert [copy.is_answered for copy in account.ledger.copies] == [False] * copies


def test_an_account_refuses_in_the_phase_it_is_told_and_gets_well(account):
    account.fall_ill("451 at mail")
    with pytest.raises(smtplib.SMTPSenderRefused, match="451"):
        send(account)

    account.get_well()
    send(account)

    assert len(account.ledger) == 1


def test_a_fault_with_a_probability_follows_its_seed():
    def refusals(seed: int) -> list[object]:
        account = SmtpAccount("plain", CopyLedger(), certificates=None, seed=seed)
        account.fall_ill("451 at mail", probability=0.5)
        return [account.next_reply("mail", "250") for _ in range(50)]

    assert refusals(1) == refusals(1)
    assert refusals(1) != refusals(2)
    assert 10 < sum(reply == "250" for reply in refusals(1)) < 40


@pytest.mark.parametrize(
    ("illness", "copies"), [("reset, taken", 1), ("reset, not taken", 0), ("500", 0)]
)
def test_an_http_account_records_what_it_took(illness, copies):
    body = {
        "To": "ann@example.com",
        "Headers": [{"Name": "Message-ID", "Value": "<m-1@example.com>"}],
        "Metadata": {"attempt_id": "a-1"},
    }
    headers = {"X-Postmark-Server-Token": SECRET}
    with HttpAccount("postmark", CopyLedger()) as account, requests.Session() as session:
        session.post(f"{account.url}email", json=body, headers=headers, timeout=5)
        account.fall_ill(illness)
        try:
            session.post(f"{account.url}email", json=body, headers=headers, timeout=5)
        except requests.ConnectionError:
            assert "reset" in illness

    taken = [(copy.message_id, copy.attempt_id) for copy in account.ledger.copies]
    assert taken == [("m-1", "a-1")] * (1 + copies)


@pytest.mark.parametrize("is_taken", [True, False])
def test_an_sms_account_records_what_it_took_and_loses_no_answer_of_who_asks(is_taken):
    now = datetime.now(UTC)
    with SmsAccount("aliyun", CopyLedger()) as account:
        adapter = AliyunSms(sms_account(account))
        adapter.send(Outbound("a-1", "<m-1@example.com>", sms_content()))
        account.lose_answer(is_taken=is_taken)

        known = adapter.look_up(Handed("a-1", NUMBER, now))
        with pytest.raises(OutcomeUnknown):
            adapter.send(Outbound("a-2", "<m-2@example.com>", sms_content()))

        adapter.close()

    assert known.standing is Standing.TAKEN
    taken = [(copy.attempt_id, copy.is_answered) for copy in account.ledger.copies]
    assert taken == [("a-1", True), ("a-2", False)][: 1 + is_taken]
    assert {copy.recipients for copy in account.ledger.copies} == {(NUMBER,)}


def test_an_sms_account_that_never_knows_says_so_until_it_is_well():
    handed = Handed("a-1", NUMBER, datetime.now(UTC) - timedelta(minutes=2))
    with SmsAccount("aliyun", CopyLedger()) as account:
        adapter = AliyunSms(sms_account(account))
        account.is_mute = True
        with pytest.raises(DeliveryError):
            adapter.look_up(handed)

        account.get_well()

        assert adapter.look_up(handed).standing is Standing.ABSENT
        adapter.close()
