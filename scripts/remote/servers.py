"""What the tests talk to: an S3-compatible server (moto), a proxy before it that fails on request, and web servers with and without TLS."""
import datetime
import http.client
import http.server
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Store:
    """moto in a process of its own."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the S3 server did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients that are killed and connections that are dropped belong to the tests


class Request:
    """A request that came through the proxy."""

    def __init__(self, number, method, path):
        self.number, self.method, self.path = number, method, path

    @property
    def part(self):
        """The part of an upload that it sends, or None."""
        if self.method != "PUT" or "partNumber=" not in self.path:
            return None
        return int(self.path.split("partNumber=")[1].split("&")[0])


class Proxy:
    """Passes requests on to a store. `fault(request)` says what goes wrong with one: None, or

    "drop" (the connection closes before the request is passed on), "lose" (it is passed on, the answer is not), "truncate" (half of the answer's body comes),
    "stall" (nothing comes for a long time), a number of seconds to wait, (status, body) to answer at once, or a function that returns one of these later.
    """

    def __init__(self, store):
        self.fault = lambda request: None
        self.seen = []
        self.faults = 0
        self.lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                with proxy.lock:
                    request = Request(len(proxy.seen), self.command, self.path)
                    proxy.seen.append(request)
                fault = proxy.fault(request)
                if fault is not None:
                    proxy.faults += 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if fault == "drop":
                    self.close_connection = True
                    return
                if fault == "stall":
                    time.sleep(30)
                    self.close_connection = True
                    return
                if isinstance(fault, (int, float)):
                    time.sleep(fault)
                if isinstance(fault, tuple):
                    status, text = fault
                    self.send_response(status)
                    self.send_header("Content-Type", "application/xml")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(text.encode())
                    return
                onward = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
                onward.request(self.command, self.path, body, dict(self.headers))
                response = onward.getresponse()
                content = response.read()
                onward.close()
                if fault == "lose":
                    self.close_connection = True
                    return
                self.send_response(response.status)
                for name, value in response.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = response.getheader("Content-Length") if self.command == "HEAD" else len(content)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if fault == "truncate":
                    self.wfile.write(content[: len(content) // 2])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self, fault=lambda request: None):
        """Begins counting again, with other faults."""
        self.fault, self.seen, self.faults = fault, [], 0


class Web:
    """A web server over a directory: byte ranges and strong etags, or neither. `certificate` makes it speak TLS."""

    def __init__(self, directory, ranges=True, certificate=None):
        self.seen = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                web.seen.append((self.command, self.headers.get("Range")))
                path = Path(directory) / self.path.lstrip("/")
                if not path.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content = path.read_bytes()
                etag = f'"{len(content)}-{path.stat().st_mtime_ns}"'
                wanted = self.headers.get("If-Match")
                if ranges and wanted not in (None, etag):
                    self.send_response(412)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                part, status = content, 200
                if ranges and self.headers.get("Range"):
                    start, end = self.headers["Range"].removeprefix("bytes=").split("-")
                    part, status = content[int(start) : int(end) + 1], 206
                self.send_response(status)
                self.send_header("Content-Length", str(len(part)))
                if ranges:
                    self.send_header("ETag", etag)
                    self.send_header("Accept-Ranges", "bytes")
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(part)

            do_GET = do_HEAD = answer

        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def self_signed(path):
    """A certificate for 127.0.0.1 with its key, in one file that is also the authority to trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(subject, key, issuer, issuer_key, authority):
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certificate("tests", authority_key, "tests", authority_key, True)
    own = certificate("127.0.0.1", key, "tests", authority_key, False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server, trusted = path / "server.pem", path / "trusted.pem"
    server.write_bytes(private + own.public_bytes(pem))
    trusted.write_bytes(authority.public_bytes(pem))
    return server, trusted
