"""A sample transformer behind one of Python's web servers, as AIStore's users write them.

Usage: python web.py SERVER TRANSFORM. SERVER is http (http.server, a thread a
connection), flask (Werkzeug, a thread a request) or fastapi (uvicorn, with
Starlette's thread pool). It listens on 127.0.0.1:$PORT, or, without a port,
transforms standard input and ends. It answers targets:
PUT and POST with the object, GET of an object that it fetches itself, both
with the path of a file in place of the bytes, in pipelines and with direct put.
"""
import hashlib
import http.client
import os
import subprocess
import sys
import threading
import time
import urllib.parse

FFMPEG = ["ffmpeg", "-v", "error", "-nostdin", "-i", "INPUT", "-map_metadata", "-1", "-fflags", "+bitexact",
          "-flags:a", "+bitexact", "-threads", "1", "-f", "wav", "pipe:1"]
DIRECT = os.environ.get("direct_put", os.environ.get("DIRECT_PUT", "")) == "true"
connections = threading.local()


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def flac_wav(data, path):
    argv = [a if a != "INPUT" else path or "pipe:0" for a in FFMPEG]
    done = subprocess.run(argv, input=b"" if path else data, capture_output=True)
    if done.returncode != 0:
        raise Refused(500, done.stderr.decode("utf-8", "replace").strip()[-1000:] or "ffmpeg failed")
    return done.stdout


def of_bytes(function):
    def transform(data, path):
        if path:
            with open(path, "rb") as file:
                data = file.read()
        return function(data)
    return transform


TRANSFORMS = {
    "echo": of_bytes(lambda data: data),
    "md5": of_bytes(lambda data: hashlib.md5(data).hexdigest().encode("ascii")),
    "flac-wav": flac_wav,
}


def exchange(method, url, body=None, headers={}):
    """One request on this thread's connection to the URL's host: status, the
    length of what was put elsewhere, body."""
    u = urllib.parse.urlsplit(url)
    if u.scheme != "http" or not u.netloc:
        raise Refused(400, "%r is not a URL" % url)
    target = u.path + ("?" + u.query if u.query else "")
    kept = connections.__dict__.setdefault("by_host", {})
    for last in (False, True):
        c = kept.pop(u.netloc, None)
        fresh = c is None
        if fresh:
            c = http.client.HTTPConnection(u.netloc, timeout=60)
        try:
            c.request(method, target, body=body, headers=headers)
            answer = c.getresponse()
            data = answer.read()
            kept[u.netloc] = c
            return answer.status, answer.headers.get("Ais-Direct-Put-Length"), data
        except (http.client.HTTPException, OSError) as error:
            c.close()  # a kept connection may have been closed meanwhile
            if fresh or last:
                raise Refused(502, "%s %s: %s" % (method, url, error))


def file_of(query):
    """The file that a target names in place of bytes; None without one."""
    name = urllib.parse.unquote(urllib.parse.parse_qs(query).get("etl_fqn", [""])[0])
    if not name:
        return None
    root = os.path.realpath(os.environ.get("ETLBENCH_FQN_ROOT") or "/nonexistent")
    real = os.path.realpath(name)
    if os.path.commonpath([root, real]) != root:
        raise Refused(403, "%s is not a file of this target" % name)
    return real


def answer(transform, method, path, query, headers, body):
    """The reply to a request: status, headers, body. path is as it was sent."""
    began = time.perf_counter()
    if path == "/health":
        return 200, {"Content-Type": "text/plain"}, b"Running"
    try:
        file = file_of(query)
        if method == "GET" and not file:
            status, _, body = exchange("GET", os.environ["AIS_TARGET_URL"] + path)
            if status != 200:
                raise Refused(status, body.decode("utf-8", "replace"))
        status, extra, result = deliver(transform(body, file), path, query, headers.get("ais-node-url", ""))
    except Refused as error:
        return error.status, {"Content-Type": "text/plain"}, str(error).encode("utf-8")
    except Exception as error:  # of this object: others go on
        return 500, {"Content-Type": "text/plain"}, str(error).encode("utf-8")
    extra["Content-Type"] = "application/octet-stream"
    if headers.get("etlbench-timing") == "1":
        extra["Server-Timing"] = "pod;dur=%.3f" % ((time.perf_counter() - began) * 1e3)
    return status, extra, result


def deliver(result, path, query, stops):
    """Sends a result on: to the pod that is next, whose answer is the answer, or
    to the target that keeps it; without either it is the answer."""
    stops = stops.replace(",", " ").split()
    first = urllib.parse.urlsplit(stops[0]) if stops else None
    to_target = stops and first.path.strip("/")
    if not stops or to_target and not DIRECT:
        return 200, {}, result
    if not to_target:
        args = urllib.parse.parse_qs(query).get("etl_args")
        url = stops[0].rstrip("/") + path + ("?" + urllib.parse.urlencode({"etl_args": args[0]}) if args else "")
        status, length, data = exchange("PUT", url, result, {"Ais-Node-Url": ",".join(stops[1:])} if stops[1:] else {})
        if status not in (200, 204):
            raise Refused(status, data.decode("utf-8", "replace"))
        return status, {"Ais-Direct-Put-Length": length} if length else {}, data
    # The other target serves only paths with the secret that this one's has.
    secret = urllib.parse.urlsplit(os.environ["AIS_TARGET_URL"]).path
    status, _, data = exchange("PUT", urllib.parse.urlunsplit(first._replace(path=secret + first.path)), result)
    if status != 200:
        raise Refused(status, data.decode("utf-8", "replace"))
    return 204, {"Ais-Direct-Put-Length": str(len(result))}, b""


def serve_http(transform, port):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet
        disable_nagle_algorithm = True

        def reply(self):
            length = self.headers.get("Content-Length")
            if length is None and "Transfer-Encoding" in self.headers:
                self.close_connection = True
                return self.send_error(411)
            body = self.rfile.read(int(length or 0))
            path, _, query = self.path.partition("?")
            headers = {k.lower(): v for k, v in self.headers.items()}
            status, extra, result = answer(transform, self.command, path, query, headers, body)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(result)))
            self.end_headers()
            self.wfile.write(result)

        do_GET = do_PUT = do_POST = reply

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    Server(("127.0.0.1", port), Handler).serve_forever()


def serve_flask(transform, port):
    import logging
    from flask import Flask, Response, request
    from werkzeug.serving import WSGIRequestHandler

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app = Flask("transformer")

    @app.route("/", defaults={"_": ""}, methods=["GET", "PUT", "POST"])
    @app.route("/<path:_>", methods=["GET", "PUT", "POST"])
    def any_path(_):
        path = request.environ["REQUEST_URI"].partition("?")[0]
        headers = {k.lower(): v for k, v in request.headers.items()}
        status, extra, result = answer(transform, request.method, path, request.query_string.decode("ascii"), headers, request.get_data())
        return Response(result, status, extra)

    app.run("127.0.0.1", port, threaded=True)


def serve_fastapi(transform, port):
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.concurrency import run_in_threadpool

    app = FastAPI()

    @app.api_route("/{_:path}", methods=["GET", "PUT", "POST"])
    async def any_path(request: Request):
        path = request.scope["raw_path"].decode("ascii").partition("?")[0]
        body = await request.body()
        status, extra, result = await run_in_threadpool(answer, transform, request.method, path, request.scope["query_string"].decode("ascii"), dict(request.headers), body)
        return Response(result, status, extra)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__" and "PORT" not in os.environ:  # io://: a process an object
    sys.stdout.buffer.write(TRANSFORMS[sys.argv[2]](sys.stdin.buffer.read(), None))
elif __name__ == "__main__":
    {"http": serve_http, "flask": serve_flask, "fastapi": serve_fastapi}[sys.argv[1]](TRANSFORMS[sys.argv[2]], int(os.environ["PORT"]))
