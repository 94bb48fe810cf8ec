import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from notification_platform import attachment_checks
from notification_platform.checks import TAG, refuse


def found():
    return {message.id: message for message in run_checks(tags=[TAG])}


@pytest.mark.parametrize(
    ("name", "value", "check_id"),
    [
        ("SECRET_KEY", "short", "configuration.E001"),
        ("API_KEY_PEPPER", "", "configuration.E002"),
        ("JWT_SIGNING_KEY", "", "configuration.E003"),
        ("CREDENTIALS_KEYS", [], "configuration.E005"),
        ("CREDENTIALS_KEYS", ["no key"], "configuration.E005"),
        ("ALLOWED_HOSTS", ["*"], "configuration.W005"),
        ("REDIS_URL", "", "configuration.W003"),
        ("WEBHOOK_CA_FILE", "/nowhere/ca.pem", "configuration.E006"),
        ("WEBHOOK_ALLOW_HTTP", True, "configuration.W006"),
        ("MESSAGE_ID_DOMAIN", "notifications.localhost", "configuration.W004"),
        ("ATTACHMENT_TYPES", ["pdf", "exe"], "configuration.E010"),
    ],
)
def test_what_is_missing_or_wrong_is_found_with_a_hint(settings, name, value, check_id):
    setattr(settings, name, value)

    message = found()[check_id]

    assert name in message.msg
    assert message.hint


def test_secrets_must_differ(settings):
    settings.JWT_SIGNING_KEY = settings.SECRET_KEY

    assert "configuration.E004" in found()


def test_the_tests_own_configuration_has_no_errors():
    refuse()


def test_a_process_with_errors_is_refused_and_all_are_named(settings):
    settings.API_KEY_PEPPER = settings.JWT_SIGNING_KEY = ""

    with pytest.raises(ImproperlyConfigured, match=r"(?s)E002.*E003"):
        refuse()


def test_a_bucket_needs_its_packages_and_a_name(settings, monkeypatch):
    settings.ATTACHMENTS_STORAGE = "s3"
    monkeypatch.setattr(attachment_checks, "find_spec", lambda name: None)

    messages = found()

    assert "requirements/s3.txt" in messages["configuration.E012"].hint
    assert "ATTACHMENTS_S3_BUCKET" in messages["configuration.E013"].msg


def test_a_message_must_be_able_to_take_one_file(settings):
    settings.MESSAGE_ATTACHMENTS_MAX_BYTES = settings.ATTACHMENT_MAX_BYTES - 1

    assert "configuration.E011" in found()
