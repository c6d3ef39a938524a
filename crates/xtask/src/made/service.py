#!/usr/bin/python3
"""The service of the made packages: says over HTTP which version of itself and of the library it runs.

/        two lines, "service VERSION" and "library VERSION"
/well    200, or 503: from a version that is sick, and while there is a file /srv/sick
/health  the same, for a load balancer: also 503 while there is a file /srv/drained
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
        sick = SICK or os.path.exists("/srv/sick")
        drained = self.path == "/health" and os.path.exists("/srv/drained")
        refused = self.path != "/" and (sick or drained)
        body = f"service {VERSION}\nlibrary {library.hostler_made_version().decode()}\n".encode()
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8042), Answer).serve_forever()
