"""URLs that whoever has them may use: by plain HTTP, without credentials."""
import re
import urllib.parse

from . import http

SIGNATURE = re.compile(r"(?<=[?&])((?:X-Amz-)?Signature=)([^&]*)")


def request(url, method="GET", body=b"", headers=()):
    """One request with no other headers, to this machine whatever bucket the host names."""
    parts = urllib.parse.urlsplit(url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    return http.request(parts.port, method, target, [("Host", parts.netloc), *headers], body)


def wrongly_signed(url):
    """The URL with one character of its signature changed."""
    text, count = SIGNATURE.subn(
        lambda m: m[1] + ("1" if m[2][0] != "1" else "2") + m[2][1:], url)
    assert count == 1, url
    return text


def refused(url, method="GET", body=b"", headers=()):
    """Status and code of what must be no success."""
    answer = request(url, method, body, headers)
    assert answer.status >= 400, (method, url, answer)
    return answer.status, answer.code


def assert_shares(url, content, version):
    """Checks that a URL gives this content to anyone, and that a changed one gives nothing."""
    assert ("AWSAccessKeyId=" in url, "X-Amz-Signature=" in url) == (version == 2, version == 4), url
    got = request(url)
    assert (got.status, got.body == content) == (200, True), got
    for changed, method in ((wrongly_signed(url), "GET"), (url, "DELETE"), (url, "PUT")):
        assert refused(changed, method) == (403, "SignatureDoesNotMatch"), (changed, method)
    assert request(url).body == content
