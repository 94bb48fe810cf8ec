import pytest

from messaging.channels.base import SenderFailure
from tests.imitations.certificates import make_certificate
from tests.imitations.smtp import Act, SmtpServer
from tests.messaging.channels.outbound import make_outbound


def test_starttls_encrypts_the_login_and_the_message(trusted, open_smtp):
    with SmtpServer(certificate=trusted, users={"sender": "right"}) as server:
        adapter = open_smtp(server, security="starttls", password="right")

        adapter.send(make_outbound())
        adapter.send(make_outbound())
        adapter.close()

    assert [(mail.is_encrypted, mail.username) for mail in server.mails] == [(True, "sender")] * 2
    assert server.commands.index("STARTTLS") < server.commands.index("AUTH")
    assert server.connections == 1


def test_tls_from_the_first_byte_works_as_well(trusted, open_smtp):
    with SmtpServer(certificate=trusted, implicit_tls=True) as server:
        adapter = open_smtp(server, security="tls")

        adapter.send(make_outbound())
        adapter.close()

    assert server.mails[0].is_encrypted


def test_nothing_is_sent_in_the_clear_where_starttls_is_not_offered(server, open_smtp):
    server.users = {"sender": "right"}
    adapter = open_smtp(server, security="starttls", password="right")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "tls")
    assert set(server.commands) <= {"EHLO", "QUIT"}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(certificate, open_smtp, security):
    is_implicit = security == "tls"
    with SmtpServer(
        certificate=certificate, implicit_tls=is_implicit, users={"sender": "right"}
    ) as server:
        adapter = open_smtp(server, security=security, password="right")

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "tls")
    assert "self-signed" in caught.value.words
    assert "AUTH" not in server.commands


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host_is_refused(tmp_path, monkeypatch, open_smtp, security):
    other = make_certificate(tmp_path, host="mail.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with SmtpServer(certificate=other, implicit_tls=security == "tls") as server:
        adapter = open_smtp(server, security=security)

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "tls")
    assert "127.0.0.1" in caught.value.words


def test_what_was_slipped_in_before_the_handshake_is_not_believed(trusted, open_smtp):
    with SmtpServer(
        certificate=trusted, script={"starttls": "220 go ahead\n250 2.0.0 slipped in"}
    ) as server:
        adapter = open_smtp(server, security="starttls")

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "tls")
    assert set(server.commands) == {"EHLO", "STARTTLS"}


def test_what_was_offered_in_the_clear_does_not_count_once_it_is_encrypted(trusted, open_smtp):
    with SmtpServer(certificate=trusted, offers_pipelining=True) as server:
        server.once["ehlo"].append("250-imitation\n250-STARTTLS\n250 PIPELINING")
        server.once["ehlo"].append("250 imitation")
        adapter = open_smtp(server, security="starttls")

        adapter.send(make_outbound())
        pieces = server.pieces
        adapter.send(make_outbound())
        adapter.close()

    assert server.mails[1].is_encrypted
    assert server.pieces - pieces >= 4


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_check_can_be_turned_off(certificate, open_smtp, security):
    with SmtpServer(certificate=certificate, implicit_tls=security == "tls") as server:
        adapter = open_smtp(server, security=security, verify_certificate=False)

        adapter.send(make_outbound())
        adapter.close()

    assert server.mails[0].is_encrypted


@pytest.mark.parametrize(
    ("reply", "code"), [("454 4.7.0 TLS not available", "454"), ("502 5.5.1 no", "502")]
)
def test_a_refused_starttls_is_the_senders_failure(trusted, open_smtp, reply, code):
    with SmtpServer(certificate=trusted, script={"starttls": reply}) as server:
        adapter = open_smtp(server, security="starttls")

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "tls")
    assert caught.value.code == code
    assert "MAIL" not in server.commands


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET, Act.SILENCE])
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_handshake_that_comes_to_nothing_is_the_senders_failure(
    trusted, open_smtp, act, security
):
    with SmtpServer(
        certificate=trusted, implicit_tls=security == "tls", script={"tls": act}
    ) as server:
        adapter = open_smtp(server, security=security)

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    assert caught.value.kind == "transient"
    assert caught.value.phase in {"tls", "connect"}


def test_tls_to_a_server_that_speaks_none_is_the_senders_failure(server, open_smtp):
    adapter = open_smtp(server, security="tls")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "tls")


def test_a_large_message_goes_through_tls_whole(trusted, open_smtp):
    html = "<p>" + "你好，世界。" * 60_000
    with SmtpServer(certificate=trusted) as server:
        adapter = open_smtp(server, security="starttls")

        adapter.send(make_outbound(html=html))
        adapter.close()

    assert len(server.mails[0].data) > len(html.encode())
