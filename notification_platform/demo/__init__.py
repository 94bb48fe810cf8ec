"""A made-up company's messages, for looking at the admin without a company: `generate_demo_data`.

Read downwards: `words` says who sends what, `cast` makes its applications, templates and senders,
`calendar` says when, `providers` what comes of a hand-over, `pool` who hands over; `platform` lets
the messages live, one moment after the other, and `rows` stores what they leave behind.
"""
