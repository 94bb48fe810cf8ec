from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from messaging.models import Suppression
from tests.conftest import browser_of
from tests.factories import make_application, make_staff, make_suppression

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_suppression_changelist")
ADD = reverse("admin:messaging_suppression_add")
IMPORT = reverse("admin:messaging_suppression_take_in")
EXPORT = reverse("admin:messaging_suppression_take_out")
ANN = "ann@example.com"


def form(**fields):
    shared = {"channel": "email", "address": ANN, "application": "", "reason": "manual"}
    return shared | {"note": "", "expires_at_0": "", "expires_at_1": ""} | fields


def shown(browser, query=""):
    return browser.get(f"{LIST}{query}").content.decode()


def test_an_entry_is_added_with_reason_and_expiry(operator):
    application = make_application()
    fields = {"application": application.pk, "reason": "unsubscribed", "note": "By phone"}

    operator.post(
        ADD,
        form(address="ANN@Example.com", expires_at_0="2099-01-31", expires_at_1="00:00", **fields),
    )

    row = Suppression.objects.get()
    assert (row.address, row.application, row.reason) == (ANN, application, "unsubscribed")
    assert (row.note, row.source) == ("By phone", operator.user.username)
    assert row.expires_at > timezone.now() + timedelta(days=10_000)


def test_what_is_there_already_is_no_error(operator):
    make_suppression(address=ANN)

    page = operator.post(ADD, form(), follow=True).content.decode()

    assert "was on the list already" in page
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "nobody"},
        {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
        {"reason": "dislike"},
    ],
)
def test_what_makes_no_sense_is_not_added(operator, fields):
    assert operator.post(ADD, form(**fields)).status_code == 200
    assert not Suppression.objects.exists()


def test_it_is_found_by_its_exact_address(operator):
    make_suppression(address=ANN)
    make_suppression(address="annabel@example.com")

    page = shown(operator, "?q=Ann@Example.com")

    assert ANN in page
    assert "annabel@example.com" not in page
    assert "annabel@example.com" not in shown(operator, "?reason=complaint")


def test_it_is_removed_and_the_history_holds_no_address(operator):
    row = make_suppression(address=ANN)

    operator.post(reverse("admin:messaging_suppression_delete", args=[row.pk]), {"post": "yes"})

    assert not Suppression.objects.exists()
    assert "a***@example.com" in LogEntry.objects.get().object_repr
    assert ANN not in LogEntry.objects.get().object_repr


def test_a_file_is_taken_in_and_bad_lines_are_named(operator):
    file = SimpleUploadedFile("list.csv", b"address,reason\nann@example.com,complaint\nnobody,\n")

    page = operator.post(IMPORT, {"channel": "email", "file": file}, follow=True).content.decode()

    row = Suppression.objects.get()
    assert (row.address, row.reason, row.application) == (ANN, "complaint", None)
    assert "1 added, 0 were there already." in page
    assert "Line 3 was left out: It must look like name@example.com." in page


def test_a_file_that_is_no_text_is_refused(operator):
    page = operator.post(IMPORT, {"file": SimpleUploadedFile("x.csv", b"\xff\xfe\x00")})

    assert "It is not UTF-8." in page.content.decode()


def test_the_list_is_taken_out(operator):
    make_suppression(address=ANN, note="=1+1")

    response = operator.get(EXPORT)
    text = b"".join(response.streaming_content).decode()

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert f"{ANN},manual,'=1+1" in text


def test_who_may_only_look_changes_nothing():
    row = make_suppression()
    reader = browser_of(make_staff("view_suppression"))

    assert reader.get(LIST).status_code == 200
    assert reader.get(EXPORT).status_code == 403
    seeing = browser_of(make_staff("view_suppression", "see_contents"))
    assert seeing.get(EXPORT).status_code == 200
    assert reader.get(IMPORT).status_code == reader.get(ADD).status_code == 403
    delete = reverse("admin:messaging_suppression_delete", args=[row.pk])
    assert reader.post(delete, {"post": "yes"}).status_code == 403
    assert browser_of(make_staff()).get(EXPORT).status_code == 403


def test_who_may_not_see_contents_sees_masked_addresses_and_exports_nothing():
    row = make_suppression(address=ANN)
    reader = browser_of(make_staff("view_suppression"))
    page = reverse("admin:messaging_suppression_change", args=[row.pk])

    shown_pages = shown(reader) + reader.get(page).content.decode()

    assert "a***@example.com" in shown_pages
    assert ANN not in shown_pages
    assert reader.get(EXPORT).status_code == 403


def test_an_entry_is_removed_after_a_question(operator):
    row = make_suppression(address=ANN)
    url = reverse("admin:messaging_suppression_delete", args=[row.pk])

    asked = operator.get(url)
    is_still_there = Suppression.objects.exists()
    operator.post(url, {"post": "yes"})

    assert (asked.status_code, is_still_there) == (200, True)
    assert not Suppression.objects.exists()
    assert ANN not in LogEntry.objects.get().object_repr


def test_files_that_come_and_go_stand_in_the_audit_log(operator):
    file = SimpleUploadedFile("list.csv", b"address\nann@example.com\n")
    operator.post(IMPORT, {"channel": "email", "file": file, "application": ""})

    b"".join(operator.get(EXPORT))

    entries = AuditEntry.objects.filter(object_type="messaging.suppression").order_by("pk")
    assert list(entries.values_list("action", "details")) == [
        ("imported", {"added": 1, "channel": "email"}),
        ("exported", {}),
    ]
