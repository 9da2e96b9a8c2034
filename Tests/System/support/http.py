"""A plain HTTP/1.1 client over one socket: says on the wire exactly what it is told to."""
import http.client
import socket
import xml.etree.ElementTree


class Response:
    """Status, headers (lower-case names) and body of one response."""

    def __init__(self, raw, body):
        self.status = raw.status
        self.headers = {k.lower(): v for k, v in raw.getheaders()}
        self.body = body

    @property
    def xml(self):
        """The body as XML without namespaces."""
        root = xml.etree.ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.partition("}")[2] or element.tag
        return root

    @property
    def code(self):
        """The code of an S3 error, None where there is no error document."""
        try:
            root = self.xml
        except xml.etree.ElementTree.ParseError:
            return None
        return root.findtext("Code") if root.tag == "Error" else None

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def connect(port, timeout=20):
    """A connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout)


def connect_lazy(port):
    """A connection of a reader for whom the system takes in as little as it can."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


def read_response(connection, method="GET"):
    """The next response on a connection."""
    raw = http.client.HTTPResponse(connection, method=method)
    raw.begin()
    return Response(raw, raw.read())


def head_bytes(method, target, headers):
    """A request head as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def request(port, method, target, headers=(), body=b"", timeout=20):
    """One request on a connection of its own."""
    headers = list(headers)
    names = {k.lower() for k, _ in headers}
    if "host" not in names:
        headers.insert(0, ("Host", f"127.0.0.1:{port}"))
    if "content-length" not in names and "transfer-encoding" not in names and (
            body or method in ("PUT", "POST")):
        headers.append(("Content-Length", str(len(body))))
    headers.append(("Connection", "close"))
    with connect(port, timeout) as connection:
        try:
            connection.sendall(head_bytes(method, target, headers) + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have answered before it read the body.
        return read_response(connection, method)
