"""Objects of several sizes on one server, and whether they are there."""
from . import data

# Inline, in a volume, and in chunks of their own.
SIZES = [200, 60_000, 400_000, 2_500_000]


def fill(server, prefix="k", sizes=SIZES):
    """Stores an object of each size; key to body."""
    assert server.s3("PUT", "/bucket").status in (200, 409)
    bodies = {f"{prefix}{size}": data.content((prefix, size), size) for size in sizes}
    for key, body in bodies.items():
        answer = server.s3("PUT", f"/bucket/{key}", body=body)
        assert answer.status == 200, answer
    return bodies


def check(server, bodies):
    """All of them read as they were stored."""
    for key, body in bodies.items():
        answer = server.s3("GET", f"/bucket/{key}")
        assert (answer.status, answer.body == body) == (200, True), (key, answer)
