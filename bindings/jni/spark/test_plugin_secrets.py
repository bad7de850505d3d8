# SPDX-License-Identifier: Apache-2.0
"""With the plugin, nothing that Spark shows of an application holds a secret of its settings: the environment in the UI and by
REST, event logs, dumps of Hadoop's configuration, the plugin's page and report, the log."""

from __future__ import annotations

from pathlib import Path

import core_site
import needles
import plugin_jobs

PASSPHRASE = "correct horse battery staple"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLEsession/token+of=s3"
PASSWORD = "pa55word-of-the-proxy"


def test_no_secret_is_shown(run, place, tmp_path):
    # The key is not encrypted: a passphrase that is not needed is a secret all the same.
    site = core_site.oci(place.server) | {"fs.oci.client.auth.passphrase": PASSPHRASE}
    pem = Path(site["fs.oci.client.auth.pemfilepath"]).read_text()
    (tmp_path / "events").mkdir()
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{tmp_path}/events",
        "spark.eventLog.compress": "false",
        "spark.hadoop.storescope.bucket.other.pass_phrase": PASSPHRASE,
        "spark.hadoop.storescope.bucket.other.key_content": pem,
        "spark.hadoop.storescope.bucket.other.identity_client_secret": SECRET,
        "spark.hadoop.fs.s3a.secret.key": SECRET,
        "spark.hadoop.fs.s3a.session.token": TOKEN,
        "spark.executorEnv.https_proxy": f"http://user:{PASSWORD}@proxy:3128",
    }
    reports = tmp_path / "reports"
    told = run("shown", site, module=plugin_jobs, url=place.url, report=str(reports), settings=settings)
    secrets = needles.Needles()
    for what, secret in {"passphrase": PASSPHRASE, "secret": SECRET, "token": TOKEN, "password": PASSWORD}.items():
        secrets.add(what, secret)
    secrets.add_key_or_token("the key", pem)
    # The settings are shown, and their values are not.
    for what in ("environment", "rest", "hadoop"):
        assert "fs.oci.client.auth.passphrase" in told[what] and "redacted" in told[what].lower(), what
        assert "fs.oci.client.auth.userId" in told[what] and place.server.oci["endpoint"] in told[what], what
    for what, text in told.items():
        secrets.check(what, text)
    files = [file for folder in (tmp_path / "events", reports) for file in folder.rglob("*") if file.is_file()]
    assert len(files) >= 4, files
    for file in [*files, tmp_path / "log-0"]:
        secrets.check(file.name, file.read_bytes())
