"""From the upload to the recipient: the file that arrives is the file that was sent."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging import attachment_files, attachments
from messaging.channels.base import SenderFailure, TemporaryFailure
from messaging.channels.content import EmailContent, StoredFile, content_from_json
from messaging.models import Attachment, Attempt, Message, MessageAttachment, Status
from tests.conftest import client_for
from tests.factories import drain, make_api_key, make_sender, make_version, reloaded
from tests.messaging.attachments.files import MAIL, PDF, PNG, SEND, keep, problems, upload
from tests.messaging.channels.reading import read

pytestmark = pytest.mark.django_db


def send(api, *attachment_ids, **overrides):
    return api.post(SEND, MAIL | {"attachment_ids": list(attachment_ids)} | overrides)


def work(**options):
    return drain(now=timezone.now() + timedelta(seconds=1), **options)


def sent(api, *attachment_ids, **overrides):
    """The message, after a worker had its turn."""
    response = send(api, *attachment_ids, **overrides)
    assert response.status_code == 202, response.json()
    work()
    return Message.objects.get(pk=response.json()["id"])


def parts(mail):
    return {part.get_filename(): part for part in read(mail.data).walk() if part.get_filename()}


def test_what_arrives_is_what_was_uploaded(api, server, sender):
    table = "名称;价格\r\n.\r\n..\r\n".encode() + b"x" * 5000
    answers = [upload(api, "invoice.pdf", PDF).json(), upload(api, "价格.csv", table).json()]

    message = sent(api, *(answer["id"] for answer in answers))

    found = parts(server.mails[0])
    assert message.status == Status.SUCCESS
    assert list(found) == ["invoice.pdf", "价格.csv"]
    for answer, data in zip(answers, (PDF, table), strict=True):
        part = found[answer["filename"]]
        arrived = part.get_payload(decode=True)
        assert arrived == data
        assert hashlib.sha256(arrived).hexdigest() == answer["sha256"]
        assert part.get_content_type() == answer["content_type"]
        assert part.get_content_disposition() == "attachment"


def test_ten_megabytes_arrive_whole(api, server, sender):
    data = PNG * 13_000
    answer = upload(api, "big.png", data).json()

    message = sent(api, answer["id"])

    arrived = parts(server.mails[0])["big.png"].get_payload(decode=True)
    assert len(data) > 10_000_000
    assert message.status == Status.SUCCESS
    assert hashlib.sha256(arrived).hexdigest() == answer["sha256"]


def test_an_image_is_shown_inside_the_html(api, server, sender):
    logo = {"id": upload(api, "logo.png", PNG).json()["id"], "content_id": "logo", "inline": True}

    sent(api, logo, content='<img src="cid:logo">')

    mail = read(server.mails[0].data)
    part = parts(server.mails[0])["logo.png"]
    assert mail.get_content_type() == "multipart/related"
    assert part["Content-ID"] == "<logo>"
    assert part.get_content_disposition() == "inline"
    assert part.get_payload(decode=True) == PNG


def test_a_template_and_files_go_together(api, server, sender):
    version = make_version(status="published")
    fields = {"template_code": version.template.code, "variables": {"name": "Ann"}}
    mail = {"to": "ann@example.com", "attachment_ids": [str(keep(key=api.key).pk)]}

    assert api.post(SEND, mail | fields).status_code == 202
    work()

    assert parts(server.mails[0])["invoice.pdf"].get_payload(decode=True) == PDF
    assert "Hello Ann" in read(server.mails[0].data).get_body().get_content()


def test_one_file_goes_with_many_messages(api, server, sender):
    pk = str(keep(key=api.key).pk)

    for number in range(12):
        send(api, pk, to=[f"user-{number}@example.com", "cc@example.com"])
    work()

    assert len(server.mails) == 12
    assert all(parts(mail)["invoice.pdf"].get_payload(decode=True) == PDF for mail in server.mails)


def test_messages_with_and_without_files_share_a_connection(api, server, sender):
    server.offers_pipelining = True
    pk = str(keep(key=api.key).pk)

    for number in range(40):
        files = [pk] if number % 3 else []
        send(api, *files, subject=str(number))
    work()

    by_subject = {read(mail.data)["Subject"]: len(parts(mail)) for mail in server.mails}
    assert len(server.mails) == 40
    assert by_subject == {str(number): int(number % 3 > 0) for number in range(40)}


def test_a_message_tells_of_its_files(api, sender):
    pdf, logo = keep(key=api.key), keep("logo.png", PNG, key=api.key)

    message = sent(api, str(pdf.pk), {"id": str(logo.pk), "content_id": "logo"})

    detail = api.get(f"/api/v1/messages/{message.pk}").json()
    assert detail["attachments"] == [
        {
            "id": str(pdf.pk),
            "filename": "invoice.pdf",
            "size": len(PDF),
            "content_type": "application/pdf",
            "inline": False,
            "content_id": "",
        },
        {
            "id": str(logo.pk),
            "filename": "logo.png",
            "size": len(PNG),
            "content_type": "image/png",
            "inline": True,
            "content_id": "logo",
        },
    ]
    links = MessageAttachment.objects.filter(message=message).order_by("position")
    assert [(link.attachment_id, link.disposition) for link in links] == [
        (pdf.pk, "attachment"),
        (logo.pk, "inline"),
    ]


NOT_THERE = "01a20000-0000-7000-8000-000000000000"


def test_what_may_not_be_sent_is_named_by_its_place_and_nothing_is_stored(api):
    now = timezone.now()
    good, foreign = keep(key=api.key), keep()
    expired = keep(key=api.key, now=now - timedelta(hours=24, seconds=1))
    removed = keep(key=api.key)
    Attachment.objects.filter(pk=removed.pk).update(removed_at=now)
    ids = [NOT_THERE, str(good.pk), str(foreign.pk), str(expired.pk), str(removed.pk)]

    response = send(api, *ids)

    errors = response.json()["errors"]
    assert response.status_code == 422
    assert problems(response) == [
        (f"/attachment_ids/{index}", "unknown_attachment") for index in (0, 2, 3, 4)
    ]
    # Nobody learns from the words which ids there are.
    words = [error["detail"].replace(ids[int(error["pointer"][-1])], "…") for error in errors]
    assert len(set(words)) == 1
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("x", [("", "invalid")]),
        ({}, [("", "invalid")]),
        ([NOT_THERE] * 21, [("", "too_many")]),
        ([1], [("/0", "invalid")]),
        (["not-an-id"], [("/0", "invalid")]),
        (["0" * 5000], [("/0", "invalid")]),
        ([None, {"id": None}], [("/0", "invalid"), ("/1/id", "invalid")]),
        ([{}], [("/0/id", "required")]),
        ([{"id": NOT_THERE, "name": "x"}], [("/0/name", "unknown_field")]),
        ([NOT_THERE, NOT_THERE.upper()], [("/1", "duplicate")]),
        ([{"id": NOT_THERE, "content_id": ""}], [("/0/content_id", "invalid_content_id")]),
        ([{"id": NOT_THERE, "content_id": "a\r\nb"}], [("/0/content_id", "invalid_content_id")]),
        ([{"id": NOT_THERE, "content_id": "<a>"}], [("/0/content_id", "invalid_content_id")]),
        ([{"id": NOT_THERE, "content_id": 1}], [("/0/content_id", "invalid_content_id")]),
        ([{"id": NOT_THERE, "inline": True}], [("/0/content_id", "required")]),
        ([{"id": NOT_THERE, "inline": 1}], [("/0/inline", "invalid")]),
        (
            [{"id": NOT_THERE, "content_id": "a", "inline": False}],
            [("/0/inline", "conflict")],
        ),
        (
            [
                {"id": NOT_THERE, "content_id": "a"},
                {"id": NOT_THERE[:-1] + "1", "content_id": "a"},
            ],
            [("/1/content_id", "duplicate")],
        ),
    ],
)
def test_a_list_that_is_none_is_refused_by_its_place(api, asked, found):
    response = api.post(SEND, MAIL | {"attachment_ids": asked})

    assert response.status_code == 422
    assert problems(response) == [(f"/attachment_ids{place}", code) for place, code in found]


def test_files_are_bounded_together(api, settings):
    settings.MESSAGE_ATTACHMENTS_MAX_BYTES = len(PDF) + len(PNG) - 1
    pdf, png = str(keep(key=api.key).pk), str(keep("a.png", PNG, key=api.key).pk)

    assert send(api, pdf).status_code == send(api, png).status_code == 202
    assert problems(send(api, pdf, png)) == [("/attachment_ids", "too_large")]


def test_an_empty_list_is_no_attachment(api, server, sender):
    assert sent(api).content.keys() == {"to", "subject", "html"}


def test_without_files_a_send_asks_nothing_more(api, django_assert_num_queries, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("asked for files")

    api.post(SEND, MAIL)
    for name in ("find", "known", "attach"):
        monkeypatch.setattr(attachments, name, never)

    # The key, the suppression list, and the message.
    with django_assert_num_queries(3):
        assert api.post(SEND, MAIL).status_code == 202


def test_the_bell_rings_after_the_commit(api, bells, monkeypatch):
    """A message that was not stored wakes nobody."""

    def broken(pairs):
        raise RuntimeError("between message and files")

    monkeypatch.setattr(attachments, "attach", broken)
    api.raise_request_exception = False

    assert send(api, str(keep(key=api.key).pk)).status_code == 500
    assert bells == []
    assert not Message.objects.exists()


def test_a_file_that_is_gone_fails_its_message_for_good_and_says_so(api, server, sender, folder):
    attachment = keep(key=api.key)
    (folder / attachment.stored_as).unlink()

    message = sent(api, str(attachment.pk))

    assert (message.status, message.reason) == (Status.FAILED, "attachment_gone")
    assert str(attachment.pk) in message.reason_detail
    assert "invoice" not in message.reason_detail
    assert server.mails == []


@pytest.mark.parametrize("content", [b"", PDF[:-1], PDF[:-1] + b"X", PDF + b"X"])
def test_a_file_that_was_changed_is_not_sent(api, server, sender, folder, content):
    attachment = keep(key=api.key)
    (folder / attachment.stored_as).write_bytes(content)

    message = sent(api, str(attachment.pk))

    assert (message.status, message.reason) == (Status.FAILED, "attachment_gone")
    assert server.mails == []


def test_a_storage_that_is_away_is_waited_for(api, server, sender, folder):
    attachment = keep(key=api.key)
    folder.rename(folder.parent / "away")

    message = sent(api, str(attachment.pk))
    told = message.reason_detail
    (folder.parent / "away").rename(folder)
    drain(now=message.due_at + timedelta(seconds=1))

    assert (message.status, message.reason) == (Status.PENDING, "temporary_failure")
    assert "does not see the storage" in told
    assert reloaded(message).status == Status.SUCCESS
    assert len(server.mails) == 1


def test_a_storage_that_breaks_takes_no_other_message_along(api, server, sender, monkeypatch):
    def broken(file):
        raise ConnectionError("the bucket does not answer")

    with_file = send(api, str(keep(key=api.key).pk)).json()["id"]
    without = send(api).json()["id"]
    monkeypatch.setattr(attachment_files, "storage", lambda: type("S", (), {"open": broken})())

    work()

    assert Message.objects.get(pk=with_file).status == Status.PENDING
    assert Message.objects.get(pk=without).status == Status.SUCCESS
    assert Attempt.objects.get(message=with_file).kind == "storage_away"


def test_a_storage_that_fails_says_nothing_of_the_sender(api, adapter, monkeypatch):
    """Who is being tried after a bench is neither well nor ill for it, and free for the next."""
    sender = make_sender(benched_until=timezone.now() - timedelta(minutes=1))

    def away(file):
        raise TemporaryFailure("storage_away", phase="attachments")

    monkeypatch.setattr(attachment_files, "load", away)
    sent(api, str(keep(key=api.key).pk))

    sender = reloaded(sender)
    assert sender.benched_until is not None
    assert sender.probe_until is None
    assert adapter.sent == []


def test_another_sender_gets_the_files_too(api, adapter):
    first, _ = make_sender(priority=10), make_sender(priority=1)
    adapter.failures = {first.name: SenderFailure("transient", phase="connect")}

    message = sent(api, str(keep(key=api.key).pk))

    (_, outbound), *_others = adapter.sent
    assert message.status == Status.SUCCESS
    assert [file.data for file in outbound.attachments] == [PDF]


def test_files_are_not_held_while_messages_wait(api, adapter, monkeypatch):
    """Only what is handed over at this moment is in memory."""
    open_now, most = set(), []
    load, pk = attachment_files.load, str(keep(key=api.key).pk)

    def counted(file):
        open_now.add(id(file))
        most.append(len(open_now))
        return load(file)

    def taken(self, outbound):
        open_now.discard(id(outbound.content.attachments[0]))
        return original(self, outbound)

    original = adapter.send
    monkeypatch.setattr(attachment_files, "load", counted)
    monkeypatch.setattr(adapter, "send", taken)
    make_sender(max_connections=2)
    for _ in range(30):
        send(api, pk, priority="bulk")

    work(lane="bulk")

    assert len(most) == 30
    assert max(most) <= 2


def test_what_is_stored_on_a_message_is_read_again():
    content = EmailContent(
        to=[("", "a@example.com")],
        subject="S",
        text="T",
        attachments=[StoredFile("1", "day/name", "a.pdf", "application/pdf", 3, "00", "logo")],
    )

    assert content_from_json("email", json.loads(json.dumps(content.as_json()))) == content


def test_an_application_sends_only_its_own(server, sender):
    mine, theirs = make_api_key(), make_api_key()
    attachment = keep(key=theirs)

    assert send(client_for(mine), str(attachment.pk)).status_code == 422
    assert send(client_for(theirs), str(attachment.pk)).status_code == 202
