# SPDX-License-Identifier: Apache-2.0
"""Our command line through proxies that were not made here: HTTP CONNECT by proxy.py, SOCKS5 by pproxy, both with a
user and a password. The server listens on 127.0.0.2, since 127.0.0.1 is never proxied."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import serving

USER, PASSWORD = "judge", "pa55word"
READY_SECONDS = 60


@pytest.fixture(scope="module")
def far():
    """A server where a proxy may lead."""
    with serving.serve("--address", "127.0.0.2") as running:
        yield running


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, port):
    """A proxy, once it takes connections."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while True:
            assert process.poll() is None, process.stdout.read().decode()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until, f"{command[0]} takes no connections"
        yield port
    finally:
        process.terminate()
        process.wait(READY_SECONDS)
        process.stdout.close()


def beside(name):
    return str(Path(sys.executable).parent / name)


@pytest.fixture(scope="module", params=["connect", "socks5"])
def proxy(request):
    """Scheme and port of a running proxy."""
    port = free_port()
    if request.param == "connect":
        command = [
            beside("proxy"), "--hostname", "127.0.0.1", "--port", str(port), "--num-workers", "1",
            "--num-acceptors", "1", "--basic-auth", f"{USER}:{PASSWORD}",
        ]  # fmt: skip
        scheme = "http"
    else:
        command = [beside("pproxy"), "-l", f"socks5://127.0.0.1:{port}#{USER}:{PASSWORD}"]
        scheme = "socks5"
    with running(command, port):
        yield scheme, port


def storescope(far, *arguments, tls=False, check=True, **settings):
    oci = far.oci
    environment = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    environment |= {
        "STORESCOPE_ENDPOINT": oci["tls_endpoint" if tls else "endpoint"],
        "STORESCOPE_CONFIG_FILE": oci["config_file"],
        "STORESCOPE_CA_BUNDLE": oci["ca_bundle"],
        "STORESCOPE_ATTEMPTS": "1",
        **settings,
    }
    done = subprocess.run(
        [serving.binary(), *arguments], capture_output=True, text=True, timeout=60, env=environment
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def where(proxy, password=PASSWORD):
    scheme, port = proxy
    return f"{scheme}://{USER}:{password}@127.0.0.1:{port}"


@pytest.mark.parametrize("tls", [False, True])
def test_requests_go_through_it(far, proxy, tls, tmp_path):
    variable = "STORESCOPE_HTTPS_PROXY" if tls else "STORESCOPE_HTTP_PROXY"
    url = f"oci://demo@{far.oci['namespace']}"
    before = len(far.record())
    storescope(far, "ls", f"{url}/", tls=tls, **{variable: where(proxy)})
    seen = far.record()[before:]
    assert [line["status"] for line in seen] == [200]
    assert seen[0]["user_agent"].startswith("storescope/") and seen[0]["tls"] == tls


@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_is_told(far, proxy, tls):
    variable = "https_proxy" if tls else "http_proxy"
    before = len(far.record())
    refused = storescope(
        far, "ls", f"oci://demo@{far.oci['namespace']}/", tls=tls, check=False,
        **{variable: where(proxy, "wrong")},
    )  # fmt: skip
    assert refused.returncode == 1, refused.stderr
    assert "proxy" in refused.stderr and "wrong" not in refused.stderr
    assert far.record()[before:] == []


def test_a_proxy_that_is_not_there_is_told_and_no_proxy_passes_it_by(far):
    nowhere = {"HTTP_PROXY": f"http://127.0.0.1:{free_port()}"}
    url = f"oci://demo@{far.oci['namespace']}/"
    refused = storescope(far, "ls", url, check=False, **nowhere)
    assert refused.returncode == 1 and "proxy" in refused.stderr
    storescope(far, "ls", url, NO_PROXY="127.0.0.0/24", **nowhere)
