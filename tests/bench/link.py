"""A slow link to another host, emulated: that host is a network namespace, and all packets pass through here.

Each packet waits for its turn at the link's rate, and then travels for half a round trip. TCP and TLS are those of
the kernel and of the programs: their handshakes and slow starts take what they take on a real link. It needs root
and the command `ip`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import selectors
import shutil
import struct
import subprocess
import time
from collections import deque
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

FAR = "10.213.0.2"
_NEAR = "10.213.0.1"
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PACKET = 1500
# What waits for longer is dropped, as a router does whose buffer is full. In seconds.
_BUFFER = 0.3


class Link:
    """A host at `FAR` that is reached over a slow link, as long as this is entered."""

    def __init__(self, rtt: float, rate: float) -> None:
        """Prepare.

        Args:
            rtt: a round trip, in seconds.
            rate: bits a second, each way.
        """
        self.rtt = rtt
        self.rate = rate

    def __enter__(self) -> Link:
        if os.geteuid() or not shutil.which("ip"):
            raise SystemExit("a link is emulated in network namespaces: run this as root, with iproute2 installed")
        self._host = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").stat().st_ino
        while Path(f"/proc/{self._host.pid}/ns/net").stat().st_ino == own:
            time.sleep(0.01)
        near, far = _open_tun("bench-near"), _open_tun("bench-far")
        _run("ip", "link", "set", "bench-far", "netns", str(self._host.pid))
        _run("ip", "address", "add", _NEAR, "peer", FAR, "dev", "bench-near")
        _run("ip", "link", "set", "bench-near", "up")
        _run(*self.runner, "ip", "address", "add", FAR, "peer", _NEAR, "dev", "bench-far")
        for device in ("lo", "bench-far"):
            _run(*self.runner, "ip", "link", "set", device, "up")
        # A process of its own: nobody else's work may hold up a packet.
        self._carrier: BaseProcess = get_context("fork").Process(
            target=_carry, args=(near, far, self.rtt / 2, self.rate / 8), daemon=True
        )
        self._carrier.start()
        os.close(near)
        os.close(far)
        return self

    def __exit__(self, *_: object) -> None:
        self._carrier.terminate()
        self._carrier.join()
        self._host.kill()
        self._host.wait()

    @property
    def runner(self) -> tuple[str, ...]:
        """What runs a command on the other host."""
        return ("nsenter", f"--net=/proc/{self._host.pid}/ns/net")

    @contextmanager
    def over_there(self) -> Iterator[None]:
        """Open sockets on the other host meanwhile: they stay there."""
        enter = ctypes.CDLL(None, use_errno=True).setns
        with Path("/proc/self/ns/net").open() as here, Path(f"/proc/{self._host.pid}/ns/net").open() as there:
            if enter(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                enter(here.fileno(), _CLONE_NEWNET)

    def connections(self) -> int:
        """How many connections the other host has accepted so far."""
        lines = Path(f"/proc/{self._host.pid}/net/snmp").read_text().splitlines()
        names, numbers = (line.split() for line in lines if line.startswith("Tcp:"))
        return int(numbers[names.index("PassiveOpens")])

    def carried(self) -> tuple[int, int]:
        """How many bytes have gone over it so far, from there and to there."""
        counts = Path("/sys/class/net/bench-near/statistics")
        return int((counts / "rx_bytes").read_text()), int((counts / "tx_bytes").read_text())


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _open_tun(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def _carry(near: int, far: int, delay: float, rate: float) -> None:
    """Carry packets both ways until somebody ends this."""
    other = {near: far, far: near}
    waiting: dict[int, deque[tuple[float, bytes]]] = {near: deque(), far: deque()}
    free_at = {near: 0.0, far: 0.0}
    selector = selectors.DefaultSelector()
    for device in other:
        selector.register(device, selectors.EVENT_READ)
    while True:
        now = time.monotonic()
        for device, packets in waiting.items():
            while packets and packets[0][0] <= now:
                os.write(other[device], packets.popleft()[1])
        next_at = min((packets[0][0] for packets in waiting.values() if packets), default=now + 1)
        for key, _ in selector.select(max(0, next_at - time.monotonic())):
            device = key.fd
            while True:
                try:
                    packet = os.read(device, _PACKET)
                except BlockingIOError:
                    break
                now = time.monotonic()
                if free_at[device] - now > _BUFFER:
                    continue
                free_at[device] = max(free_at[device], now) + len(packet) / rate
                waiting[device].append((free_at[device] + delay, packet))
