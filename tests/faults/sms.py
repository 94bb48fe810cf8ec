"""An account for SMS at Aliyun which keeps a ledger, and callers who send SMS."""

import json
from pathlib import Path
from typing import Any

from notification_platform.embedded.providers import aliyun
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from notification_platform.embedded.providers.server import Act, Answer, Asked
from tests.faults.clients import Clients
from tests.faults.ledger import CopyLedger

CODE = "fault-code"


class SmsAccount(AliyunSmsServer):
    """It is told attempts and numbers, and no messages."""

    def __init__(self, name: str, ledger: CopyLedger) -> None:
        super().__init__()
        self.name = name
        self.ledger = ledger
        # Whoever asks what became of an SMS gets an error.
        self.is_mute = False

    def account(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Options and credentials."""
        options = {
            "access_key_id": aliyun.KEY_ID,
            "sign_name": aliyun.SIGN_NAME,
            "api_url": self.url,
        }
        return options, {"access_key_secret": aliyun.SECRET}

    def lose_answer(self, *, is_taken: bool) -> None:
        """The next SMS gets none."""
        (self.lose if is_taken else self.once).append(Act.RESET)

    @property
    def has_lost_it(self) -> bool:
        return not (self.lose or self.once)

    def get_well(self) -> None:
        with self.lock:
            self.is_mute = False
            self.lose.clear()
            self.once.clear()
            self.sent.clear()

    def react(self, asked: Asked) -> Answer | Act:
        if asked.headers.get("x-acs-action") != "QuerySendDetails":
            return super().react(asked)
        # Whoever only asks takes no lost answer away from whoever sends.
        with self.lock:
            return Answer(500) if self.is_mute else self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        before = len(self.sent)
        answer = super().answer(asked)
        for sms in self.sent[before:]:
            self.ledger.add(
                message_id="",
                attempt_id=sms.out_id,
                recipients=(f"+86{sms.number}",),
                account=self.name,
                is_answered=not self.lose,
            )
        return answer


class SmsClients(Clients):
    """Each message to a number of its own."""

    path = "/api/v1/messages/sms/send"

    def body_of(self, number: int) -> dict[str, Any]:
        return {
            "to": f"+86139{number:08}",
            "template_code": CODE,
            "variables": {"code": f"{number:06}"},
        }


def adding_template(folder: Path) -> str:
    """Python that adds the template of `SmsClients`, from files that it puts into `folder`."""
    place = folder / "templates" / CODE / "default"
    place.mkdir(parents=True)
    (place / "body.txt").write_text("{{ code }}")
    about = {
        "name": "Code",
        "channel": "sms",
        "dedupe_seconds": 0,
        "subject": "",
        "body_format": "text",
        "provider_template_id": aliyun.TEMPLATE,
    }
    (place / "template.json").write_text(json.dumps(about))
    return "\n".join(
        [
            "from pathlib import Path",
            "from django.utils import timezone",
            "from templates_app.files import import_folder",
            "from templates_app.publishing import Author",
            f"import_folder(Path({str(folder / 'templates')!r}), application=None, "
            "by=Author('faults'), now=timezone.now(), is_published=True)",
        ]
    )
