"""AES-GCM of the vector library: what others' TLS makes of it, and on which machines it is used."""
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from conftest import boto_client
from support import data
from support.server import binary

# curl's options for one cipher of TLS, and how it names what was agreed on.
CIPHERS = {
    "TLSv1.3 / TLS_AES_256_GCM_SHA384": ["--tls13-ciphers", "TLS_AES_256_GCM_SHA384"],
    "TLSv1.3 / TLS_AES_128_GCM_SHA256": ["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"],
    "TLSv1.3 / TLS_CHACHA20_POLY1305_SHA256": ["--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"],
    "TLSv1.2 / ECDHE-ECDSA-AES256-GCM-SHA384": [
        "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    "TLSv1.2 / ECDHE-ECDSA-AES128-GCM-SHA256": [
        "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
         path / "key.pem", "-out", path / "certificate.pem"], check=True, capture_output=True)
    return path


def run_curl(certificate, url, *options):
    return subprocess.run(
        ["curl", "-sSv", "--fail", "--cacert", certificate / "certificate.pem", *options, url],
        capture_output=True, timeout=60)


def curl(certificate, url, *options):
    """The body of the answer, and what curl says of the connection."""
    done = run_curl(certificate, url, *options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout, done.stderr.decode(errors="replace")


@pytest.mark.parametrize("choice", ["auto", "openssl"])
def test_objects_pass_unchanged_with_each_cipher_of_tls(
        make_server, certificate, tmp_path, choice):
    server = make_server(environment={
        "TLS_CERT": str(certificate / "certificate.pem"), "TLS_KEY": str(certificate / "key.pem"),
        "AES_GCM": choice})
    server.spawn()
    server.await_start(
        lambda: run_curl(certificate, f"https://{server.host}/_/health").returncode == 0)
    endpoint = f"https://{server.host}"
    curl(certificate, endpoint + server.presign("PUT", "ciphers", "").rstrip("/"), "-X", "PUT")
    # Several records, the last of them short.
    body = data.content("ciphers", (1 << 20) + 77)
    path = tmp_path / "body"
    path.write_bytes(body)
    for number, (name, options) in enumerate(CIPHERS.items()):
        key = f"key-{number}"
        _, said = curl(
            certificate, endpoint + server.presign("PUT", "ciphers", key), "-T", path, *options)
        assert name in said, said
        answer, said = curl(
            certificate, endpoint + server.presign("GET", "ciphers", key), *options)
        assert name in said, said
        assert answer == body, name
    assert server.stop() == 0


def test_what_one_implementation_wrote_the_other_reads(make_server):
    """The setting may be changed at any time."""
    server = make_server(environment={"AES_GCM": "auto"})
    server.start()
    client = boto_client(server)
    client.create_bucket(Bucket="ciphers")
    bodies = {f"object-{size}": data.content(str(size), size) for size in (100, 70_000, 3_000_000)}
    for key, body in bodies.items():
        client.put_object(Bucket="ciphers", Key=key, Body=body)
    assert server.stop() == 0
    assert "it is set so" not in server.log()
    server.environment["AES_GCM"] = "openssl"
    server.start()
    assert '"of":"OpenSSL: it is set so"' in server.log()
    client = boto_client(server)
    for key, body in bodies.items():
        assert client.get_object(Bucket="ciphers", Key=key)["Body"].read() == body, key
    assert server.stop() == 0


def used(**environment):
    """Whose AES-GCM it is, as `s3storage version` says."""
    done = subprocess.run(
        [binary(), "version"], capture_output=True, text=True, check=True,
        env=os.environ | environment)
    return done.stdout.splitlines()[1].removeprefix("AES-GCM of ")


def expected(words):
    return words if platform.machine() == "x86_64" else "OpenSSL: built without libipsec-mb"


def test_the_vector_library_is_used_where_the_processor_can():
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    needed = {"vaes", "vpclmulqdq", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    can = flags and needed <= set(flags.group(1).split())
    assert used() == expected(
        "libipsec-mb, by VAES and AVX-512" if can
        else "OpenSSL: the processor has not both VAES and AVX-512")


def test_another_release_of_the_library_is_not_used(tmp_path):
    """Its structures may have other sizes."""
    source, other = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text("unsigned imb_get_version(void) { return 0x10400; }\n")
    compiler = next(c for c in ("clang", "cc", "gcc") if shutil.which(c))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", other, source], check=True)
    assert used(LD_PRELOAD=str(other)) == expected(
        "OpenSSL: libipsec-mb is not the release that this was built with")


def test_who_wants_approved_modules_only_gets_no_other(tmp_path):
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(
        "openssl_conf = all\n[all]\nalg_section = algorithms\n"
        "[algorithms]\ndefault_properties = fips=yes\n")
    assert used(OPENSSL_CONF=str(configuration)) == expected(
        "OpenSSL: it is configured to use approved modules only")


def test_an_operator_can_have_openssl_s():
    assert used(AES_GCM="openssl") == "OpenSSL: it is set so"


@pytest.mark.parametrize("command", [["version"], ["serve"]])
def test_an_implementation_that_there_is_not_is_refused(command, tmp_path):
    done = subprocess.run(
        [binary(), *command], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env=os.environ | {"AES_GCM": "fast"})
    assert done.returncode == 2
    assert done.stderr == "s3storage: AES_GCM is auto or openssl\n"
    assert not list(tmp_path.iterdir())
