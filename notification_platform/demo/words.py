"""What the demo company is called and writes, in both languages."""

from dataclasses import dataclass

LANGUAGES = ("en", "zh-hans")


@dataclass(frozen=True, slots=True)
class App:
    """`name` and `about` by language. `spends`: its share of the day's quota of messages."""

    key: str
    name: tuple[str, str]
    about: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Text:
    """A template: whose, over which channel, how it is handled, how often it is sent (`weight`),
    and `(name, subject, body)` in each language. Variables are those that `contents` knows."""

    code: str
    app: str
    weight: float
    en: tuple[str, str, str]
    zh: tuple[str, str, str]
    channel: str = "email"
    lane: str = "normal"
    policy: str = "at_least_once"
    lifetime: int | None = None
    # Of SMS and Official Accounts: the provider's template, and what is put into it.
    provider_id: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    # Of robots and chats: the sender that is the place.
    place: str = ""
    tags: tuple[str, ...] = ()

    def words(self, language: str) -> tuple[str, str, str]:
        return self.en if language == "en" else self.zh


APPS = (
    App("shop", ("Web shop", "网上商城"), ("Orders and parcels.", "订单与包裹通知。")),
    App("accounts", ("Accounts", "用户中心"), ("Log-ins and passwords.", "登录与密码。")),
    App("billing", ("Billing", "账务系统"), ("Invoices and payments.", "账单与付款。")),
    App("crm", ("Newsletters", "市场营销"), ("What marketing sends.", "营销活动邮件。")),
    App("logistics", ("Logistics", "物流系统"), ("Deliveries on their way.", "配送进度。")),
    App("support", ("Support desk", "客服工单"), ("Tickets of customers.", "客户工单。")),
    App("people", ("People portal", "人事门户"), ("For those who work here.", "员工通知。")),
    App("monitoring", ("Monitoring", "监控系统"), ("Alerts of servers.", "服务器告警。")),
)

TEXTS = (
    # --- e-mail ----------------------------------------------------------------------------------
    Text(
        *("order-confirmed", "shop", 12),
        en=(
            "Order confirmed",
            "Your order {{ order }}",
            "# Thank you, {{ name }}\n\nYour order "
            "**{{ order }}** of {{ item }} for {{ amount }} is being packed.",
        ),
        zh=(
            "订单确认",
            "您的订单 {{ order }}",
            "# {{ name }}，感谢您的购买\n\n订单 **{{ order }}**"
            "（{{ item }}，{{ amount }}）正在打包。",
        ),
        tags=("order",),
    ),
    Text(
        *("order-shipped", "shop", 10),
        en=(
            "Order shipped",
            "Order {{ order }} is on its way",
            "# It is on its way\n\n{{ name }}, your {{ item }} left our warehouse on {{ day }}.",
        ),
        zh=(
            "订单发货",
            "订单 {{ order }} 已发货",
            "# 已发货\n\n{{ name }}，您的{{ item }}已于{{ day }}出库。",
        ),
        tags=("order",),
    ),
    Text(
        *("order-refunded", "shop", 2),
        en=(
            "Refund",
            "Refund of {{ amount }}",
            "{{ name }}, we returned {{ amount }} for order **{{ order }}**.",
        ),
        zh=(
            "退款通知",
            "退款 {{ amount }}",
            "{{ name }}，订单 **{{ order }}** 已退款 {{ amount }}。",
        ),
        tags=("order", "refund"),
    ),
    Text(
        *("cart-left", "shop", 5),
        en=(
            "Left in the cart",
            "You left {{ item }} behind",
            "{{ name }}, {{ item }} is still in your cart. [Go on](https://shop.example.com/cart)",
        ),
        zh=(
            "购物车提醒",
            "您的购物车里还有{{ item }}",
            "{{ name }}，{{ item }}还在购物车中。[继续购买](https://shop.example.com/cart)",
        ),
        lane="bulk",
        policy="at_most_once",
    ),
    Text(
        *("welcome-aboard", "accounts", 4),
        en=("Welcome", "Welcome, {{ name }}", "# Welcome\n\nGood to have you here, {{ name }}."),
        zh=("欢迎", "欢迎您，{{ name }}", "# 欢迎\n\n{{ name }}，很高兴您加入。"),
    ),
    Text(
        *("password-reset", "accounts", 6),
        en=(
            "Password reset",
            "Your new password",
            "{{ name }}, the code is **{{ code }}**. It is good for ten minutes.",
        ),
        zh=("重置密码", "重置您的密码", "{{ name }}，验证码为 **{{ code }}**，十分钟内有效。"),
        lane="high",
        policy="at_most_once",
        lifetime=600,
    ),
    Text(
        *("new-device", "accounts", 4),
        en=(
            "New device",
            "A new device in {{ city }}",
            "{{ name }}, somebody logged in from {{ city }}. Was it you?",
        ),
        zh=(
            "新设备登录",
            "{{ city }}有新设备登录",
            "{{ name }}，您的账户在{{ city }}登录，是您本人吗？",
        ),
        lane="high",
        lifetime=3600,
    ),
    Text(
        *("invoice-ready", "billing", 7),
        en=(
            "Invoice",
            "Invoice {{ order }}",
            "{{ name }}, your invoice **{{ order }}** over {{ amount }} of {{ month }} is ready.",
        ),
        zh=(
            "账单",
            "账单 {{ order }}",
            "{{ name }}，{{ month }}账单 **{{ order }}**（{{ amount }}）已生成。",
        ),
        tags=("invoice",),
    ),
    Text(
        *("payment-failed", "billing", 2),
        en=(
            "Payment failed",
            "We could not charge {{ amount }}",
            "{{ name }}, the payment of {{ amount }} for {{ order }} failed.",
        ),
        zh=(
            "扣款失败",
            "{{ amount }} 扣款失败",
            "{{ name }}，订单 {{ order }} 的 {{ amount }} 扣款失败。",
        ),
        lane="high",
        tags=("invoice", "dunning"),
    ),
    Text(
        *("subscription-renewed", "billing", 3),
        en=(
            "Renewal",
            "Your subscription goes on",
            "{{ name }}, your subscription runs until {{ day }}.",
        ),
        zh=("续订", "您的订阅已续期", "{{ name }}，您的订阅有效期至{{ day }}。"),
    ),
    Text(
        *("newsletter", "crm", 8),
        en=(
            "Newsletter",
            "News of {{ month }}",
            "# News of {{ month }}\n\n{{ name }}, this month "
            "all about {{ item }}. [Read on](https://www.example.com/news)",
        ),
        zh=(
            "月度通讯",
            "{{ month }}通讯",
            "# {{ month }}通讯\n\n{{ name }}，本期主题：{{ item }}。"
            "[阅读全文](https://www.example.com/news)",
        ),
        lane="bulk",
        policy="at_most_once",
        tags=("newsletter",),
    ),
    Text(
        *("sale", "crm", 6),
        en=(
            "Sale",
            "{{ item }} at half the price",
            "# Only this week\n\n{{ item }} for {{ amount "
            "}}. [To the shop](https://shop.example.com)",
        ),
        zh=(
            "促销",
            "{{ item }}半价",
            "# 仅限本周\n\n{{ item }}仅售 {{ amount }}。[立即选购](https://shop.example.com)",
        ),
        lane="bulk",
        policy="at_most_once",
        tags=("campaign",),
    ),
    Text(
        *("survey", "crm", 2),
        en=(
            "Survey",
            "How was it, {{ name }}?",
            "Two questions about your {{ item }}: [answer them](https://www.example.com/survey)",
        ),
        zh=(
            "问卷",
            "{{ name }}，您满意吗？",
            "关于{{ item }}的两个问题：[填写问卷](https://www.example.com/survey)",
        ),
        lane="bulk",
        policy="at_most_once",
    ),
    Text(
        *("ticket-opened", "support", 3),
        en=(
            "Ticket opened",
            "[{{ ticket }}] We have it",
            "{{ name }}, we look into **{{ ticket }}** and write back soon.",
        ),
        zh=(
            "工单已创建",
            "[{{ ticket }}] 已受理",
            "{{ name }}，工单 **{{ ticket }}** 已受理，我们会尽快回复。",
        ),
        tags=("ticket",),
    ),
    Text(
        *("ticket-solved", "support", 3),
        en=("Ticket solved", "[{{ ticket }}] Solved", "{{ name }}, **{{ ticket }}** is solved."),
        zh=("工单已解决", "[{{ ticket }}] 已解决", "{{ name }}，工单 **{{ ticket }}** 已解决。"),
        tags=("ticket",),
    ),
    Text(
        *("payslip-ready", "people", 1),
        en=(
            "Payslip",
            "Your payslip of {{ month }}",
            "{{ name }}, your payslip of {{ month }} is in the portal.",
        ),
        zh=("工资单", "{{ month }}工资单", "{{ name }}，{{ month }}工资单已发布到门户。"),
    ),
    # --- SMS -------------------------------------------------------------------------------------
    Text(
        *("login-sms", "accounts", 9),
        channel="sms",
        en=("Login code", "", "Your code is {{ code }}. It is valid for {{ minutes }} minutes."),
        zh=("登录验证码", "", "您的验证码是{{ code }}，{{ minutes }}分钟内有效。"),
        lane="high",
        policy="at_most_once",
        lifetime=600,
        provider_id="SMS_100000001",
    ),
    Text(
        *("delivery-sms", "logistics", 4),
        channel="sms",
        en=("Delivery today", "", "Parcel {{ order }} comes today. Code: {{ code }}."),
        zh=("今日配送", "", "包裹{{ order }}今日送达，取件码{{ code }}。"),
        lifetime=6 * 3600,
        provider_id="SMS_100000003",
    ),
    Text(
        *("payment-sms", "billing", 2),
        channel="sms",
        en=("Payment due", "", "{{ amount }} for {{ order }} is due on {{ day }}."),
        zh=("还款提醒", "", "账单{{ order }}（{{ amount }}）将于{{ day }}到期。"),
        lifetime=86_400,
        provider_id="SMS_100000004",
    ),
    # --- WeChat Work -----------------------------------------------------------------------------
    Text(
        *("leave-approved", "people", 2),
        channel="wechat",
        en=("Leave approved", "", "{{ name }}, your leave from {{ day }} is approved."),
        zh=("请假批准", "", "{{ name }}，您从{{ day }}起的请假已批准。"),
    ),
    Text(
        *("meeting-soon", "people", 3),
        channel="wechat",
        en=("Meeting soon", "", "In {{ minutes }} minutes: meeting in {{ city }}."),
        zh=("会议提醒", "", "{{ minutes }}分钟后：{{ city }}会议室开会。"),
        lane="high",
        lifetime=1800,
    ),
    Text(
        *("host-alert", "monitoring", 2),
        channel="wechat",
        en=("Alert of a host", "", "**{{ host }}**: disk is {{ percent }} % full"),
        zh=("主机告警", "", "**{{ host }}**：磁盘已用 {{ percent }}%"),
        place="demo-ops-robot",
        lane="high",
        tags=("alert",),
    ),
    # --- WeChat Official Account -----------------------------------------------------------------
    Text(
        *("order-paid-wechat", "shop", 3),
        channel="wechat_official",
        en=("Order paid", "", "Order {{ order }}: {{ item }}, {{ amount }}"),
        zh=("订单支付", "", "订单 {{ order }}：{{ item }}，{{ amount }}"),
        provider_id="TM_ORDER_PAID",
        parameters=(("character_string1", "{{ order }}"), ("thing2", "{{ item }}")),
    ),
    Text(
        *("parcel-arrived", "logistics", 2),
        channel="wechat_official",
        en=("Parcel arrived", "", "Parcel {{ order }} waits in {{ city }}."),
        zh=("包裹到站", "", "包裹 {{ order }} 已到{{ city }}。"),
        provider_id="TM_PARCEL_ARRIVED",
        parameters=(("character_string1", "{{ order }}"), ("thing2", "{{ city }}")),
    ),
    # --- chat ------------------------------------------------------------------------------------
    Text(
        *("deploy-done", "monitoring", 2),
        channel="chat",
        en=("Deploy done", "Deploy of {{ host }}", "{{ host }} runs the new version."),
        zh=("发布完成", "{{ host }} 发布完成", "{{ host }} 已运行新版本。"),
        place="demo-team-chat",
    ),
    Text(
        *("on-call", "monitoring", 1),
        channel="chat",
        en=(
            "On call",
            "{{ host }} needs somebody",
            "{{ host }}: {{ percent }} % of requests fail.",
        ),
        zh=("值班告警", "{{ host }} 需要处理", "{{ host }}：{{ percent }}% 的请求失败。"),
        place="demo-on-call",
        lane="high",
        tags=("alert",),
    ),
)
