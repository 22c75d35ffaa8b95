"""Surface server under load: `python benchmarks/bench_server.py [HOME] [SECONDS]`.

The server runs as `volsurf serve` does, in a process of its own; the load comes from this one, over
loopback, by raw HTTP/1.1 on connections that stay open: a library's client would be the slower
end. Latency is measured on one connection, throughput on several. The processor time of the server
per request tells what it could do on a machine that does nothing else; the load of the machine
(processes that want a core) stands beside every row. HOME is a filled one.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from side_by_side import machine

CONNECTIONS = 16
TENORS = "&".join(f"tenors={days}d" for days in np.linspace(10, 540, 40).round().astype(int))
MONEYNESS = "&".join(f"log_moneyness={k:.3f}" for k in np.linspace(-0.1, 0.06, 15))
QUESTIONS = {
    "vol at strike": "/v1/SPY/implied_vol?T=0.1&K=650",
    "vol at delta": "/v1/SPY/point?tenor=30d&delta=-0.25",
    "greeks": "/v1/SPY/greeks?tte=0.1&strike=650&option_type=PUT",
    "surface 40 x 15": f"/v1/SPY/surface?{TENORS}&{MONEYNESS}",
    "SVI parameters": "/v1/SPY/svi_params",
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def ask(reader, writer, path):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    return int(head[9:12]), body


async def latencies(port, path, seconds):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(20):
        status, body = await ask(reader, writer, path)
        assert status == 200, body
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        await ask(reader, writer, path)
        found.append(time.perf_counter() - start)
    writer.close()
    return 1e3 * np.array(found)


async def throughput(port, path, seconds):
    end = time.perf_counter() + seconds

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            status, _ = await ask(reader, writer, path)
            count += status == 200
        writer.close()
        return count

    counts = await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def measure(port, pid, seconds):
    rows = []
    for name, path in QUESTIONS.items():
        ms = await latencies(port, path, seconds)
        before = processor_ms(pid)
        rate = await throughput(port, path, seconds)
        used = (processor_ms(pid) - before) / max(rate * seconds, 1.0)
        load = os.getloadavg()[0]
        rows.append((name, *np.percentile(ms, (50, 99, 99.9)), ms.max(), rate, used, load))
    return rows


def processor_ms(pid):
    """Milliseconds of processor time that a process has used (Linux; NaN elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return np.nan
    return 1e3 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def is_up(port):
    for _ in range(300):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await ask(reader, writer, "/health")
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return
    raise SystemExit("the server did not start")


def main():
    home = sys.argv[1] if len(sys.argv) > 1 else "data"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    port = free_port()
    command = [sys.executable, "-m", "volsurf_app", "serve", "--port", str(port)]
    environment = os.environ | {"VOLSURF_HOME": home, "SERVE_RATE_PER_S": "1e6"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(is_up(port))
        rows = asyncio.run(measure(port, server.pid, seconds))
    finally:
        server.terminate()
        server.wait()
    print(machine())
    print(
        f"{'ms':18s}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>8}{'per s':>8}{'cpu ms':>8}{'load':>6}"
    )
    for name, *latency, rate, used, load in rows:
        told = "".join(f"{ms:8.2f}" for ms in latency)
        print(f"{name:18s}{told}{rate:8.0f}{used:8.2f}{load:6.1f}")


if __name__ == "__main__":
    main()
