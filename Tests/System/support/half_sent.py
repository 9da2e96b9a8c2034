"""Uploads that stand still in the middle of their body."""
from support import http as wire
from support.clients import GONE
from support.server import ACCESS_KEY, SECRET_KEY


class Upload:
    """A request with a body that has sent a part of it and waits."""

    def __init__(self, gateway, port, head, body, sent):
        self.connection = wire.connect(gateway.ports[port], 120)
        self.rest = body[sent:]
        self.connection.sendall(head + body[:sent])

    @classmethod
    def put(cls, gateway, target, body, sent):
        return cls(gateway, "s3", wire.head_bytes("PUT", target, [
            ("Host", gateway.host), ("Content-Length", str(len(body)))]), body, sent)

    @classmethod
    def file(cls, gateway, name, content, sent):
        """An upload of the Files API."""
        body = (f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"'
                "\r\n\r\n").encode() + content + b"\r\n--edge--\r\n"
        return cls(gateway, "http", wire.head_bytes("POST", "/files", [
            ("Host", gateway.host), ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}"),
            ("Content-Type", "multipart/form-data; boundary=edge"),
            ("Content-Length", str(len(body)))]), body, sent)

    def trickle(self, count=1000):
        """Sends a little: a client that rests for too long is given up."""
        self.connection.sendall(self.rest[:count])
        self.rest = self.rest[count:]

    def finish(self):
        """The answer; None where the connection was lost."""
        try:
            self.connection.sendall(self.rest)
            return wire.read_response(self.connection, "PUT")
        except GONE:
            return None
        finally:
            self.connection.close()
