"""Your account: in which language and time an operator reads."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.conftest import browser_of
from tests.factories import make_message, make_operator, reloaded

pytestmark = pytest.mark.django_db

ACCOUNT = reverse("account")
INDEX = reverse("admin:index")
CHOOSE = reverse("set_language")


def language_of(browser, url=INDEX, **headers):
    return browser.get(url, headers=headers)["Content-Language"]


def test_the_button_in_the_header_changes_the_language_and_is_remembered():
    user = make_operator()
    browser = browser_of(user)
    page = browser.get(INDEX).content.decode()

    response = browser.post(CHOOSE, {"language": "zh-hans", "next": INDEX})

    assert "简体中文" in page
    assert response["Location"] == INDEX
    assert language_of(browser) == "zh-hans"
    assert language_of(browser_of(reloaded(user))) == "zh-hans"


def test_before_logging_in_it_is_the_browser_that_remembers():
    browser = Client()
    page = browser.get(reverse("admin:login")).content.decode()
    browser.post(CHOOSE, {"language": "zh-hans", "next": INDEX})
    user = make_operator()
    browser.post(reverse("admin:login"), {"username": user.username, "password": "tests"})

    assert "简体中文" in page
    assert language_of(browser) == "zh-hans"
    assert reloaded(user).language == ""


@pytest.mark.parametrize("language", ["de", "", "zh-hans\0", "x" * 100])
def test_languages_that_there_are_not_change_nothing(operator, language):
    operator.post(CHOOSE, {"language": language, "next": INDEX})

    assert reloaded(operator.user).language == ""


def test_it_leads_back_to_no_other_place(operator):
    response = operator.post(CHOOSE, {"language": "en", "next": "https://evil.example/"})

    assert response["Location"] == "/"


def test_times_are_those_of_the_operator_in_lists_and_on_pages(operator):
    message = make_message()
    urls = [
        reverse("admin:messaging_message_changelist"),
        reverse("admin:messaging_message_change", args=[message.pk]),
    ]
    before = [operator.get(url).content.decode() for url in urls]

    operator.post(ACCOUNT, {"language": "", "time_zone": "Asia/Shanghai"})

    after = [operator.get(url).content.decode() for url in urls]
    assert settings.TIME_ZONE == "UTC"
    assert all("12:00:00" in page and "20:00:00" not in page for page in before)
    assert all("20:00:00" in page and "12:00:00" not in page for page in after)


def test_one_operators_time_is_not_the_next_ones(operator):
    make_message()
    operator.post(ACCOUNT, {"language": "zh-hans", "time_zone": "Asia/Shanghai"})
    operator.get(INDEX)

    page = browser_of(make_operator()).get(reverse("admin:messaging_message_changelist"))

    assert page["Content-Language"] == "en"
    assert "12:00:00" in page.content.decode()


def test_zones_that_there_are_not_are_refused(operator):
    response = operator.post(ACCOUNT, {"language": "", "time_zone": "Mars/Olympus"})

    assert response.context["form"].errors["time_zone"]
    assert reloaded(operator.user).time_zone == ""


def test_a_zone_that_is_not_known_any_more_is_the_platforms(operator):
    operator.user.time_zone = "Europe/Atlantis"
    operator.user.save()
    make_message()

    page = operator.get(reverse("admin:messaging_message_changelist")).content.decode()

    assert "12:00:00" in page


def test_callers_of_the_api_pay_for_none_of_it(api, django_assert_num_queries):
    api.get("/api/v1/messages")

    with django_assert_num_queries(0):
        response = api.get("/api/nothing")

    assert "Content-Language" not in response
    assert not hasattr(response.wsgi_request, "user")


def test_every_page_has_an_icon(client):
    assert "core/favicon.svg" in client.get(reverse("admin:login")).content.decode()
    assert client.get("/favicon.ico")["Location"].endswith("core/favicon.svg")
