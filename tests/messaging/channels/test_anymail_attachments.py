from base64 import b64decode
from dataclasses import replace

import pytest

from messaging.channels.base import Attachment, PermanentFailure
from tests.messaging.channels.outbound import make_outbound

FILES = (
    Attachment("发票 11月.pdf", "application/pdf", b"%PDF\x00\r\n.\n\xff"),
    Attachment("latin.txt", "text/plain", "héllo\r\n".encode("latin-1")),
    Attachment("notes.txt", "text/plain", "\ufeffhéllo\r\n\n\r".encode()),
    Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo@example.com"),
)


def test_files_go_to_the_provider_byte_for_byte(start_provider):
    provider, adapter = start_provider("postmark")

    adapter.send(replace(make_outbound(), attachments=FILES))

    (files,) = (sent["Attachments"] for sent in provider.sent)
    assert [one["Name"] for one in files] == [one.filename for one in FILES]
    assert [b64decode(one["Content"]) for one in files] == [one.data for one in FILES]
    assert [one.get("ContentID") for one in files] == [None, None, None, "cid:logo@example.com"]


@pytest.mark.parametrize(
    "change",
    [
        {"filename": "a\r\nBcc: eve@example.com"},
        {"content_type": "image/png\r\nx: y"},
        {"content_id": "a>\r\nx: y"},
    ],
)
def test_a_file_that_cannot_be_described_fails_the_message_and_is_not_sent(start_provider, change):
    provider, adapter = start_provider("postmark")
    broken = replace(FILES[-1], **change)

    with pytest.raises(PermanentFailure) as caught:
        adapter.send(replace(make_outbound(), attachments=(broken,)))

    assert (caught.value.kind, caught.value.phase) == ("rejected", "serialize")
    assert provider.sent == []
