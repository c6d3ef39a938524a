#!/usr/bin/python3
"""The service of the made packages: says over HTTP which version of itself and of the library it runs.

/        two lines, "service VERSION" and "library VERSION"
/health  200, or 503 from a version that is sick and from a host with a file /srv/sick
"""
import ctypes
import http.server
import os

VERSION = "@VERSION@"
SICK = @SICK@

library = ctypes.CDLL("/usr/lib/libhostler-made.so.1")
library.hostler_made_version.restype = ctypes.c_char_p


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sick = self.path == "/health" and (SICK or os.path.exists("/srv/sick"))
        body = f"service {VERSION}\nlibrary {library.hostler_made_version().decode()}\n".encode()
        self.send_response(503 if sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8042), Answer).serve_forever()
