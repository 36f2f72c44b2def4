"""nginx twice: as the upstream of every scenario, which is also the first one, and as a plain proxy before it."""

from pathlib import Path

from bench.processes import Process, free_port, program
from bench.scenario import BODY, PATH, Scenario
from bench.wrk import Target

__all__ = ["GUARDED", "KEY", "PERSONAL", "PRIVATE", "Direct", "NginxProxy"]

KEY = "bench" + "-key-0123456789abcdef"
"""The credential that GUARDED demands in x-api-key."""
GUARDED = "/guarded"
PRIVATE = "/private"
PERSONAL = ("ada.lovelace" + "@example.com", "4111" + "111111111111")
"""What a mask must take out of the answer to PRIVATE: an address, and a card number that is reserved for tests."""

CONFIGURATION = """\
daemon off;
worker_processes 1;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{http}
}}
"""

UPSTREAM = f"""\
  server {{{{
    listen 127.0.0.1:{{port}};
    default_type application/json;
    location = {PATH} {{{{ return 200 '{BODY.decode().replace("{", "{{").replace("}", "}}")}'; }}}}
    location = {PRIVATE} {{{{ return 200 '{{{{"email":"{PERSONAL[0]}","card":"{PERSONAL[1]}"}}}}'; }}}}
    location = {GUARDED} {{{{
      if ($http_x_api_key != "{KEY}") {{{{ return 401; }}}}
      return 200 '{{{{}}}}';
    }}}}
  }}}}
"""

PROXY = """\
  upstream origin {{
    server 127.0.0.1:{upstream_port};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
"""


def _start(folder: Path, http: str, port: int) -> Process:
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, http=http))
    command = [program("nginx", "nginx-light"), "-p", str(folder), "-e", f"{folder}/error.log", "-c"]
    process = Process([*command, str(configuration)], folder / "output.log")
    try:
        process.await_port(port)
    except BaseException:
        process.stop()
        raise
    return process


class Direct(Scenario):
    """Serves the answer itself, with one worker; its CPU is the upstream's own."""

    name = "http.direct"

    def __init__(self) -> None:
        self._process: Process | None = None

    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts the upstream; every other scenario needs it."""
        self._process = _start(folder, UPSTREAM.format(port=upstream_port), upstream_port)
        return Target(f"http://127.0.0.1:{upstream_port}{PATH}", [self._process.pid], {})

    def stop(self) -> None:
        """Ends the upstream."""
        if self._process is not None:
            self._process.stop()


class NginxProxy(Scenario):
    """Forwards with one worker and kept connections."""

    name = "http.nginx"
    ratio_to = "http.direct"

    def __init__(self) -> None:
        self._process: Process | None = None

    def start(self, folder: Path, upstream_port: int) -> Target:
        """Starts the proxy."""
        port = free_port()
        self._process = _start(folder, PROXY.format(port=port, upstream_port=upstream_port), port)
        return Target(f"http://127.0.0.1:{port}{PATH}", [self._process.pid], {})

    def stop(self) -> None:
        """Ends the proxy."""
        if self._process is not None:
            self._process.stop()
