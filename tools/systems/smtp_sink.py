#!/usr/bin/env python3
"""A real SMTP server that keeps what it is sent: STARTTLS and a login are required, and some addresses have faults.

usage: smtp_sink.py OUT TLS_DIR PORT USER PASSWORD

Each message becomes OUT/NUMBER.eml, byte for byte, with its envelope beside it in NUMBER.json; the .eml appears last and
whole. A recipient whose address begins with
  bounce    is refused for good (550);
  greylist  is refused once (450) and then taken;
  lost      is taken, and the connection drops before the answer.
"""

import json
import os
import ssl
import sys
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

out, tls, port, user, password = sys.argv[1:6]
os.makedirs(out, exist_ok=True)


class Sink:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bounce"):
            return "550 5.1.1 no such user"
        if address.startswith("greylist") and address not in self.seen:
            self.seen.add(address)
            return "450 4.2.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        name = os.path.join(out, str(time.time_ns()))
        with open(name + ".json", "w") as file:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos}, file)
        with open(name + ".part", "wb") as file:
            file.write(envelope.original_content)
        os.rename(name + ".part", name + ".eml")
        if any(to.startswith("lost") for to in envelope.rcpt_tos):
            server.transport.abort()
        return "250 2.0.0 taken"


def login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login.decode(), data.password.decode()) == (user, password))


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(os.path.join(tls, "server.crt"), os.path.join(tls, "server.key"))
Controller(
    Sink(),
    hostname="127.0.0.1",
    port=int(port),
    tls_context=context,
    require_starttls=True,
    authenticator=login,
    auth_required=True,
    auth_require_tls=True,
).start()
threading.Event().wait()
