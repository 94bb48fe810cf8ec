"""A form with the fields of one adapter, made from its `Option`s.

Secrets are write-only: they go in, are kept when left empty, and never come back to the page.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
    UnfoldBooleanWidget,
)

from core.errors import DomainError
from messaging.channels.base import ChannelAdapter, Option
from messaging.models import Sender
from messaging.senders import changed_credentials, check_sender

Adapter = type[ChannelAdapter]


class SenderForm(forms.ModelForm):
    """Use `form_for`, which adds the adapter's fields: `option_…`, `secret_…`, `remove_…`."""

    adapter: Adapter | None = None
    # All of them, to be saved by `save_sender`; None without an adapter.
    credentials: dict[str, Any] | None = None

    class Meta:
        model = Sender
        fields = [
            *("name", "from_address", "from_name", "is_active", "priority", "weight"),
            *("per_minute", "per_hour", "per_day", "time_zone", "group", "max_connections"),
            "applications",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.adapter is None:
            return
        if self.instance.pk is None:
            self.instance.adapter = self.adapter.name
            self.instance.channel = self.adapter.channel.value
            # Shown in the form: who empties a field wants no limit.
            self.initial.update(self.adapter.usual_limits)
        for option in self.adapter.options:
            if not option.is_secret:
                value = self.instance.options.get(option.name, option.default)
                self.initial[f"option_{option.name}"] = value

    def _post_clean(self) -> None:
        if self.adapter is not None:
            self.instance.options = {
                option.name: value
                for option in self.adapter.options
                if not option.is_secret
                and (value := self.cleaned_data.get(f"option_{option.name}")) not in (None, "")
            }
        super()._post_clean()  # type: ignore[misc]
        try:
            self.credentials = changed_credentials(
                self.instance,
                entered=self._secrets("secret_"),
                removed=set(self._secrets("remove_")),
            )
            check_sender(self.instance, credentials=self.credentials)
        except DomainError as error:
            self.add_error(None, error.detail)
        except ValidationError as error:
            self._place(error)

    def _secrets(self, prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.cleaned_data.items()
            if name.startswith(prefix) and value
        }

    def _place(self, error: ValidationError) -> None:
        """Put what `check_sender` says beside the field that it is about."""
        for field, errors in error.error_dict.items():
            for found in errors:
                params = found.params or {}
                option = params.get("option") if field == "options" else None
                name = next(
                    (
                        p + option
                        for p in ("option_", "secret_")
                        if option and p + option in self.fields
                    ),
                    None,
                )
                if name is None:
                    self.add_error(None, found.messages)
                elif name not in self.errors:
                    self.add_error(name, gettext(params["problem"]))


def form_for(adapter: Adapter | None, *, stored: frozenset[str]) -> type[SenderForm]:
    """`stored`: names of the secrets that there are."""
    if adapter is None:
        return SenderForm
    fields: dict[str, Any] = {"adapter": adapter}
    for option in adapter.options:
        if option.is_secret:
            is_stored = option.name in stored
            fields[f"secret_{option.name}"] = _secret_field(option, is_stored)
            if is_stored:
                fields[f"remove_{option.name}"] = forms.BooleanField(
                    label=_("Remove the stored one"), required=False, widget=UnfoldBooleanWidget
                )
        else:
            fields[f"option_{option.name}"] = _option_field(option)
    return type("SenderForm", (SenderForm,), fields)


def field_rows(adapter: Adapter | None, *, stored: frozenset[str]) -> list[Any]:
    """The adapter's fields for a fieldset."""
    rows: list[Any] = []
    for option in adapter.options if adapter else ():
        if option.is_secret and option.name in stored:
            rows.append((f"secret_{option.name}", f"remove_{option.name}"))
        else:
            rows.append(f"{'secret' if option.is_secret else 'option'}_{option.name}")
    return rows


def _secret_field(option: Option, is_stored: bool) -> forms.Field:
    keep = gettext("One is stored; leave empty to keep it.") if is_stored else ""
    return forms.CharField(
        # These are extracted from the adapters by `make messages`.
        label=gettext(option.label),
        help_text=f"{gettext(option.help)} {keep}".strip(),
        required=option.is_required and not is_stored,
        # Spaces at its ends may belong to it.
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )


def _option_field(option: Option) -> forms.Field:
    shared: dict[str, Any] = {"label": gettext(option.label), "help_text": gettext(option.help)}
    if option.kind is bool:
        return forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget, **shared)
    shared["required"] = option.is_required
    if option.choices:
        choices = [(choice, choice) for choice in option.choices]
        if option.default is None:
            choices.insert(0, ("", gettext("Select value")))
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **shared)
    if option.kind is int:
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget, **shared)
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **shared)
