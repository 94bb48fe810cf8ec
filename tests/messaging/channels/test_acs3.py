from messaging.channels.acs3 import encoded_query, signature

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_documented_example_has_the_documented_signature():
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = encoded_query(
        {
            "RegionId": "cn-shanghai",
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        }
    )

    made = signature(
        "YourAccessKeySecret",
        method="POST",
        path="/",
        query=query,
        headers=headers,
        signed=sorted(headers),
        payload_hash=EMPTY,
    )

    assert made == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_a_query_is_encoded_as_rfc_3986_says():
    assert encoded_query({"b": "a b*~/+", "a": "零"}) == "a=%E9%9B%B6&b=a%20b%2A~%2F%2B"
