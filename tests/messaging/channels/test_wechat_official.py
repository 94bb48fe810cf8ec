"""Official Accounts, against an imitation that checks tokens, templates and followers."""

import json
from dataclasses import replace

import pytest

from messaging.channels import tokens
from messaging.channels.base import PermanentFailure, SenderFailure, TemporaryFailure
from messaging.channels.content import TemplatedContent
from messaging.channels.wechat_official import WechatOfficial, client_msg_id
from notification_platform.embedded.providers.server import Act, Answer
from notification_platform.embedded.providers.wechat_official import OfficialServer
from tests.messaging.channels.http_contract import HttpContract, account_of, outbound_of
from tests.messaging.channels.official import ANN, BOB, EVE

WRONG = "wrong-secret-0123456789abcdef012"


@pytest.fixture(autouse=True)
def no_tokens():
    tokens.forget()


@pytest.fixture
def provider():
    with OfficialServer() as running:
        yield running
    # It would have logged out the company's other systems.
    assert (running.plain_token_fetches, running.forced_refreshes) == (0, 0)


def adapter_for(provider, secret=None):
    options = {"app_id": provider.app_id, "api_url": provider.url}
    credentials = {"app_secret": secret or provider.secret}
    account = account_of(WechatOfficial, options=options, credentials=credentials)
    return WechatOfficial(account)


@pytest.fixture
def adapter(provider):
    return adapter_for(provider)


def message(**further):
    fields = {
        "to": [("", ANN)],
        "template_id": "template-0001",
        "parameters": {"thing1": "Tea", "number2": "3"},
    }
    return TemplatedContent(**fields | further)


def notice(**further):
    parameters = {"thing1": "Tea", "phrase2": "配送中"}
    fields = {"template_id": "notice-0001", "parameters": parameters, "kind": "subscribe"}
    return message(**fields | further)


class TestWechatOfficial(HttpContract):
    SECRETS = ("app-secret-0123456789abcdef01234", WRONG)
    CODES = {
        "-1": (TemporaryFailure, "temporary"),
        "40013": (SenderFailure, "credentials"),
        "40125": (SenderFailure, "credentials"),
        "40164": (SenderFailure, "misconfigured"),
        "50002": (SenderFailure, "blocked"),
        "48001": (SenderFailure, "misconfigured"),
        "48004": (SenderFailure, "blocked"),
        "45009": (SenderFailure, "quota"),
        "45011": (SenderFailure, "throttled"),
        "40003": (PermanentFailure, "hard_bounce"),
        "43004": (PermanentFailure, "hard_bounce"),
        "43019": (PermanentFailure, "blocked"),
        "43101": (PermanentFailure, "blocked"),
        "40036": (PermanentFailure, "rejected"),
        "40037": (PermanentFailure, "rejected"),
        "47003": (PermanentFailure, "rejected"),
        "45168": (PermanentFailure, "rejected"),
    }

    @pytest.fixture
    def provider(self, provider):
        return provider

    @pytest.fixture
    def adapter(self, adapter):
        return adapter

    @pytest.fixture
    def stranger(self, provider):
        return adapter_for(provider, WRONG)

    @pytest.fixture
    def outbound(self):
        return outbound_of(message())

    def refusal(self, code):
        return Answer.of({"errcode": int(code), "errmsg": "words rid: 65eac940-1a79c8dc"})


# --- what is sent --------------------------------------------------------------------------------


def test_a_template_message_has_its_fields_link_and_mini_program(provider, adapter):
    mini = {"appid": "wx1", "pagepath": "index?a=b"}
    details = {"url": "https://shop.example/1", "miniprogram": mini}

    receipt = adapter.send(outbound_of(message(details=details)))

    (arrival,) = provider.arrived
    assert (arrival.to, arrival.title) == (ANN, "template-0001")
    assert arrival.text == "thing1: Tea\nnumber2: 3"
    assert arrival.details["url"] == "https://shop.example/1"
    assert arrival.details["miniprogram"] == mini
    assert receipt.provider_message_id == str(provider._last_id)


def test_a_notice_reaches_who_agreed_to_it_once(provider, adapter):
    provider.agree(ANN, "notice-0001")

    receipt = adapter.send(outbound_of(notice(details={"page": "pages/index"})))
    with pytest.raises(PermanentFailure) as caught:
        adapter.send(outbound_of(notice()))

    (arrival,) = provider.arrived
    assert arrival.details["page"] == "pages/index"
    assert "client_msg_id" not in arrival.details
    assert receipt.provider_message_id == str(provider._last_id)
    assert (caught.value.kind, caught.value.code) == ("blocked", "43101")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (message(to=[("", "oNobody")]), "40003"),
        (message(to=[("", EVE)]), "43004"),
        (message(template_id="unknown"), "40037"),
        (message(parameters={"thing1": "Tea"}), "47003"),
    ],
)
def test_what_is_refused_says_why_with_the_id_of_the_request(adapter, content, code):
    with pytest.raises(PermanentFailure) as caught:
        adapter.send(outbound_of(content))

    assert caught.value.code == code
    assert " rid: " in caught.value.words


@pytest.mark.parametrize(
    "content", [message(to=[("", ANN), ("", BOB)]), message(to=[]), message(kind="mass")]
)
def test_what_no_message_can_be_is_refused_here(provider, adapter, content):
    with pytest.raises(PermanentFailure):
        adapter.send(outbound_of(content))

    assert provider.requests == 0


# --- once ----------------------------------------------------------------------------------------


def test_what_is_sent_again_after_a_silence_is_swallowed(provider, adapter, monkeypatch):
    monkeypatch.setattr("messaging.channels.http_api.TIMEOUT", (0.3, 0.3))
    outbound = outbound_of(message())
    adapter.send(outbound_of(message(to=[("", BOB)])))
    provider.lose.append(Act.RESET)

    with pytest.raises(Exception, match="no_answer"):
        adapter.send(outbound)
    receipt = adapter.send(replace(outbound, attempt_id="another"))

    assert [arrival.to for arrival in provider.arrived] == [BOB, ANN]
    assert provider.duplicates == 1
    assert receipt.provider_message_id == str(provider._last_id)


def test_an_answer_that_it_was_taken_before_is_a_success(provider, adapter):
    adapter.send(outbound_of(message()))
    provider.once.append(Answer.of({"errcode": 45065, "errmsg": "clientmsgid exist"}))

    assert adapter.send(outbound_of(message())).code == "45065"


def test_the_id_belongs_to_the_message_and_not_to_the_attempt():
    one, other = "<1@notifications.example>", "<2@notifications.example>"

    assert client_msg_id(one) == client_msg_id(one) != client_msg_id(other)
    assert len(client_msg_id(one)) == 32


# --- tokens --------------------------------------------------------------------------------------


def test_the_stable_token_is_asked_for_and_never_forced(provider, adapter, monkeypatch):
    asked = []
    answer = provider.answer
    monkeypatch.setattr(provider, "answer", lambda one: (asked.append(one), answer(one))[1])

    adapter.send(outbound_of(message()))

    assert asked[0].path == "/cgi-bin/stable_token"
    assert json.loads(asked[0].body) == {
        "grant_type": "client_credential",
        "appid": provider.app_id,
        "secret": provider.secret,
        "force_refresh": False,
    }


def test_a_token_that_another_system_has_replaced_is_renewed_once(provider, adapter):
    adapter.send(outbound_of(message()))
    provider.invalidate_tokens()

    for _ in range(2):
        adapter.send(outbound_of(message()))

    assert (len(provider.arrived), provider.token_fetches) == (3, 2)


def test_a_wrong_secret_that_is_called_an_invalid_credential_is_the_accounts_fault(
    provider, adapter
):
    provider.once.append(Answer.of({"errcode": 40001, "errmsg": "invalid credential"}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(message()))

    assert caught.value.kind == "credentials"


# --- the test of the connection, settings --------------------------------------------------------


def test_the_test_finds_that_our_address_is_not_listed(provider, adapter):
    provider.is_listed = False

    (step,) = adapter.probe()

    assert not step.is_ok
    assert "40164" in step.words


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ({"app_secret": ""}, ["app_secret"]),
        ({"app_secret": "two words"}, ["app_secret"]),
        ({"callback_token": "t", "encoding_aes_key": "a" * 42}, ["encoding_aes_key"]),
        ({"callback_token": "t", "encoding_aes_key": "*" * 43}, ["encoding_aes_key"]),
        ({"encoding_aes_key": "a" * 43}, ["callback_token"]),
        ({"callback_token": "t", "encoding_aes_key": "a" * 43}, []),
    ],
)
def test_settings_that_cannot_work_are_named(credentials, named):
    problems = WechatOfficial.problems({"app_id": "wx1"}, {"app_secret": "s"} | credentials)

    assert list(problems) == named


# --- what the provider would refuse --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "pointers"),
    [
        (message(), []),
        (notice(), []),
        (message(parameters={"thing1": "x" * 21, "number2": "three"}), 2),
        (message(parameters={"first": "x" * 99, "keyword1": "", "remark": "\n"}), []),
        (message(to=[("", ANN), ("", BOB)]), ["/to"]),
        (message(details={"page": "index"}), ["/page"]),
        (notice(details={"url": "https://shop.example"}), ["/url"]),
        (notice(details={"page": "index", "miniprogram": {"appid": "wx1"}}), []),
    ],
)
def test_what_would_be_refused_is_named(content, pointers):
    named = [misfit.pointer for misfit in WechatOfficial.misfits(content)]

    assert named == (["/variables/thing1", "/variables/number2"] if pointers == 2 else pointers)


@pytest.mark.parametrize(
    ("name", "fitting", "unfitting"),
    [
        ("thing1", ["x" * 20, "啊" * 20, "茶, 3 cups!"], ["啊" * 21, "", "two\nlines", "a\u2028b"]),
        ("number10", ["0", "-3.5", "1" * 32], ["1" * 33, "1,000", "3 cups", "x"]),
        ("letter1", ["abcXYZ"], ["a1", "a b", "é", "a" * 33]),
        ("symbol2", ["!?", "¥"], ["a", "啊", "1", "!" * 6]),
        ("character_string3", ["XF-2024 #1", "x" * 32], ["订单", "x" * 33]),
        ("time4", ["15:01", "2019年10月1日 15:01", "15:01~16:00", "9:05:30"], ["25:01", "later"]),
        (
            "date5",
            ["2019年10月1日", "2019-10-01", "2019.10.01 15:01", "10月1日", "2019-10-01~2019-10-02"],
            ["tomorrow", "2019", "01:30"],
        ),
        ("amount6", ["¥19.90", "100元", "$5", "12"], ["12345678901", "ten", "¥1,000"]),
        ("phone_number7", ["+86-0766-66888866", "13800001111"], ["1" * 18, "call me"]),
        ("car_number8", ["粤A8Z888挂", "粤B12345"], ["粤A8Z8888挂", "A 123"]),
        ("name9", ["张三", "啊" * 10, "Ann-Lee O'Hara"], ["啊" * 11, "a" * 21, "Ann2"]),
        ("phrase1", ["配送中"], ["配送中中中中", "sent", "配送!"]),
        ("const1", ["订单超时未支付"], ["x" * 21]),
    ],
)
def test_each_typed_field_has_its_rule(name, fitting, unfitting):
    def misfits(value):
        return WechatOfficial.misfits(notice(parameters={name: value}))

    assert [value for value in fitting if misfits(value)] == []
    assert [value for value in unfitting if not misfits(value)] == []
    assert all("WeChat takes" in one.detail for value in unfitting for one in misfits(value))


def test_a_long_value_is_judged_in_no_time():
    parameters = {f"{name}1": ("1-" * 50_000) for name in ("date", "time", "name", "amount")}

    assert len(WechatOfficial.misfits(notice(parameters=parameters))) == 4
