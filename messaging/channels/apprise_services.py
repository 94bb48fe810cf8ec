"""Which services of Apprise may be used, and what serves them.

Each speaks HTTP through `requests` alone, so that `apprise_http` sees every call. Left out are
whatever is no network service (files, desktops, syslog, devices), what posts to any URL (json, xml,
form, Apprise's own API), what speaks other protocols (mqtt, xmpp, irc, smpp), and e-mail, SMS and
WeChat Work, which are channels of their own. A release of Apprise adds nothing by itself.
"""

import importlib
import logging
from typing import Any

# By the module of its plugin: the class, and its schemas (Apprise 2.3).
SERVICES: dict[str, tuple[str, ...]] = {
    "bark": ("NotifyBark", "bark", "barks"),
    "betterstack": ("NotifyBetterStack", "betterstack"),
    "chanify": ("NotifyChanify", "chanify"),
    "cliq": ("NotifyCliq", "cliq", "zcliq", "zohocliq"),
    "dingtalk": ("NotifyDingTalk", "dingtalk"),
    "discord": ("NotifyDiscord", "discord"),
    "feishu": ("NotifyFeishu", "feishu"),
    "firehydrant": ("NotifyFireHydrant", "firehydrant"),
    "flock": ("NotifyFlock", "flock"),
    "goalert": ("NotifyGoAlert", "goalert", "goalerts"),
    "google_chat": ("NotifyGoogleChat", "gchat"),
    "gotify": ("NotifyGotify", "gotify", "gotifys"),
    "groupme": ("NotifyGroupMe", "groupme"),
    "home_assistant": ("NotifyHomeAssistant", "hassio", "hassios"),
    "humhub": ("NotifyHumHub", "humhub", "humhubs"),
    "ifttt": ("NotifyIFTTT", "ifttt"),
    "ilert": ("NotifyILert", "ilert"),
    "incidentio": ("NotifyIncidentIO", "incidentio"),
    "join": ("NotifyJoin", "join"),
    "kook": ("NotifyKook", "kook"),
    "lametric": ("NotifyLametric", "lametric", "lametrics"),
    "lark": ("NotifyLark", "lark"),
    "line": ("NotifyLine", "line"),
    "mastodon": ("NotifyMastodon", "mastodon", "mastodons", "toot", "toots"),
    "mattermost": ("NotifyMattermost", "mmost", "mmosts"),
    "misskey": ("NotifyMisskey", "misskey", "misskeys"),
    "nextcloudtalk": ("NotifyNextcloudTalk", "nctalk", "nctalks"),
    "notica": ("NotifyNotica", "notica", "noticas"),
    "notifiarr": ("NotifyNotifiarr", "notifiarr"),
    "ntfy": ("NotifyNtfy", "ntfy", "ntfys"),
    "one_signal": ("NotifyOneSignal", "onesignal"),
    "onebot": ("NotifyOneBot", "onebot", "onebots"),
    "opsgenie": ("NotifyOpsgenie", "opsgenie"),
    "pagerduty": ("NotifyPagerDuty", "pagerduty"),
    "pagertree": ("NotifyPagerTree", "pagertree"),
    "prowl": ("NotifyProwl", "prowl"),
    "pushbullet": ("NotifyPushBullet", "pbul"),
    "pushdeer": ("NotifyPushDeer", "pushdeer", "pushdeers"),
    "pushme": ("NotifyPushMe", "pushme"),
    "pushover": ("NotifyPushover", "pover"),
    "pushplus": ("NotifyPushplus", "pushplus"),
    "pushsafer": ("NotifyPushSafer", "psafer", "psafers"),
    "pushy": ("NotifyPushy", "pushy"),
    "qq": ("NotifyQQ", "qq"),
    "revolt": ("NotifyRevolt", "revolt"),
    "rocketchat": ("NotifyRocketChat", "rocket", "rockets"),
    "ryver": ("NotifyRyver", "ryver"),
    "serverchan": ("NotifyServerChan", "schan"),
    "signal_api": ("NotifySignalAPI", "signal", "signals"),
    "signl4": ("NotifySIGNL4", "signl4"),
    "slack": ("NotifySlack", "slack"),
    "spike": ("NotifySpike", "spike"),
    "splunk": ("NotifySplunk", "splunk", "victorops"),
    "spugpush": ("NotifySpugpush", "spugpush"),
    "squadcast": ("NotifySquadcast", "squadcast"),
    "stackfield": ("NotifyStackfield", "stackfield"),
    "synology": ("NotifySynology", "synology", "synologys"),
    "techuluspush": ("NotifyTechulusPush", "push"),
    "telegram": ("NotifyTelegram", "tgram"),
    "twist": ("NotifyTwist", "twist"),
    "viber": ("NotifyViber", "viber"),
    "webexteams": ("NotifyWebexTeams", "webex", "wxteams"),
    "workflows": ("NotifyWorkflows", "workflow", "workflows"),
    "wpush": ("NotifyWPush", "wpush"),
    "wxpusher": ("NotifyWxPusher", "wxpusher"),
    "zalo": ("NotifyZalo", "zalo"),
    "zoom": ("NotifyZoom", "zoom"),
    "zulip": ("NotifyZulip", "zulip"),
}
MODULES = {schema: module for module, (_, *schemas) in SERVICES.items() for schema in schemas}
# Arguments with which a URL would leave the platform's limits: whom it trusts, how long it waits,
# how often it tries, what it cuts, which file of this machine it reads.
NOT_YOURS = frozenset(
    {
        "cto",
        "optional",
        "overflow",
        "redirect",
        "retry",
        "rto",
        "store",
        "template",
        "verify",
        "wait",
    }
)


class BadUrl(Exception):
    """Its sentence holds nothing of the URL but its schema."""


def open_service(url: str) -> Any:
    """Apprise's plugin for `url`. Raises `BadUrl`."""
    schema, found, _ = url.partition("://")
    schema = schema.lower()
    if not found or not schema.isascii() or not schema.isalnum() or len(schema) > 20:
        raise BadUrl("It is no URL of Apprise's, as ntfys://host/topic is one.")
    if schema not in MODULES:
        raise BadUrl(f"{schema}:// is not among the services that may be used.")
    plugin = _open(url, MODULES[schema], schema)
    if not plugin.enabled:
        raise BadUrl(f"Apprise lacks a package that {schema}:// needs.")
    if len(plugin) != 1:
        raise BadUrl(f"It leads to {len(plugin)} places; a sender serves one.")
    return plugin


def service_of(url: str) -> str:
    """The module's name. Plugins do not keep the schema as it was."""
    return MODULES[url.partition("://")[0].lower()]


def _open(url: str, module: str, schema: str) -> Any:
    _silence()
    # Late: only who sends chats pays for it. The one plugin, since all of them take 26 MB.
    plugin_class = getattr(
        importlib.import_module(f"apprise.plugins.{module}"), SERVICES[module][0]
    )
    asset = importlib.import_module("apprise.asset").AppriseAsset(
        app_id="notifications",
        # DingTalk shows it where a Markdown message has no title.
        app_desc="Notification",
        app_url="",
        # Messages carry no pictures of somebody else's.
        image_url_mask="",
        image_url_logo="",
        allow_templates=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
    )
    unreadable = BadUrl(f"Apprise cannot read this {schema}:// URL.")
    try:
        parts = plugin_class.parse_url(url)
    except Exception:
        # Whatever it trips over, its words would show the URL.
        raise unreadable from None
    if not parts:
        raise unreadable
    # Its own reading of them: it knows more separators than one.
    given = {str(name).strip().lower() for name in parts.get("qsd") or ()}
    if refused := sorted(NOT_YOURS & given):
        raise BadUrl(f"It may not say {refused[0]}=: that is the platform's to decide.")
    try:
        plugin = plugin_class(**parts, asset=asset)
    except Exception:
        raise unreadable from None
    # It sleeps for up to 5.5 s between two calls; a sender's limits are the pool's business.
    plugin.throttle = lambda *args, **kwargs: None
    return plugin


def _silence() -> None:
    """It logs URLs, payloads and answers."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.disabled = True
