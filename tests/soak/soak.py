"""Runs the demo at 60 times the usual speed with misbehaving upstreams, reads from it all the while, and
says whether memory and open files stay flat. `./dev soak` calls it; Python 3 without packages.

    soak.py PROGRAM MINUTES OUT.svg
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PORT = 18080
SAMPLE_SECONDS = 10
PATHS = [
    "/v1/latest",
    "/v1/hashprice",
    "/v1/series/price_usd?last=400",
    "/v1/series/price_usd.csv?resolution=1h",
    "/v1/series/hashprice_ma7_usd_per_ph_day?as_of=-10d",
    "/v1/sources",
    "/v1/status",
    "/metrics",
    "/v1/panel.csv?metrics=price_usd,hashrate_h_per_s&align=known&start=-60d",
    "/v1/nothing",
]


def resident_mib(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def ask(path, statuses):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=10) as answer:
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as error:
        error.read()
        status = error.code
    statuses[status] = statuses.get(status, 0) + 1


def slope_per_hour(samples):
    """Least squares over the second half, when caches are warm."""
    half = samples[len(samples) // 2 :]
    mean_x = sum(x for x, _ in half) / len(half)
    mean_y = sum(y for _, y in half) / len(half)
    spread = sum((x - mean_x) ** 2 for x, _ in half)
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in half) / spread if spread else 0.0


def curve(samples, top, left, width, height, colour):
    last = samples[-1][0] or 1
    points = " ".join(
        f"{left + width * x / last:.1f},{60 + height - height * y / top:.1f}" for x, y in samples
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'


def draw(path, memory, files, caption):
    width, height, left = 640, 220, 60
    top_memory = max(y for _, y in memory) * 1.25
    top_files = max(y for _, y in files) * 1.25
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 130} {height + 110}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="24" font-size="14">{caption[0]}</text>',
        f'<text x="{left}" y="44">{caption[1]}</text>',
        f'<rect x="{left}" y="60" width="{width}" height="{height}" fill="none" stroke="#999"/>',
        f'<text x="4" y="70" fill="#1f4e9c">{top_memory:.0f} MiB</text><text x="4" y="{60 + height}" fill="#1f4e9c">0</text>',
        f'<text x="{left + width + 6}" y="70" fill="#a33">{top_files:.0f} files</text>',
        f'<text x="{left}" y="{60 + height + 20}">0 min</text>',
        f'<text x="{left + width - 40}" y="{60 + height + 20}">{memory[-1][0] / 60:.0f} min</text>',
        f'<text x="{left}" y="{60 + height + 40}" fill="#1f4e9c">resident memory</text>',
        f'<text x="{left + 140}" y="{60 + height + 40}" fill="#a33">open files</text>',
        curve(memory, top_memory, left, width, height, "#1f4e9c"),
        curve(files, top_files, left, width, height, "#a33"),
        "</svg>\n",
    ]
    with open(path, "w") as out:
        out.write("\n".join(parts))


def main():
    program, minutes, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    directory = tempfile.mkdtemp(prefix="miner-signals-soak-", dir="/tmp")
    os.chmod(directory, 0o755)
    log = open(os.path.join(directory, "log"), "w")
    demo = subprocess.Popen(
        [program, "demo", "--port", str(PORT), "--speed", "60", "--faults", "--data-dir", os.path.join(directory, "data")],
        stdout=log,
        stderr=log,
    )
    memory, files, statuses = [], [], {}
    try:
        while True:
            try:
                ready = {}
                ask("/readyz", ready)
                if ready.get(200):
                    break
                time.sleep(0.05)
            except urllib.error.URLError:
                if demo.poll() is not None:
                    sys.exit(f"the demo ended at once; see {log.name}")
                time.sleep(0.2)
        begun = time.monotonic()
        paths = itertools.cycle(PATHS)
        while (elapsed := time.monotonic() - begun) < minutes * 60:
            memory.append((elapsed, resident_mib(demo.pid)))
            files.append((elapsed, open_files(demo.pid)))
            until = begun + elapsed + SAMPLE_SECONDS
            while time.monotonic() < until:
                ask(next(paths), statuses)
                time.sleep(0.1)
            if len(memory) % 30 == 1:
                print(f"{elapsed / 60:5.1f} min  {memory[-1][1]:6.1f} MiB  {files[-1][1]:4} files  {statuses}", flush=True)
        demo.send_signal(signal.SIGTERM)
        code = demo.wait(timeout=30)
    finally:
        demo.kill()
    text = open(log.name).read()
    panics = text.count("panicked") + text.count("ended unexpectedly")
    errors = [line for line in text.splitlines() if " ERROR " in line]
    server_errors = sum(count for status, count in statuses.items() if status >= 500)
    slopes = slope_per_hour(memory), slope_per_hour(files)
    caption = (
        f"{minutes:g} minutes of the demo at 60 times its speed ({minutes / 24:.1f} days of its world), upstreams misbehaving",
        f"second half: {slopes[0]:+.1f} MiB and {slopes[1]:+.1f} files an hour; {sum(statuses.values())} requests",
    )
    draw(out, memory, files, caption)
    print(caption[0])
    print(caption[1])
    print(f"memory {min(y for _, y in memory):.1f} to {max(y for _, y in memory):.1f} MiB, exit code {code}, "
          f"panics {panics}, errors logged {len(errors)}, answers {statuses}")
    for line in errors[:5]:
        print(line)
    if panics or server_errors or code != 0:
        sys.exit(f"not well; the log is {log.name}")
    shutil.rmtree(directory)


main()
