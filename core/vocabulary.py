"""Words that several parts of the platform share. `messaging` gives them their meaning."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Channel(models.TextChoices):
    EMAIL = "email", _("e-mail")
    SMS = "sms", _("SMS")
    WECHAT = "wechat", _("WeChat Work")
    WECHAT_OFFICIAL = "wechat_official", _("WeChat Official Account")
    CHAT = "chat", _("chat")


class Lane(models.TextChoices):
    HIGH = "high", _("high")
    NORMAL = "normal", _("normal")
    BULK = "bulk", _("bulk")


class Policy(models.TextChoices):
    AT_LEAST_ONCE = "at_least_once", _("at least once")
    AT_MOST_ONCE = "at_most_once", _("at most once")
