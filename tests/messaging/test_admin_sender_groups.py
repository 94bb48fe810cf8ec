import pytest
from django.urls import reverse
from django.utils import timezone

from messaging.models import SenderGroup
from messaging.sender_quotas import reserve
from tests.conftest import browser_of
from tests.factories import make_group, make_sender, make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_sendergroup_changelist")
ADD = reverse("admin:messaging_sendergroup_add")


def test_a_group_is_added_with_its_limits(operator):
    form = {"name": "example-com", "per_minute": "", "per_hour": "9", "per_day": "50"}

    operator.post(ADD, form | {"time_zone": "Asia/Shanghai"})

    group = SenderGroup.objects.get()
    assert group.limits() == {"hour": 9, "day": 50}
    assert group.time_zone == "Asia/Shanghai"


def test_the_list_says_who_belongs_to_it_and_what_is_used(operator):
    group = make_group(per_hour=9)
    sender = make_sender(name="mail-1", group=group)
    reserve(sender, 3, now=timezone.now())

    page = operator.get(LIST).content.decode()

    assert "mail-1" in page
    assert "3 / 9" in page


def test_a_group_with_senders_cannot_be_deleted(operator):
    group = make_group()
    make_sender(group=group)

    page = operator.post(
        reverse("admin:messaging_sendergroup_delete", args=[group.pk]), {"post": "yes"}
    )

    assert page.status_code == 200
    assert SenderGroup.objects.exists()


def test_who_may_only_look_cannot_change_a_limit():
    group = make_group(per_day=5)
    url = reverse("admin:messaging_sendergroup_change", args=[group.pk])
    browser = browser_of(make_staff("view_sendergroup"))

    assert browser.get(url).status_code == 200
    assert browser.post(url, {"name": "x", "per_day": "9"}).status_code == 403
