# SPDX-License-Identifier: Apache-2.0
"""Settings from outside the options: what is set or corrected after the first use counts, and what errors advise helps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest

import storescope
import storescope.uproot

DATA = bytes(range(256)) * 10

OF_THE_MACHINE = [
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home without files. No instance is asked for credentials."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in OF_THE_MACHINE:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def folder(bucket, options):
    """A prefix with one object."""
    url = f"{bucket}{uuid.uuid4().hex}/"
    storescope.open_store(url, **options).put("k", DATA)
    return url


@pytest.fixture
def config(server, tmp_path):
    """The emulator's configuration, to be changed."""
    shutil.copytree(Path(server.oci["config_file"]).parent, tmp_path / "oci", ignore=shutil.ignore_patterns("record*"))
    file = tmp_path / "oci" / "config"
    file.write_text(file.read_text().replace(str(Path(server.oci["config_file"]).parent), str(tmp_path / "oci")))
    return file


class Users:
    """All that may hold a store from before: stores, filesystems, fsspec's cache of those, uproot's of stores."""

    def __init__(self, url, **options):
        self.url, self.options = url, options
        self.service, _, self.path = url.partition("://")
        self.store = self.open()
        self.fs = self.filesystem()

    def open(self):
        return storescope.open_store(self.url, **self.options)

    def filesystem(self):
        return fsspec.filesystem(f"storescope{self.service}", **self.options)

    def reads(self):
        return {
            "the store": lambda: bytes(self.store.get("k")),
            "the filesystem": lambda: self.fs.cat_file(self.path + "k"),
            "a new store": lambda: bytes(self.open().get("k")),
            "a filesystem by fsspec": lambda: self.filesystem().cat_file(self.path + "k"),
            "a source of uproot": lambda: self.source().chunk(0, len(DATA)).raw_data.tobytes(),
        }

    def source(self):
        return storescope.uproot.Source(self.url + "k", **self.options)

    def all_fail(self, match, kind="config"):
        errors = []
        for who, read in self.reads().items():
            with pytest.raises(storescope.StoreError, match=match) as failed:
                read()
            assert failed.value.kind == kind, who
            errors.append(failed.value)
        return errors[0]

    def all_read(self):
        for who, read in self.reads().items():
            assert read() == DATA, who


def test_what_is_put_into_the_environment_before_the_next_store_counts(folder, service, options, monkeypatch):
    users = Users(folder, endpoint=options["endpoint"], region=options["region"])
    if service == "oci":
        users.all_fail(r"STORESCOPE_CONFIG_FILE")
        monkeypatch.setenv("STORESCOPE_CONFIG_FILE", options["config_file"])
    else:
        users.all_fail("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret_access_key"])
    users.all_read()


def test_a_store_keeps_what_it_was_opened_with_and_the_next_has_what_is_set_then(folder, service, options, monkeypatch):
    for name in ("config_file", "access_key_id", "secret_access_key"):
        if name in options:
            monkeypatch.setenv(f"STORESCOPE_{name.upper()}", options[name])
    users = Users(folder, endpoint=options["endpoint"], region=options["region"])
    users.all_read()
    monkeypatch.setenv(*{"oci": ("OCI_CLI_PROFILE", "WRONG"), "s3": ("STORESCOPE_SECRET_ACCESS_KEY", "wrong")}[service])
    assert users.store.get("k") == DATA and users.fs.cat_file(users.path + "k") == DATA
    assert users.filesystem() is not users.fs
    for read in (lambda: users.open().get("k"), lambda: users.filesystem().cat_file(users.path + "k"), users.source):
        with pytest.raises(PermissionError):
            getattr(read(), "num_bytes", None)
    monkeypatch.undo()


def test_an_instance_is_the_same_while_nothing_changes(options, service, monkeypatch):
    protocol = f"storescope{service}"
    fs = fsspec.filesystem(protocol, **options)
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert fsspec.filesystem(protocol, **options) is fs
    monkeypatch.setenv("STORESCOPE_ATTEMPTS", "3")
    other = fsspec.filesystem(protocol, **options)
    assert other is not fs
    monkeypatch.delenv("STORESCOPE_ATTEMPTS")
    assert fsspec.filesystem(protocol, **options) is fs


def test_settings_of_the_client_count_too(server, folder, options, monkeypatch):
    def attempts():
        server.fault({"method": "HEAD", "contains": folder.split("/")[-2], "count": 9, "action": {"status": {"status": 503}}})
        with pytest.raises(storescope.StoreError) as failed:
            storescope.open_store(folder, **options, backoff_base=0.001).head("k")
        return failed.value.attempts

    monkeypatch.setenv("STORESCOPE_ATTEMPTS", "2")
    assert attempts() == 2
    monkeypatch.setenv("STORESCOPE_ATTEMPTS", "3")
    assert attempts() == 3


def test_stores_of_the_same_client_share_its_connections(folder, options, seen, monkeypatch):
    def connection():
        storescope.open_store(folder, **options).get("k")
        return seen()[-1]["connection"]

    first = connection()
    monkeypatch.setenv("STORESCOPE_PART_SIZE", "8MiB")  # of stores
    monkeypatch.setenv("AWS_PROFILE", "default")
    assert connection() == first
    monkeypatch.setenv("STORESCOPE_IDLE_TIMEOUT", "7s")  # of clients
    assert connection() != first


# Files.


def dated(file, text, later):
    """Writes a file as somebody would some time later."""
    file.write_text(text)
    os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns + later * 10**9))


@pytest.mark.parametrize("service", ["oci"], indirect=True)
class TestTheConfigurationFile:
    def test_it_is_created_after_a_failure(self, folder, options, config, home):
        users = Users(folder, endpoint=options["endpoint"])
        users.all_fail(rf"there is no OCI configuration file {home}/.oci/config: create one with `oci setup config`")
        (home / ".oci").mkdir()
        shutil.copy(config, home / ".oci" / "config")
        users.all_read()

    def test_one_that_an_option_names_is_created(self, folder, options, config, tmp_path):
        users = Users(folder, endpoint=options["endpoint"], config_file=str(tmp_path / "mine"))
        error = users.all_fail("create it with `oci setup config`, or name another with config_file")
        assert "STORESCOPE_CONFIG_FILE" not in str(error), "the option goes before it"
        shutil.copy(config, tmp_path / "mine")
        users.all_read()

    def test_one_that_a_variable_names_is_replaced_by_another(self, folder, options, config, monkeypatch):
        monkeypatch.setenv("OCI_CLI_CONFIG_FILE", "/nowhere/config")
        users = Users(folder, endpoint=options["endpoint"])
        users.all_fail(r"name another with config_file \(STORESCOPE_CONFIG_FILE\)")
        monkeypatch.setenv("STORESCOPE_CONFIG_FILE", str(config))
        users.all_read()

    def test_a_malformed_line_is_mended(self, folder, options, config):
        text = config.read_text()
        config.write_text("nonsense\n" + text)
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail("line 1 of the OCI configuration file .* stands before the first")
        config.write_text(text)
        users.all_read()

    def test_a_wrong_key_is_corrected(self, folder, options, config):
        text = config.read_text()
        config.write_text(text.replace("/key.pem", "/wrong_key.pem"))
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail("one of the two is not what was uploaded", "unauthenticated")
        dated(config, text, 2)
        users.all_read()

    def test_a_wrong_key_file_is_replaced(self, folder, options, config):
        key = config.parent / "key.pem"
        right, wrong = key.read_text(), (config.parent / "wrong_key.pem").read_text()
        key.write_text(wrong)
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail("one of the two is not what was uploaded", "unauthenticated")
        dated(key, right, 2)
        users.all_read()

    def test_a_wrong_region_is_made_up_for(self, folder, options, config, monkeypatch):
        config.write_text(config.read_text().replace("region = us-ashburn-1", "region = nowhere-1"))
        users = Users(folder, config_file=str(config), attempts=1)
        users.all_fail("check endpoint, region and network", "connect")
        monkeypatch.setenv("STORESCOPE_ENDPOINT", options["endpoint"])
        users.all_read()


@pytest.mark.parametrize("service", ["s3"], indirect=True)
class TestTheFilesOfTheAwsTools:
    def test_credentials_are_written_after_a_failure(self, folder, options, home):
        users = Users(folder, endpoint=options["endpoint"], region=options["region"])
        users.all_fail("a profile of the AWS tools, or auth=none")
        self.write(home, options["access_key_id"], options["secret_access_key"])
        users.all_read()

    def test_a_wrong_secret_is_corrected(self, folder, options, home):
        self.write(home, options["access_key_id"], "wrong")
        users = Users(folder, endpoint=options["endpoint"], region=options["region"])
        users.all_fail("check the access key, its secret, and the region", "unauthenticated")
        self.write(home, options["access_key_id"], options["secret_access_key"])
        users.all_read()

    def write(self, home, key, secret):
        (home / ".aws").mkdir(exist_ok=True)
        text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        dated(home / ".aws" / "credentials", text, 2)


# What errors advise.


@pytest.mark.parametrize("service", ["oci"], indirect=True)
class TestAdvice:
    def test_all_variables_that_are_asked_for_in_turn_are_enough(self, folder, options, config, monkeypatch):
        lines = (line.partition(" = ") for line in config.read_text().splitlines())
        known = {key: value for key, sign, value in reversed(list(lines)) if sign}
        # Else whoever has no key is looked for among instances, too.
        monkeypatch.setenv("STORESCOPE_AUTH", "api_key")
        users = Users(folder, endpoint=options["endpoint"])
        asked = []
        for _ in range(4):
            error = users.all_fail(r"set (\w+) \((STORESCOPE_\w+)\)")
            key, variable = re.search(r"set (\w+) \((STORESCOPE_\w+)\)", str(error)).groups()
            asked.append(key)
            monkeypatch.setenv(variable, known[key])
        assert sorted(asked) == ["fingerprint", "key_file", "tenancy", "user"]
        users.all_read()

    @pytest.mark.parametrize("key", ["user", "tenancy", "fingerprint", "key_file"])
    def test_a_line_is_added_to_the_profile(self, folder, options, config, key):
        text = config.read_text()
        line = re.search(rf"^{key} = .*\n", text, re.MULTILINE).group()
        config.write_text(text.replace(line, "", 1))
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail(rf"profile \[DEFAULT\] of {config} lacks \"{key}\"; add `{key} = …`")
        dated(config, text, 2)
        users.all_read()

    @pytest.mark.parametrize("name", ["region", "endpoint"])
    def test_region_or_endpoint(self, folder, options, config, monkeypatch, name):
        text = config.read_text()
        config.write_text(text.replace("region = us-ashburn-1\n", ""))
        users = Users(folder, config_file=str(config), attempts=1)
        users.all_fail(r"set region \(STORESCOPE_REGION\) or endpoint \(STORESCOPE_ENDPOINT\)")
        monkeypatch.setenv(f"STORESCOPE_{name.upper()}", {"region": "nowhere-1", "endpoint": options["endpoint"]}[name])
        if name == "endpoint":
            users.all_read()
        else:
            users.all_fail("objectstorage.nowhere-1.oraclecloud.com", "connect")

    def test_a_key_file_that_is_not_there(self, folder, options, config):
        text = config.read_text()
        config.write_text(text.replace("/key.pem", "/no-key.pem"))
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail(r"names the key file .*/no-key.pem, which cannot be read: .*; correct key_file")
        dated(config, text, 2)
        users.all_read()

    @pytest.mark.parametrize("where", ["profile", "variable", "setting"])
    def test_a_passphrase(self, folder, options, config, monkeypatch, where):
        key = config.parent / "key.pem"
        openssl = ["openssl", "rsa", "-aes128", "-passout", "pass:horse", "-in", str(key), "-out", str(key) + ".new"]
        subprocess.run(openssl, check=True, capture_output=True)
        os.replace(str(key) + ".new", key)
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
        users.all_fail(r"add pass_phrase to the profile, or set pass_phrase \(OCI_CLI_PASSPHRASE\)")
        text = config.read_text()
        if where == "profile":
            dated(config, text.replace("[DEFAULT]\n", "[DEFAULT]\npass_phrase = cow\n"), 2)
            users.all_fail("correct pass_phrase")
            dated(config, text.replace("[DEFAULT]\n", "[DEFAULT]\npass_phrase = horse\n"), 4)
        elif where == "variable":
            monkeypatch.setenv("OCI_CLI_PASSPHRASE", "horse")
        else:
            users = Users(folder, endpoint=options["endpoint"], config_file=str(config), pass_phrase="horse")
        users.all_read()

    def test_a_key_of_another_kind(self, folder, options, config):
        key = config.parent / "key.pem"
        right = key.read_text()
        public = subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout"], check=True, capture_output=True, text=True)
        for wrong, advice in [(public.stdout, "key_file must name the private key of the pair"), ("x", "an RSA private key in PEM")]:
            key.write_text(wrong)
            users = Users(folder, endpoint=options["endpoint"], config_file=str(config))
            users.all_fail(advice)
        key.write_text(right)
        users.all_read()

    @pytest.mark.parametrize("profile", ["SESSION", "DELEGATED"])
    def test_a_token(self, folder, options, config, profile):
        token = config.parent / {"SESSION": "token", "DELEGATED": "delegation_token"}[profile]
        text = token.read_text()
        token.unlink()
        users = Users(folder, endpoint=options["endpoint"], config_file=str(config), profile=profile)
        users.all_fail({"SESSION": "`oci session authenticate` makes one", "DELEGATED": "name the file of a delegation token"}[profile])
        token.write_text(text)
        users.all_read()

    def test_a_misspelt_variable(self, folder, options, monkeypatch):
        monkeypatch.setenv("STORESCOPE_CONFIGFILE", options["config_file"])
        with pytest.raises(ValueError, match=r"STORESCOPE_CONFIGFILE: there is no such setting; did you mean STORESCOPE_CONFIG_FILE\?"):
            storescope.open_store(folder)
        monkeypatch.delenv("STORESCOPE_CONFIGFILE")
        monkeypatch.setenv("STORESCOPE_CONFIG_FILE", options["config_file"])
        Users(folder, endpoint=options["endpoint"]).all_read()

    def test_a_value_that_does_not_parse(self, folder, options, monkeypatch):
        monkeypatch.setenv("STORESCOPE_ATTEMPTS", "many")
        with pytest.raises(ValueError, match='environment variable STORESCOPE_ATTEMPTS: .*attempts="many"'):
            storescope.open_store(folder, **options)
        monkeypatch.setenv("STORESCOPE_ATTEMPTS", "5")
        Users(folder, **options).all_read()

    def test_a_profile_that_is_not_there(self, folder, options, monkeypatch):
        monkeypatch.setenv("OCI_CLI_PROFILE", "LAB")
        users = Users(folder, **options)
        users.all_fail(r"has no profile \[LAB\]; it has DEFAULT, ")
        monkeypatch.setenv("OCI_CLI_PROFILE", "DEFAULT")
        users.all_read()

    def test_a_compartment(self, server, options, config):
        text = config.read_text()
        url = f"oci://made-{uuid.uuid4().hex}@{server.oci['namespace']}/"
        own = {"endpoint": options["endpoint"], "config_file": str(config), "profile": "SESSION"}
        config.write_text(re.sub(r"(?m)^tenancy = .*\n", "", text))
        # A session's token says its tenancy, in whose root compartment the bucket is made.
        storescope.create_bucket(url, **own)
        storescope.delete_bucket(url, **own)
        config.write_text(text)
        storescope.create_bucket(url, **own)

    def test_a_proxy(self, folder, options, monkeypatch):
        # Not by an address that is never proxied.
        elsewhere = {**options, "endpoint": options["endpoint"].replace("127.0.0.1", "0.0.0.0"), "attempts": 1}
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "elsewhere.example")
        monkeypatch.setenv("http_proxy", "ftp://127.0.0.1:1")
        users = Users(folder, **elsewhere)
        users.all_fail("use http://host:port or socks5://host:port")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        users.all_fail("check http_proxy, https_proxy and no_proxy", "connect")
        monkeypatch.setenv("no_proxy", "0.0.0.0")
        users.all_read()


class TestTls:
    @pytest.fixture
    def tls(self, server, service, options):
        return {**options, "endpoint": server.ready[service]["tls_endpoint"], "attempts": 1}

    def test_an_authority_of_ones_own(self, folder, server, tls, monkeypatch):
        users = Users(folder, **tls)
        users.all_fail("set ca_bundle if the store's certificate is from an authority of your own", "tls")
        monkeypatch.setenv("STORESCOPE_CA_BUNDLE", server.oci["ca_bundle"])
        users.all_read()

    def test_a_bundle_that_is_corrected(self, folder, server, tls, monkeypatch, tmp_path):
        bundle = tmp_path / "ca.pem"
        bundle.write_text("")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        users = Users(folder, **tls)
        users.all_fail(rf"ca_bundle \(REQUESTS_CA_BUNDLE\) {bundle} holds no certificate")
        shutil.copy(server.oci["ca_bundle"], bundle)
        users.all_read()

    @pytest.mark.parametrize("mend", ["correct", "unset", "ca_bundle"])
    def test_the_platforms_variables(self, folder, server, tls, monkeypatch, tmp_path, mend):
        bundle = tmp_path / "ca.pem"
        bundle.write_text("")
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        users = Users(folder, **tls)
        users.all_fail("there are no certificates where SSL_CERT_FILE point .*; correct or unset them, or set ca_bundle", "tls")
        if mend == "correct":
            shutil.copy(server.oci["ca_bundle"], bundle)
        elif mend == "ca_bundle":
            monkeypatch.setenv("STORESCOPE_CA_BUNDLE", server.oci["ca_bundle"])
        else:
            monkeypatch.delenv("SSL_CERT_FILE")
            users.all_fail("authority that is not trusted", "tls")
            return
        users.all_read()


def test_opening_a_store_stays_cheap(folder, options):
    script = (
        "import sys, time, json, storescope\n"
        "url, options = sys.argv[1], json.loads(sys.argv[2])\n"
        "storescope.open_store(url, **options)\n"
        "begun = time.process_time()\n"
        "for _ in range(1000): storescope.open_store(url, **options)\n"
        "print((time.process_time() - begun) / 1000)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, folder, json.dumps(options)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 0.001, "a store is opened for each call of some libraries"
