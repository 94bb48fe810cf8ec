"""The list of a template's messages, across its versions."""

import pytest

from messaging import by_template
from tests.factories import make_application, make_message, make_template, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/messages?template=welcome"


def walk(api, page_size):
    """Everything by cursor."""
    found, cursor = [], ""
    while True:
        page = api.get(f"{URL}&page_size={page_size}{cursor}").json()
        found += [message["id"] for message in page["results"]]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_the_messages_of_several_versions_are_walked_newest_first(api):
    template = make_template(code="welcome")
    versions = [make_version(template=template, status="published") for _ in range(3)]
    versions.append(
        make_version(template=make_template(code="welcome", locale="zh"), status="published")
    )
    others = make_version(template=make_template(code="other"), status="published")
    application = api.key.application
    made = []
    for number in range(14):
        version = versions[number % 4]
        made.append(str(make_message(application=application, template_version=version).pk))
        make_message(application=application, template_version=others)
        make_message(template_version=version)
    newest = sorted(made, reverse=True)

    assert walk(api, 3) == newest
    assert [m["id"] for m in api.get(f"{URL}&page=2&page_size=5").json()["results"]] == newest[5:10]
    assert api.get(URL).json()["total"] == 14
    assert api.get(f"{URL}&status=success").json()["results"] == []


def test_versions_by_which_an_application_never_sent_are_not_looked_at(api):
    template = make_template(code="welcome")
    used = make_version(template=template, status="published")
    make_version(template=template, status="published")
    foreign = make_template(code="welcome", application=make_application())
    application = api.key.application
    make_message(application=application, template_version=used)
    make_message(template_version=make_version(template=foreign, status="published"))

    found = by_template.used_versions("welcome", application_id=application.pk)

    assert found == [used.pk]
    assert by_template.used_versions("nothing", application_id=application.pk) == []
