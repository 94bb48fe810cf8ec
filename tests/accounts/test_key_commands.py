import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.keys import authenticate_key
from accounts.models import ApiKey
from core.errors import DomainError

pytestmark = pytest.mark.django_db


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def printed_key(text):
    return re.search(r"API key: +(\S+)", text)[1], re.search(r"API secret: (\S+)", text)[1]


def is_good(key_id, secret, now=None):
    try:
        authenticate_key(key_id=key_id, secret=secret, address=None, now=now or timezone.now())
    except DomainError:
        return False
    return True


def test_create_prints_a_key_that_works_and_makes_the_application():
    text = run("create_api_key", "billing", "--kind", "test", "--scope", "messages:read")

    key = ApiKey.objects.get()
    assert is_good(*printed_key(text))
    assert key.key_id.startswith("noti_test_")
    assert (key.application.name, key.scopes) == ("billing", ["messages:read"])
    assert "cannot be shown again" in text


def test_create_refuses_a_network_that_is_none():
    with pytest.raises(CommandError, match="no network"):
        run("create_api_key", "billing", "--network", "10.0.0.300")

    assert not ApiKey.objects.exists()


def test_list_shows_states_but_no_secrets():
    _, secret = printed_key(run("create_api_key", "billing", "--name", "production"))
    key_id, _ = printed_key(run("create_api_key", "shop"))
    run("revoke_api_key", key_id)

    text = run("list_api_keys")

    assert re.search(rf"{key_id} .*shop.*revoked", text)
    assert re.search(r"billing.*production.*valid", text)
    assert secret not in text


def test_rotate_gives_a_second_key_and_both_work_until_the_overlap_ends():
    old = printed_key(run("create_api_key", "billing"))

    new = printed_key(run("rotate_api_key", old[0], "--overlap", "2h"))

    later = timezone.now() + timedelta(hours=3)
    assert (is_good(*old), is_good(*new)) == (True, True)
    assert (is_good(*old, now=later), is_good(*new, now=later)) == (False, True)


def test_a_key_is_rotated_once():
    key_id, _ = printed_key(run("create_api_key", "billing"))
    run("rotate_api_key", key_id)

    with pytest.raises(CommandError, match="rotated already"):
        run("rotate_api_key", key_id)


def test_revoke_ends_a_key_and_says_when_it_was_done_before():
    key = printed_key(run("create_api_key", "billing"))

    first, second = run("revoke_api_key", key[0]), run("revoke_api_key", key[0])

    assert not is_good(*key)
    assert "tokens stopped" in first
    assert "already" in second


def test_an_unknown_key_is_said_in_one_line():
    with pytest.raises(CommandError, match="no API key noti_live_x"):
        run("revoke_api_key", "noti_live_x")


def test_a_duration_that_is_none_is_said():
    with pytest.raises(CommandError, match="Write 90s, 15m, 2h or 7d"):
        run("rotate_api_key", "noti_live_x", "--overlap", "soon")
