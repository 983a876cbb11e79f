"""All benchmarks, one after the other, each in a process of its own."""

import subprocess
import sys

BENCHMARKS = (
    "bench_networks",
    "bench_wire",
    "bench_wire_load",
    "bench_origin",
    "bench_http2",
    "bench_proxy",
    "bench_dns",
    "bench_resolver",
    "bench_ftp",
    "bench_smtp",
    "bench_imap",
    "bench_large_mailbox",
)


def main() -> int:
    """Run them; returns the first exit code that is not 0."""
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        code = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
