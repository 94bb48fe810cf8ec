import pytest
from django.utils import timezone

from messaging.models import Suppression
from tests.conftest import client_for
from tests.factories import make_api_key, make_application, make_suppression

pytestmark = pytest.mark.django_db

URL = "/api/v1/suppressions"
IMPORT, EXPORT = f"{URL}/import", f"{URL}/export"
ANN = "ann@example.com"


def body_of(response):
    return b"".join(response.streaming_content).decode()


def test_a_recipient_is_added_listed_and_removed(api):
    added = api.post(URL, {"address": "Ann@Example.COM", "reason": "unsubscribed", "note": "Asked"})

    assert added.status_code == 201
    row = added.json()
    assert (row["address"], row["reason"], row["source"]) == (ANN, "unsubscribed", "api")
    assert (row["is_shared"], row["expires_at"]) == (False, None)
    assert api.get(URL).json()["results"] == [row]

    assert api.delete(f"{URL}/{row['id']}").status_code == 204
    assert api.get(URL).json()["results"] == []
    assert api.delete(f"{URL}/{row['id']}").status_code == 404


def test_the_same_again_is_no_second_one(api):
    first = api.post(URL, {"address": ANN})
    again = api.post(URL, {"address": "ANN@example.com", "note": "again"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_added_is_held_to_at_once(api):
    api.post(URL, {"address": ANN})

    mail = {"to": ANN, "subject": "Hello", "content": "Hello"}
    assert api.post("/api/v1/messages/email/send", mail).status_code == 422


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, ("/address", "required")),
        ({"address": "nobody"}, ("/address", "invalid_address")),
        ({"address": ANN, "reason": "dislike"}, ("/reason", "invalid_choice")),
        ({"address": ANN, "expires_at": "2020-01-01T00:00:00Z"}, ("/expires_at", "invalid_moment")),
        ({"address": ANN, "application": 1}, ("/application", "unknown_field")),
        ({"address": ANN, "note": "a\nb"}, ("/note", "control_characters")),
    ],
)
def test_what_is_wrong_is_named(api, body, error):
    response = api.post(URL, body)

    assert response.status_code == 422
    assert error in {(e["pointer"], e["code"]) for e in response.json()["errors"]}
    assert not Suppression.objects.exists()


def test_an_application_sees_its_own_and_the_shared_ones(api):
    mine = make_suppression(application=api.key.application)
    shared = make_suppression()
    make_suppression(application=make_application())

    listed = {row["id"]: row["is_shared"] for row in api.get(URL).json()["results"]}

    assert listed == {mine.pk: False, shared.pk: True}


def test_it_removes_only_its_own(api):
    shared, foreign = make_suppression(), make_suppression(application=make_application())

    refused = api.delete(f"{URL}/{shared.pk}")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "operators" in refused.json()["detail"]
    assert api.delete(f"{URL}/{foreign.pk}").status_code == 404
    assert Suppression.objects.count() == 2


def test_the_list_is_narrowed(api):
    ann = make_suppression(address=ANN, reason="complaint")
    make_suppression(reason="complaint")
    make_suppression(reason="hard_bounce")

    found = api.get(URL, {"address": "ANN@example.com"}).json()["results"]

    assert [row["id"] for row in found] == [ann.pk]
    assert api.get(URL, {"reason": "complaint"}).json()["total"] == 2
    assert api.get(URL, {"address": "x"}).json()["errors"][0]["pointer"] == "?address"
    assert api.get(URL, {"colour": "red"}).status_code == 422


@pytest.mark.parametrize("number", [99999999999999999999, 0])
def test_an_id_that_there_is_not_is_a_404(api, number):
    assert api.delete(f"{URL}/{number}").status_code == 404


def test_scopes_are_asked_for():
    reader = client_for(make_api_key(scopes=["suppressions:read"]))
    writer = client_for(make_api_key(scopes=["suppressions:write"]))

    assert reader.get(URL).status_code == reader.get(EXPORT).status_code == 200
    assert reader.post(URL, {"address": ANN}).json()["code"] == "missing_scope"
    assert reader.post(IMPORT, [ANN]).json()["code"] == "missing_scope"
    assert writer.get(URL).json()["code"] == "missing_scope"
    assert writer.post(IMPORT, [ANN]).status_code == 200


# --- files ---------------------------------------------------------------------------------------

CSV = """address,reason,note,expires_at
ann@example.com,unsubscribed,"Asked, by phone",
Bob@Example.com,,,2099-01-01T00:00:00Z
nobody,,,
eve@example.com,dislike,,
zoe@example.com,,,tomorrow
"""


def test_a_csv_is_taken_in_and_bad_lines_are_named(api):
    answer = api.post(IMPORT, CSV, content_type="text/csv").json()

    assert (answer["added"], answer["unchanged"]) == (2, 0)
    assert [(bad["line"], bad["code"]) for bad in answer["rejected"]] == [
        (4, "invalid_address"),
        (5, "invalid_choice"),
        (6, "invalid_moment"),
    ]
    ann, bob = Suppression.objects.order_by("address")
    assert (ann.reason, ann.note, ann.source) == ("unsubscribed", "Asked, by phone", "import")
    assert (bob.address, bob.application) == ("bob@example.com", api.key.application)


def test_the_same_file_again_changes_nothing(api):
    api.post(IMPORT, CSV, content_type="text/csv")
    before = list(Suppression.objects.values())

    answer = api.post(IMPORT, CSV, content_type="text/csv").json()

    assert (answer["added"], answer["unchanged"]) == (0, 2)
    assert list(Suppression.objects.values()) == before


def test_a_bare_list_of_addresses_needs_no_header(api):
    body = f"\ufeff{ANN}\r\n\r\nbob@example.com,complaint\r\n"

    answer = api.post(IMPORT, body, content_type="text/csv; charset=utf-8").json()

    assert answer == {"added": 2, "unchanged": 0, "rejected": []}
    assert Suppression.objects.get(address="bob@example.com").reason == "complaint"


def test_a_json_list_is_taken_in(api):
    items = [ANN, {"address": "bob@example.com", "note": "x"}, 7, {"adress": "typo@example.com"}]

    answer = api.post(IMPORT, items).json()

    assert answer["added"] == 2
    assert [(bad["line"], bad["code"]) for bad in answer["rejected"]] == [
        (3, "invalid"),
        (4, "unknown_field"),
    ]


@pytest.mark.parametrize("item", [None, [], {"address": None}, {"address": ANN, "note": 5}])
def test_odd_items_are_named_and_never_a_fault_of_ours(api, item):
    response = api.post(IMPORT, [item])

    assert response.status_code in {200, 422}
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"a": 1}', "application/json", 422),
        ("\xff".encode("latin-1"), "text/csv", 422),
        (b"a\0b", "text/csv", 422),
        (b"x" * 1_048_577, "text/csv", 413),
        (b"<x/>", "text/xml", 415),
        (b'"open', "text/csv", 200),
        (rb'["\ud800"]', "application/json", 422),
        (b"null", "application/json", 422),
        # CSV is read as CSV only where it says that it is.
        (b'""', "application/json", 422),
        (b'"ann@example.com"', "application/json", 422),
    ],
)
def test_bodies_that_are_no_list_are_refused(api, body, kind, status):
    response = api.generic("POST", IMPORT, body, content_type=kind)

    assert response.status_code == status
    assert not Suppression.objects.exists()


def test_csv_goes_to_the_import_only(api):
    assert api.post(URL, ANN, content_type="text/csv").status_code == 415


def test_the_export_can_be_taken_in_again_and_begins_no_formula(api):
    make_suppression(address="+cmd@example.com", note="=HYPERLINK(1)")
    make_suppression(address=ANN, reason="complaint", application=api.key.application)
    make_suppression(address="foreign@example.com", application=make_application())

    response = api.get(EXPORT)
    text = body_of(response)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "'+cmd@example.com,manual,'=HYPERLINK(1)" in text
    assert "foreign" not in text
    other = client_for(make_api_key())
    answer = other.post(IMPORT, text, content_type="text/csv").json()
    assert answer == {"added": 2, "unchanged": 0, "rejected": []}
    taken = Suppression.objects.filter(application=other.key.application)
    assert set(taken.values_list("address", "note", "reason")) == {
        ("+cmd@example.com", "=HYPERLINK(1)", "manual"),
        (ANN, "", "complaint"),
    }


def test_ten_thousand_lines_are_taken_in_with_few_queries(api, django_assert_max_num_queries):
    body = "\n".join(f"user-{number}@example.com" for number in range(10_000))

    with django_assert_max_num_queries(150):
        answer = api.post(IMPORT, body, content_type="text/csv").json()

    assert answer["added"] == 10_000
    assert Suppression.objects.filter(created_at__lte=timezone.now()).count() == 10_000


@pytest.mark.parametrize("accept", ["text/csv", "*/*", "application/json"])
def test_the_export_is_csv_and_its_refusals_are_problems(api, accept):
    make_suppression(address=ANN)

    assert ANN in body_of(api.get(EXPORT, headers={"Accept": accept}))
    refused = api.get(EXPORT, {"colour": "red"}, headers={"Accept": accept})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused["Content-Type"] == "application/problem+json"
