"""AWS Signature Version 4 as a client: headers, presigned URLs and the streaming modes.

Written from the specification alone, so that the server is checked by something that shares none
of its code, and with every step open to be done wrong on purpose.
"""
import datetime
import hashlib
import hmac
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def encode(text, safe=""):
    """Percent-encodes as SigV4 does: all but unreserved characters, upper-case hexadecimal."""
    return urllib.parse.quote(text, safe=safe + "-._~")


def encode_path(key):
    """The path of a key: slashes stay."""
    return encode(key, safe="/")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def amz_date(moment):
    return moment.strftime("%Y%m%dT%H%M%SZ")


def hmac_sha256(key, text):
    return hmac.new(key, text.encode() if isinstance(text, str) else text, hashlib.sha256).digest()


class Signer:
    """Signs requests for one credential."""

    def __init__(self, access_key, secret_key, region="us-east-1", service="s3"):
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region
        self.service = service

    def scope(self, moment):
        return f"{moment:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def signing_key(self, moment):
        key = hmac_sha256(("AWS4" + self.secret_key).encode(), f"{moment:%Y%m%d}")
        for part in (self.region, self.service, "aws4_request"):
            key = hmac_sha256(key, part)
        return key

    def signature(self, method, path, query, headers, signed, payload_hash, moment):
        """The signature over `path` (as sent, encoded) and `query`, a list of encoded pairs."""
        canonical_query = "&".join(f"{k}={v}" for k, v in sorted(query))
        values = {}
        for name, value in headers:
            values.setdefault(name.lower(), []).append(" ".join(value.split()))
        canonical_headers = "".join(f"{n}:{','.join(values.get(n, ['']))}\n" for n in signed)
        request = "\n".join(
            [method, path, canonical_query, canonical_headers, ";".join(signed), payload_hash])
        text = "\n".join([
            ALGORITHM, amz_date(moment), self.scope(moment),
            hashlib.sha256(request.encode()).hexdigest()])
        return hmac_sha256(self.signing_key(moment), text).hex()

    def sign(self, method, target, headers, payload_hash=UNSIGNED, moment=None, unsigned=()):
        """Adds date, payload hash and Authorization to `headers`, which hold Host.

        `unsigned` names headers that are sent but left out of the signature.
        """
        moment = moment or now()
        path, _, raw_query = target.partition("?")
        query = [tuple((p + "=").split("=")[:2]) for p in raw_query.split("&") if p]
        headers = list(headers) + [
            ("x-amz-date", amz_date(moment)), ("x-amz-content-sha256", payload_hash)]
        left_out = {n.lower() for n in unsigned} | {"expect", "content-length", "connection"}
        signed = sorted({n.lower() for n, _ in headers} - left_out)
        signature = self.signature(method, path, query, headers, signed, payload_hash, moment)
        headers.append(("Authorization", (
            f"{ALGORITHM} Credential={self.access_key}/{self.scope(moment)}, "
            f"SignedHeaders={';'.join(signed)}, Signature={signature}")))
        return headers, signature

    def presign(self, method, host, path, expires=3600, query=(), headers=(), moment=None):
        """The target of a presigned request: path and query. `headers` are signed beside Host."""
        moment = moment or now()
        headers = [("host", host), *headers]
        signed = sorted(n.lower() for n, _ in headers)
        pairs = [(encode(k), encode(v)) for k, v in query] + [
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", encode(f"{self.access_key}/{self.scope(moment)}")),
            ("X-Amz-Date", amz_date(moment)),
            ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", encode(";".join(signed)))]
        signature = self.signature(method, path, pairs, headers, signed, UNSIGNED, moment)
        return path + "?" + "&".join(f"{k}={v}" for k, v in pairs + [("X-Amz-Signature", signature)])

    def chunked(self, data, seed, moment, chunk=65536, signed=True, trailers=(),
                corrupt_chunk=None, corrupt_trailer=False, drop_final=False):
        """`data` framed as aws-chunked: chunks, each signed or not, then `trailers`.

        `corrupt_chunk` breaks the signature of the chunk of that index (-1: the last, empty one).
        """
        key = self.signing_key(moment)
        pieces = [data[i:i + chunk] for i in range(0, len(data), chunk)] + [b""]
        previous, out = seed, []
        for index, piece in enumerate(pieces):
            line = f"{len(piece):x}"
            if signed:
                text = "\n".join([
                    ALGORITHM + "-PAYLOAD", amz_date(moment), self.scope(moment), previous,
                    EMPTY_SHA256, hashlib.sha256(piece).hexdigest()])
                previous = hmac_sha256(key, text).hex()
                shown = previous
                if corrupt_chunk is not None and corrupt_chunk % len(pieces) == index:
                    shown = ("0" if previous[0] != "0" else "1") + previous[1:]
                line += ";chunk-signature=" + shown
            if piece:
                out.append(line.encode() + b"\r\n" + piece + b"\r\n")
            elif not drop_final:
                out.append(line.encode() + b"\r\n")
                for name, value in trailers:
                    out.append(f"{name}:{value}\r\n".encode())
                if signed and trailers:
                    canonical = "".join(f"{n}:{v}\n" for n, v in trailers)
                    text = "\n".join([
                        ALGORITHM + "-TRAILER", amz_date(moment), self.scope(moment), previous,
                        hashlib.sha256(canonical.encode()).hexdigest()])
                    mark = hmac_sha256(key, text).hex()
                    if corrupt_trailer:
                        mark = ("0" if mark[0] != "0" else "1") + mark[1:]
                    out.append(f"x-amz-trailer-signature:{mark}\r\n".encode())
                out.append(b"\r\n")
        return b"".join(out)
