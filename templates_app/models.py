from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import MAX_DEDUPE_SECONDS, Application
from core.vocabulary import Channel, Lane, Policy

CODE = r"^[a-z0-9][a-z0-9._-]{0,99}\Z"
LOCALE = r"^([a-z]{2,3}(-[a-z0-9]{2,8}){0,4})?\Z"
# As long as a message may live.
MAX_LIFETIME = 366 * 86_400


# What lists leave in the database.
TEXTS_OF_A_VERSION = ("body", "text", "html", "derived_text", "variables")


# How the messages of a template are handled.
HANDLING = ("priority", "policy", "lifetime_seconds", "dedupe_seconds")


class BodyFormat(models.TextChoices):
    HTML = "html", _("HTML")
    MJML = "mjml", _("MJML")
    MARKDOWN = "markdown", _("Markdown")
    TEXT = "text", _("plain text")


class VersionStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    PUBLISHED = "published", _("published")


class PublishedVersion(Exception):
    """What is published is not changed and not deleted: messages were made of it."""


def no_variables() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": []}


class Template(models.Model):
    """What callers name by its code: one channel, one language, many versions.

    A caller gets its own template before a shared one of the same code, each with its nearest
    language: `zh-hans-cn`, `zh-hans`, `zh`, then the default, which is the empty locale. Templates
    are never deleted: messages name their versions. They are archived.
    """

    code = models.CharField(
        _("code"),
        max_length=100,
        validators=[
            RegexValidator(
                CODE,
                _("Lower-case letters, digits, dots, dashes and underscores, up to 100."),
                code="invalid_code",
            )
        ],
        help_text=_("By which it is called, for example password-reset."),
    )
    locale = models.CharField(
        _("language"),
        max_length=35,
        blank=True,
        validators=[
            RegexValidator(
                LOCALE, _("A language such as en or zh-hans, in lower case."), code="invalid_locale"
            )
        ],
        help_text=_("For example zh-hans. Empty: for every language that has none of its own."),
    )
    channel = models.CharField(_("channel"), max_length=20, choices=Channel, default=Channel.EMAIL)
    name = models.CharField(_("name"), max_length=100)
    description = models.TextField(_("description"), blank=True)
    application = models.ForeignKey(
        Application,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="templates",
        verbose_name=_("application"),
        help_text=_("Whose it is. Empty: shared by all."),
    )
    archived_at = models.DateTimeField(_("archived at"), null=True, blank=True, editable=False)
    current_version = models.ForeignKey(
        "TemplateVersion",
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("current version"),
    )

    # How its messages are handled, unless a request says otherwise.
    priority = models.CharField(_("priority"), max_length=6, choices=Lane, default=Lane.NORMAL)
    policy = models.CharField(
        _("policy"), max_length=13, choices=Policy, default=Policy.AT_LEAST_ONCE
    )
    lifetime_seconds = models.PositiveIntegerField(
        _("lifetime"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LIFETIME)],
        help_text=_("In seconds; its messages are not sent after it. Empty: 72 hours."),
    )
    dedupe_seconds = models.PositiveIntegerField(
        _("window for duplicates"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_DEDUPE_SECONDS)],
        help_text=_(
            "In seconds: the same message again within it is not sent twice. 0 switches that off; "
            "empty: as the application says."
        ),
    )

    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["code", "locale"]
        constraints = [
            models.UniqueConstraint(
                name="template_code_and_locale_are_unique_per_application",
                fields=["application", "code", "locale"],
                condition=Q(application__isnull=False),
                violation_error_message=_("There is a template of this code and language."),
            ),
            models.UniqueConstraint(
                name="template_code_and_locale_are_unique_among_shared",
                fields=["code", "locale"],
                condition=Q(application__isnull=True),
                violation_error_message=_("There is a template of this code and language."),
            ),
            models.CheckConstraint(
                name="template_channel_is_known", condition=Q(channel__in=Channel.values)
            ),
            models.CheckConstraint(
                name="template_priority_is_known", condition=Q(priority__in=Lane.values)
            ),
            models.CheckConstraint(
                name="template_policy_is_known", condition=Q(policy__in=Policy.values)
            ),
            models.CheckConstraint(
                name="template_lifetime_is_a_second_to_a_year",
                condition=Q(lifetime_seconds__isnull=True)
                | Q(lifetime_seconds__range=(1, MAX_LIFETIME)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.locale})" if self.locale else self.code


class TemplateVersion(models.Model):
    """One text of a template. A draft is edited freely; what is published never changes again:
    constraints, `save`, `delete` and triggers of the database refuse it.
    """

    template = models.ForeignKey(
        Template, on_delete=models.PROTECT, related_name="versions", verbose_name=_("template")
    )
    number = models.PositiveIntegerField(_("number"), editable=False)

    subject = models.CharField(_("subject"), max_length=1000, blank=True)
    body = models.TextField(_("body"), blank=True)
    body_format = models.CharField(
        _("body format"), max_length=8, choices=BodyFormat, default=BodyFormat.HTML
    )
    text = models.TextField(
        _("text"),
        blank=True,
        help_text=_("The plain text beside an HTML body. Empty: made from the body."),
    )
    # What is rendered, with its tags: MJML and Markdown are compiled when they are saved, and
    # styles are written into the elements on publishing.
    html = models.TextField(_("compiled body"), blank=True, editable=False)
    # The plain text made from `html` on publishing where `text` is empty; it has its tags too.
    derived_text = models.TextField(_("derived text"), blank=True, editable=False)
    # JSON schema 2020-12 of type object; see `templates_app.variables`.
    variables = models.JSONField(_("variables"), default=no_variables, blank=True)
    # For channels that take the provider's approved template instead of a text.
    provider_template_id = models.CharField(_("provider's template id"), max_length=100, blank=True)
    provider_signature = models.CharField(_("provider's signature"), max_length=100, blank=True)
    # Which of the provider's sorts of templates it is, where it has several.
    provider_kind = models.CharField(
        _("provider's kind of template"), max_length=20, blank=True, default="", db_default=""
    )
    # By the names in the provider's template: what is put there, with tags. Empty: the variables
    # of the body by their own names.
    provider_parameters = models.JSONField(_("provider's parameters"), default=dict, blank=True)

    change_note = models.CharField(_("change note"), max_length=500, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("author"),
    )
    # The operator's or the key's name: a key is no user.
    author_name = models.CharField(_("author"), max_length=200, blank=True, editable=False)
    status = models.CharField(
        _("status"),
        max_length=9,
        choices=VersionStatus,
        default=VersionStatus.DRAFT,
        editable=False,
    )
    published_at = models.DateTimeField(_("published at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["template", "-number"]
        # Besides Django's own: to publish, and to roll back.
        permissions = [("publish_templateversion", _("Can publish template versions"))]
        constraints = [
            models.UniqueConstraint(
                name="template_version_number_is_unique_per_template",
                fields=["template", "number"],
            ),
            models.CheckConstraint(
                name="template_version_is_published_when_it_says_when",
                condition=Q(status=VersionStatus.PUBLISHED, published_at__isnull=False)
                | Q(status=VersionStatus.DRAFT, published_at__isnull=True),
            ),
            models.CheckConstraint(
                name="template_version_body_format_is_known",
                condition=Q(body_format__in=BodyFormat.values),
            ),
            models.CheckConstraint(
                name="template_version_numbers_begin_at_one", condition=Q(number__gte=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises `PublishedVersion` for what is published in the database, whatever the object
        says of itself."""
        self._refuse_if_published()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises `PublishedVersion`."""
        self._refuse_if_published()
        return super().delete(*args, **kwargs)

    @property
    def is_published(self) -> bool:
        return self.status == VersionStatus.PUBLISHED

    def _refuse_if_published(self) -> None:
        published = TemplateVersion.objects.filter(pk=self.pk, status=VersionStatus.PUBLISHED)
        if self.pk is not None and published.exists():
            raise PublishedVersion(f"Version {self.number} of {self.template} is published.")
