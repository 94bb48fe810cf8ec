"""Answers the admin's questions as its pages do."""


def confirm(browser, url, **fields):
    """Look at the question at `url`, and say yes to it."""
    return answer(browser, url, browser.get(url), **fields)


def answer(browser, url, asked, **fields):
    """Say yes to a question that was seen already."""
    return browser.post(url, dict(asked.context["fields"]) | fields, follow=True)
