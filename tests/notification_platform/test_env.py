import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from notification_platform import env


@pytest.fixture
def variable(monkeypatch):
    def set_to(value, name="SETTING"):
        monkeypatch.setenv(name, value)

    return set_to


def test_a_secret_may_come_from_a_file(variable, tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    variable(str(tmp_path / "secret"), "SETTING_FILE")

    assert env.text("SETTING") == "from a file"


def test_a_value_and_a_file_at_once_are_refused(variable):
    variable("a")
    variable("/b", "SETTING_FILE")

    with pytest.raises(ImproperlyConfigured, match="Both SETTING and SETTING_FILE"):
        env.text("SETTING")


def test_a_file_that_is_not_there_is_named(variable):
    variable("/does/not/exist", "SETTING_FILE")

    with pytest.raises(ImproperlyConfigured, match="SETTING_FILE points to /does/not/exist"):
        env.text("SETTING")


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("0", False), ("No", False)])
def test_booleans_are_words(variable, value, expected):
    variable(value)

    assert env.boolean("SETTING", default=not expected) is expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.boolean("SETTING", default=False), "maybe"),
        (lambda: env.integer("SETTING", 1, minimum=0, maximum=5), "x"),
        (lambda: env.integer("SETTING", 1, minimum=0, maximum=5), "6"),
        (lambda: env.text("SETTING", choices=["a", "b"]), "c"),
        (lambda: env.url("SETTING", "", schemes=["redis"]), "http://x"),
        (lambda: env.url("SETTING", "", schemes=["redis"]), "redis"),
    ],
)
def test_nonsense_is_refused_with_the_name(variable, read, value):
    variable(value)

    with pytest.raises(ImproperlyConfigured, match="SETTING"):
        read()


def test_a_url_that_is_refused_is_not_shown(variable):
    variable("http://user:hunter2@host")

    with pytest.raises(ImproperlyConfigured) as refused:
        env.url("SETTING", "", schemes=["amqp"])

    assert "hunter2" not in str(refused.value)


def test_empty_is_the_default(variable):
    variable("")

    assert env.words("SETTING", ["a"]) == ["a"]
    assert env.integer("SETTING", 7, minimum=0, maximum=9) == 7


def test_a_backoff_is_three_times(variable):
    variable("90s, 5m,4h")

    assert env.backoff("SETTING", "1s,2s,20s") == (90, 300, 14_400)


@pytest.mark.parametrize(
    "value",
    [
        *("15", "15s,30s", "15s,30s,1h,2h", "15s,30s,", "0s,30s,1h", "15s,0s,1h", "15s,2h,1h"),
        *("15s,30s,25h", "2d,30s,1h", "-1s,30s,1h", "15s;30s;1h", "soon,later,never", "1.5s,2s,9s"),
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused_with_the_name(variable, value):
    variable(value)

    with pytest.raises(ImproperlyConfigured, match="SETTING is"):
        env.backoff("SETTING", "1s,2s,20s")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LEASE_SECONDS", "LEASE_SECONDS is 'soon'. It must be a whole number."),
        ("RETRY_EMAIL_HIGH", "RETRY_EMAIL_HIGH is 'soon': 'soon' is no duration."),
    ],
)
def test_a_process_with_nonsense_does_not_start(name, said):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, name: "soon"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert said in done.stderr


def test_networks_are_read_and_nonsense_is_named(variable):
    variable("10.0.0.0/8, fd00::/8")
    found = env.networks("SETTING")
    variable("10.0.0.1/8")

    assert [str(network) for network in found] == ["10.0.0.0/8", "fd00::/8"]
    with pytest.raises(ImproperlyConfigured, match=r"SETTING holds '10\.0\.0\.1/8', no network"):
        env.networks("SETTING")
