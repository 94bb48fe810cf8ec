"""The fence around staging."""

import pytest

from accounts.models import Application
from accounts.recipients import may_write_to, parse_allowed
from messaging.models import Message
from tests.conftest import client_for
from tests.factories import make_api_key, make_application

pytestmark = pytest.mark.django_db

URL = "/api/v1/messages/email/send"


def client(*allowed, **key):
    application = make_application(allowed_recipients=list(allowed))
    return client_for(make_api_key(application=application, **key))


def send(client, to, **further):
    return client.post(URL, {"to": to, "subject": "Hello", "content": "Hello", **further})


@pytest.mark.parametrize(
    ("address", "allowed", "may"),
    [
        ("ann@example.com", [], True),
        ("ann@example.com", ["ann@example.com"], True),
        ("ANN@Example.com", ["ann@example.com"], True),
        ("bob@example.com", ["ann@example.com"], False),
        ("bob@example.com", ["@example.com"], True),
        ("bob@sub.example.com", ["@example.com"], False),
        ("bob@sub.example.com", ["*.example.com"], True),
        ("bob@a.b.example.com", ["*.example.com"], True),
        ("bob@example.com", ["*.example.com"], False),
        ("bob@notexample.com", ["@example.com", "*.example.com"], False),
        ("x@example.com@evil.example", ["@example.com"], False),
    ],
)
def test_who_may_be_written_to(address, allowed, may):
    assert may_write_to(address, allowed) is may


@pytest.mark.parametrize("text", ["", "*", "*.", "@", "example.com", "a@*.com", "@a b", None, 7])
def test_what_is_no_entry_is_refused(text):
    with pytest.raises(ValueError, match=r"Write ann@example\.com"):
        parse_allowed(text)


def test_others_are_refused_and_each_is_named():
    staging = client("ann@example.com", "*.staging.example.com")

    response = send(
        staging, ["ann@example.com", "bob@example.com"], cc="eve@example.com", bcc=["z@example.org"]
    )

    errors = [(error["pointer"], error["code"]) for error in response.json()["errors"]]
    assert (response.status_code, response.json()["code"]) == (422, "recipient_not_allowed")
    assert errors == [
        ("/to/1", "recipient_not_allowed"),
        ("/cc", "recipient_not_allowed"),
        ("/bcc/0", "recipient_not_allowed"),
    ]
    assert not Message.objects.exists()


def test_those_on_the_list_are_written_to():
    assert send(client("@example.com"), "Ann <ann@EXAMPLE.com>").status_code == 202
    assert send(client(), "ann@example.com").status_code == 202


def test_the_simulator_needs_no_leave_and_a_test_key_is_fenced_in_too():
    assert send(client("@example.com"), "bounce@simulator.invalid").status_code == 202
    tester = client("@example.com", kind="test")
    assert send(tester, "bob@example.org").json()["code"] == "recipient_not_allowed"


def test_a_change_holds_for_the_next_request_of_the_same_token():
    staging = client("@example.com")
    Application.objects.update(allowed_recipients=["@example.org"])

    assert send(staging, "ann@example.com").status_code == 422


def test_the_list_is_entered_in_the_admin_one_a_line(operator):
    application = make_application()
    url = f"/admin/accounts/application/{application.pk}/change/"
    form = {"name": application.name, "description": "", "is_active": "on"}

    operator.post(url, form | {"allowed_recipients": " Ann@example.com \n\n*.Example.org"})
    application.refresh_from_db()
    assert application.allowed_recipients == ["ann@example.com", "*.example.org"]
    assert "*.example.org" in operator.get(url).content.decode()

    page = operator.post(url, form | {"allowed_recipients": "everybody"}).content.decode()
    assert "Write ann@example.com" in page
