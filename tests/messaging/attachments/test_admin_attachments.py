"""What operators see of a message's files, and who may have them."""

import pytest
from django.urls import reverse
from django.utils import timezone

from messaging import attachments
from messaging.models import Attachment
from tests.conftest import browser_of
from tests.factories import make_api_key, make_message, make_staff
from tests.messaging.attachments.files import PDF, PNG, keep

pytestmark = pytest.mark.django_db


@pytest.fixture
def message():
    """With a PDF of a nasty name, and a picture."""
    key = make_api_key()
    files = [keep("b&Rechnung & 发票.pdf", PDF, key=key), keep("logo.png", PNG, key=key)]
    asked = [attachments.Asked(files[0].pk), attachments.Asked(files[1].pk, "logo")]
    message = make_message(application=key.application)
    found = attachments.find(asked, application_id=key.application_id, now=timezone.now())
    attachments.attach([(message.pk, found)])
    return message


def page(browser, message):
    url = reverse("admin:messaging_message_change", args=[message.pk])
    return browser.get(url).content.decode()


def address(message, position=0):
    return reverse("admin:messaging_message_attachment", args=[message.pk, position])


def test_the_page_lists_name_size_type_and_digest(operator, message):
    shown = page(operator, message)

    for attachment in Attachment.objects.all():
        assert attachment.sha256 in shown
        assert attachment.content_type in shown
    assert "b&amp;Rechnung &amp; 发票.pdf" in shown
    assert "cid:logo" in shown
    assert "Images that go with the mail stand below" in shown
    assert address(message, 1) in shown


def test_a_page_without_files_has_no_such_card(operator):
    shown = page(operator, make_message())

    assert "SHA-256" not in shown
    assert "Images that go with the mail" not in shown


def test_a_file_is_handed_out_to_be_kept_and_not_to_be_shown(operator, message):
    response = operator.get(address(message))

    assert b"".join(response.streaming_content) == PDF
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''b%26Rechnung")
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]


def test_who_may_see_messages_may_not_have_their_files(message):
    browser = browser_of(make_staff("view_message", "see_contents"))

    shown = page(browser, message)

    assert "logo.png" in shown
    assert address(message) not in shown
    assert browser.get(address(message)).status_code == 403


def test_who_may_see_no_messages_gets_no_file_either(client, message):
    browser = browser_of(make_staff("download_attachment"))

    assert browser.get(address(message)).status_code == 403
    assert client.get(address(message)).status_code == 302


def test_who_may_do_both_gets_it(message):
    browser = browser_of(make_staff("view_message", "download_attachment", "see_contents"))

    assert b"".join(browser.get(address(message, 1)).streaming_content) == PNG


def test_a_file_that_is_gone_is_said_so(operator, message, folder):
    first, second = Attachment.objects.order_by("pk")
    Attachment.objects.filter(pk=first.pk).update(removed_at=timezone.now())
    (folder / second.stored_as).unlink()

    assert "not stored any more" in page(operator, message)
    assert operator.get(address(message, 0)).status_code == 404
    assert operator.get(address(message, 1)).status_code == 404
    assert operator.get(address(message, 2)).status_code == 404


@pytest.mark.parametrize("by", ["message", "attachment"])
def test_the_links_are_found_by_message_and_by_file(operator, message, by):
    attachment = Attachment.objects.get(filename="logo.png")
    pk = {"message": message.pk, "attachment": attachment.pk}[by]
    url = reverse("admin:messaging_messageattachment_changelist")

    assert str(attachment.pk) in operator.get(url, {"q": str(pk)}).content.decode()
    assert str(attachment.pk) not in operator.get(url, {"q": "nonsense"}).content.decode()


def test_the_list_of_files_says_nothing_of_where_they_lie(operator, message):
    attachment = Attachment.objects.get(filename="logo.png")
    listed = reverse("admin:messaging_attachment_changelist")
    shown = reverse("admin:messaging_attachment_change", args=[attachment.pk])

    for page in (operator.get(listed, {"q": str(attachment.pk)}), operator.get(shown)):
        assert "logo.png" in page.content.decode()
        assert attachment.stored_as not in page.content.decode()
