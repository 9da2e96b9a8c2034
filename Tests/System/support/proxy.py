"""A TCP proxy that does to connections what networks do: cuts, delays, throttles, swallows."""
import asyncio
import contextlib
import socket
import struct
import threading


class Proxy:
    """Forwards a port of this machine to another; its faults may change at any time.

    One thread with an event loop. All methods may be called from any thread and take effect at
    once, on connections that are open as well.

    - `cut()`: open connections are reset, new ones refused.
    - `hole()`: nothing is forwarded either way, and nothing said about it.
    - `slow(delay=seconds, rate=bytes a second)`: each way, for each connection.
    - `heal()`: forwards again. Connections that were in a hole go on where they stood.
    - `trip(pattern, answer)`: see there.
    """

    def __init__(self, target_port, port=0):
        self.target_port = target_port
        self.delay, self.rate = 0.0, None
        self.trap = None
        self.tripped = threading.Event()
        self.connections = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.writers = set()
        self.server = None
        self.call(self.begin(port))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def begin(self, port):
        self.open = asyncio.Event()
        self.open.set()
        self.healed = asyncio.Event()
        self.healed.set()
        await self.listen(port)

    async def listen(self, port):
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", port, limit=1 << 17)
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    # Faults

    def cut(self):
        async def act():
            if self.server:
                self.server.close()
                self.server = None
            self.reset_all()

        self.call(act())

    def reset(self):
        """Resets open connections; new ones are accepted."""
        async def act():
            self.reset_all()

        self.call(act())

    def hole(self):
        async def act():
            self.healed.clear()

        self.call(act())

    def slow(self, delay=0.0, rate=None):
        self.delay, self.rate = delay, rate

    def trip(self, pattern, answer=None):
        """Resets the connection whose client next sends `pattern`, once.

        Before the bytes with it are forwarded; or, with `answer`, when the target sends bytes with
        that, so that it did what it was told and the client does not hear of it. `tripped` is set
        then.
        """
        self.tripped.clear()
        self.trap = (pattern, answer)

    def heal(self):
        async def act():
            self.delay, self.rate, self.trap = 0.0, None, None
            self.healed.set()
            if not self.server:
                await self.listen(self.port)

        self.call(act())

    def close(self):
        async def end():
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        if self.thread.is_alive():
            self.cut()
            self.call(end())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)
            self.loop.close()

    # Forwarding

    def reset_all(self):
        for writer in list(self.writers):
            abort(writer)

    async def connected(self, reader, writer):
        self.connections += 1
        self.writers.add(writer)
        target = None
        try:
            await self.healed.wait()
            target_reader, target = await asyncio.open_connection(
                "127.0.0.1", self.target_port, limit=1 << 17)
            self.writers.add(target)
            link = Link(self, writer, target)
            await asyncio.gather(
                link.forward(reader, target, True), link.forward(target_reader, writer, False))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, target):
                if one:
                    self.writers.discard(one)
                    abort(one)


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, target):
        self.proxy, self.client, self.target = proxy, client, target
        self.answer = None

    async def forward(self, reader, writer, from_client):
        proxy = self.proxy
        while data := await reader.read(1 << 16):
            if from_client and proxy.trap and proxy.trap[0] in data:
                if proxy.trap[1] is None:
                    return self.trip()
                self.answer, proxy.trap = proxy.trap[1], None
            elif not from_client and self.answer is not None and self.answer in data:
                return self.trip()
            if proxy.delay:
                await asyncio.sleep(proxy.delay)
            if proxy.rate:
                await asyncio.sleep(len(data) / proxy.rate)
            await proxy.healed.wait()
            writer.write(data)
            await writer.drain()
        await proxy.healed.wait()
        try:
            writer.write_eof()
        except OSError:
            pass

    def trip(self):
        self.proxy.trap = None
        self.proxy.tripped.set()
        abort(self.client)
        abort(self.target)


def abort(writer):
    """Ends a connection with a reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


@contextlib.contextmanager
def behind_proxies(cluster, database=False):
    """Puts each storage server of a cluster that is not started behind a proxy of its own, and its
    database if that is wanted."""
    proxies = []
    for server in cluster.servers:
        server.proxy = Proxy(server.port)
        server.advertise = server.proxy.address
        proxies.append(server.proxy)
    if database:
        cluster.database_proxy = Proxy(cluster.postgres.port)
        proxies.append(cluster.database_proxy)
    try:
        yield cluster
    finally:
        for proxy in proxies:
            proxy.close()


def make_whole(cluster):
    """Heals the links of such a cluster, and has all its servers run and take writes."""
    for server in cluster.servers:
        server.proxy.heal()
        if server.alive:
            server.resume()
        else:
            server.start()
    cluster.await_spread(len(cluster.servers))
