"""The one HTTP door: every call to a provider goes through here, and every failure is classified here.

Plain sockets and httptools' C parser instead of urllib3: a call costs a third of the CPU, one deadline covers the
whole of it, however slowly the answer trickles in, and it is certain whether a failure came before the first byte
was sent. Works in threads and under gevent, with thousands of calls in flight.
"""

from providers.http.answers import Response, read_json
from providers.http.bodies import FileBody, form_with_file
from providers.http.ceilings import Ceilings, Told
from providers.http.client import HttpClient
from providers.http.files import FileClient
from providers.http.verdicts import Verdict, classify, code_among, refined, retry_after, wait_of

__all__ = [
    "Ceilings",
    "FileBody",
    "FileClient",
    "HttpClient",
    "Response",
    "Told",
    "Verdict",
    "classify",
    "code_among",
    "form_with_file",
    "read_json",
    "refined",
    "retry_after",
    "wait_of",
]
