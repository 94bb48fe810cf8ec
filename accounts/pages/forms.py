"""What operators say of themselves."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import SecondFactor, User


class CodeForm(forms.Form):
    code = forms.CharField(
        label=pgettext_lazy("of a login", "Code"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": ""}
        ),
        help_text=_("The six digits that your app shows, or one of your backup codes."),
    )

    def refuse(self, factor: SecondFactor) -> None:
        """Say that it was wrong, and how long to wait."""
        factor.refresh_from_db()
        is_allowed, why = factor.verify_is_allowed()
        words = gettext("This code is wrong or was used before.")
        if not is_allowed:
            left = (why["locked_until"] - timezone.now()).total_seconds()
            words = gettext(
                "This code is wrong or was used before, or came too soon after a wrong one. "
                "Wait %(seconds)s s and give the next one."
            ) % {"seconds": max(1, round(left + 0.5))}
        self.add_error("code", words)


class RemoveForm(CodeForm):
    """What turns the second factor off: both factors once more."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("password", "code")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["code"].widget.attrs.pop("autofocus")

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError(gettext("This is not your password."))
        return password


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]
    language = forms.ChoiceField(
        label=_("Language"), required=False, widget=UnfoldAdminSelectWidget
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, widget=UnfoldAdminSelectWidget
    )

    class Meta:
        model = User
        fields = ["language", "time_zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language: Any = self.fields["language"]
        language.choices = [("", _("As the browser asks")), *settings.LANGUAGES]
        usual = _("As the platform is set (%(zone)s)") % {"zone": settings.TIME_ZONE}
        zones = sorted(name for name in available_timezones() if "/" in name or name == "UTC")
        time_zone: Any = self.fields["time_zone"]
        time_zone.choices = [("", usual), *((name, name) for name in zones)]
