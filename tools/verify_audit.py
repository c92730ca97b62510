#!/usr/bin/env python3
"""Verifies the audit log of Tripline, offline, with nothing but Python 3.11 and its standard library.

    verify_audit.py [--key KEY]... [--origin NAME] [--anchor FILE]... [--json] PATH...

PATH is the folder of an export, or an SQLite database (read only; it needs --key). KEY is the public key of
the log, `name+id+key`, or a file that holds it. An anchor is a file with a signed head that left the machine:
from the footer of a digest, from a witness. Without --key the export's own keys are used: compare the
fingerprint that is printed with one that you have from elsewhere.

Exit code: 0 intact, 1 broken, 3 unproven, 2 the question or a file makes no sense.

This program shares no code with the daemon. Formats: RFC 6962 (tree), RFC 8032 (Ed25519), C2SP signed-note and
tlog-checkpoint. What each fault means, and what its number says, stands in FAULTS.
"""

import argparse
import base64
import collections
import datetime
import decimal
import hashlib
import json
import pathlib
import re
import sqlite3
import sys

FAULTS = {
    "malformed": "a line or a file is not written as it should be; at the line",
    "key": "a key in an export is none, or not of this log; at its number in the list",
    "checkpoint": "a head is no checkpoint, or is kept under another size; at its number in the list",
    "signature": "no key that is trusted signed the head, or not this text; at the head's size",
    "origin": "the head of another log; at its size",
    "order": "the heads do not grow; at the size of the one that is out of order",
    "fork": "two signed heads of one size differ; at their size",
    "gap": "a leaf is missing, doubled or out of order; at the number that was expected",
    "leaf_hash": "a leaf's bytes do not have the hash that is recorded; at the leaf",
    "label": "what stands beside a leaf is not what the leaf says; at the leaf",
    "stored_hash": "a hash inside the tree is not that of the leaves below it; at its index",
    "head": "there are more or fewer leaves than the log says; at the number found",
    "root": "the leaves are not those that were signed; at the size of the first head that does not fit",
    "rollback": "a head was signed that is longer than the log; at the head's size",
    "register": "a row of the register is not what its leaf says; at the leaf",
    "consistency": "a head is not shown to continue the one before; at the later head's size",
}
MAX_PROBLEMS = 1000
MAX_SIZE = 1 << 48
EXIT = {"intact": 0, "broken": 1, "unproven": 3}


# ---- Ed25519, RFC 8032 section 5.1 ------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def recover_x(y, odd):
    """The x of a point with this y and parity, or None where there is no such point."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if square == 0:
        return None if odd else 0
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if x * x % P != square:
        return None
    return P - x if x & 1 != odd else x


def decompress(data):
    number = int.from_bytes(data, "little")
    y = number & (2**255 - 1)
    x = recover_x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def compress(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = NEUTRAL
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


BASE_Y = 4 * pow(5, -1, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def signed_by(key, message, signature):
    """Whether this is the Ed25519 signature of the message under the 32 bytes of a public key."""
    point = decompress(key)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    minus = (P - point[0], point[1], 1, P - point[3])
    return compress(add(multiply(scalar, BASE), multiply(challenge, minus))) == signature[:32]


# ---- signed notes and checkpoints, C2SP ------------------------------------------------------------


class Malformed(Exception):
    pass


def decode64(text):
    """Base64 in the one way in which it can be written."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed from None
    if base64.b64encode(data).decode() != text:
        raise Malformed
    return data


def is_name(text):
    return text != "" and "+" not in text and not any(c.isspace() for c in text)


class Key:
    """A public key, `name+id+key`."""

    def __init__(self, text):
        self.text = text
        self.name, _, rest = text.partition("+")
        identity, _, key = rest.partition("+")
        data = decode64(key)
        wanted = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        if not is_name(self.name) or identity != wanted.hex() or len(data) != 33 or data[0] != 1:
            raise Malformed
        self.id, self.key = wanted, data[1:]
        if decompress(self.key) is None:
            raise Malformed
        self.fingerprint = hashlib.sha256(self.key).hexdigest()


class Head:
    """A checkpoint: what it says, and who signed it. Reading it checks nothing but its form."""

    def __init__(self, note):
        if len(note.encode()) > 1_000_000 or any(c < " " and c != "\n" for c in note):
            raise Malformed
        body, separator, signatures = note.rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise Malformed
        self.text = body + "\n"
        self.signatures = [self.signature(line) for line in signatures[:-1].split("\n")]
        if len(self.signatures) > 100:
            raise Malformed
        lines = body.split("\n")
        if len(lines) < 3 or not all(lines) or not re.fullmatch("0|[1-9][0-9]*", lines[1], re.ASCII):
            raise Malformed
        self.origin, self.size, self.root = lines[0], int(lines[1]), decode64(lines[2])
        if self.size >= 2**64 or len(self.root) != 32:
            raise Malformed

    @staticmethod
    def signature(line):
        if not line.startswith("\u2014 "):
            raise Malformed
        name, _, data = line[2:].partition(" ")
        data = decode64(data)
        if not is_name(name) or len(data) < 5:
            raise Malformed
        return name, data[:4], data[4:]

    def signers(self, keys):
        """The names of the keys that signed it, or None when one of them signed something else."""
        known = {(key.name, key.id): key for key in keys}
        names = []
        for name, identity, signature in self.signatures:
            key = known.pop((name, identity), None)
            if key is not None:
                if not signed_by(key.key, self.text.encode(), signature):
                    return None
                names.append(name)
        return names


# ---- the tree, RFC 6962 ----------------------------------------------------------------------------


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Edge:
    """The roots of the complete subtrees that the leaves so far make, from left to right."""

    def __init__(self, size, hashes):
        if size > MAX_SIZE or len(hashes) != size.bit_count():
            raise Malformed
        self.size, self.hashes = size, list(hashes)

    def append(self, new):
        """Adds a leaf's hash; gives it and those of the subtrees that it completes."""
        made, carry = [new], self.size
        while carry & 1:
            new = node_hash(self.hashes.pop(), new)
            made.append(new)
            carry >>= 1
        self.hashes.append(new)
        self.size += 1
        return made

    def root(self):
        if not self.hashes:
            return hashlib.sha256(b"").digest()
        *left, root = self.hashes
        for one in reversed(left):
            root = node_hash(one, root)
        return root


def continues(proof, old, new):
    """RFC 9162 section 2.1.4.2: whether the tree `new` begins with the tree `old`; both are (size, root)."""
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size == 0:
        return not proof and old_root == hashlib.sha256(b"").digest()
    if old_size == new_size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    one, last = old_size - 1, new_size - 1
    while one & 1:
        one, last = one >> 1, last >> 1
    first = second = path[0]
    for part in path[1:]:
        if last == 0:
            return False
        if one & 1 or one == last:
            first, second = node_hash(part, first), node_hash(part, second)
            while one and not one & 1:
                one, last = one >> 1, last >> 1
        else:
            second = node_hash(second, part)
        one, last = one >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


# ---- the verifier ----------------------------------------------------------------------------------

Trust = collections.namedtuple("Trust", "keys origin anchors")


class Verifier:
    def __init__(self, trust, edge=None, keys=(), notes=(), complete=True, sizes=()):
        self.keys = list(trust.keys or keys)
        self.keys_given = bool(trust.keys)
        self.origin, self.complete = trust.origin, complete
        self.edge = edge or Edge(0, [])
        self.first = self.next = self.edge.size
        self.whole, self.root_failed, self.hash_failed, self.compares = True, False, False, False
        self.listed, self.heads = [], {}
        self.expected, self.index = collections.deque(), 0
        self.signed, self.problems = None, []
        for number, note in enumerate(notes):
            head = self.head(number, note)
            if head is not None:
                if sizes and sizes[number] != head.size:
                    self.problem("checkpoint", number, f"head number {number} is kept under another size")
                self.list(head)
        for number, note in enumerate(trust.anchors, len(notes)):
            head = self.head(number, note)
            if head is not None:
                self.agrees(head)
        self.meet()

    def problem(self, fault, at, what):
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append({"fault": fault, "at": at, "what": what})

    def head(self, number, note):
        try:
            head = Head(note)
        except Malformed:
            self.problem("checkpoint", number, f"head number {number} is no checkpoint")
            return None
        names = head.signers(self.keys)
        if not names:
            self.problem("signature", head.size, f"no trusted key signed the head of size {head.size} as it stands")
        elif head.origin not in names or self.origin not in (None, head.origin):
            self.problem("origin", head.size, f"the head of size {head.size} is of the log `{head.origin}`")
        else:
            return head
        return None

    def agrees(self, head):
        same = self.heads.setdefault(head.size, head.root) == head.root
        if not same:
            self.problem("fork", head.size, f"two heads of size {head.size} were signed over different leaves")
        return same

    def list(self, head):
        if not self.agrees(head):
            return
        if self.listed and head.size <= self.listed[-1][0]:
            self.problem("order", head.size, f"the head of size {head.size} comes after that of size {self.listed[-1][0]}")
        else:
            self.listed.append((head.size, head.root))

    def meet(self):
        signed = self.heads.get(self.edge.size)
        if signed is None or self.root_failed:
            return
        if self.edge.root() == signed:
            self.signed = self.edge.size
            return
        self.root_failed = True
        since = self.first if self.signed is None else self.signed
        self.problem("root", self.edge.size, f"leaves {since} to {self.edge.size - 1} are not those that were signed")

    def leaf(self, seq, leaf, recorded=None):
        if seq != self.next:
            self.problem("gap", self.next, f"leaf {self.next} should come, and leaf {seq} does")
            self.whole = False
        self.next = seq + 1
        found = leaf_hash(leaf)
        if recorded not in (None, found):
            self.problem("leaf_hash", seq, f"leaf {seq} does not have the recorded hash")
        if self.whole:
            for level, made in enumerate(self.edge.append(found)):
                self.expected.append((self.index, made, seq if level == 0 else None))
                self.index += 1
            self.meet()

    def label(self, seq, leaf, kind, at):
        try:
            says = json.loads(leaf)
            same = says["kind"] == kind and instant(says["at"]) == instant(at)
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            self.problem("label", seq, f"leaf {seq} does not say that it is a `{kind}` of {at}")

    def stored(self, index, found):
        self.compares = True
        wanted = self.expected.popleft() if self.expected else None
        if (wanted is not None and wanted[:2] == (index, found)) or not self.whole or self.hash_failed:
            return
        if wanted is None or wanted[0] != index:
            self.uneven(index if wanted is None else min(index, wanted[0]))
            return
        self.hash_failed = True
        if wanted[2] is None:
            self.problem("stored_hash", index, f"the stored hash {index} is not that of the leaves below it")
        else:
            self.problem("leaf_hash", wanted[2], f"leaf {wanted[2]} does not have the recorded hash")

    def uneven(self, index):
        self.hash_failed = True
        self.problem("stored_hash", index, f"stored hashes and leaves do not go together from the hash {index} on")

    def consistency(self, steps):
        pairs = list(zip(self.listed, self.listed[1:]))
        for place, (old, new) in enumerate(pairs):
            if place >= len(steps) or (steps[place]["old"], steps[place]["new"]) != (old[0], new[0]):
                self.problem("consistency", new[0], f"nothing shows that the head of size {new[0]} continues that of size {old[0]}")
                return
            if not continues([bytes.fromhex(h) for h in steps[place]["proof"]], old, new):
                self.problem("consistency", new[0], f"the head of size {new[0]} does not continue that of size {old[0]}")
        if len(steps) > len(pairs):
            new = steps[len(pairs)]["new"]
            self.problem("consistency", new, f"a proof leads to size {new}, of which there is no head")

    def finish(self, size):
        if self.next != size:
            self.problem("head", self.next, f"the log says it has {size} leaves, and ends after {self.next}")
        if self.expected and self.compares and not self.hash_failed:
            self.uneven(self.expected[0][0])
        listed = [size for size, _ in self.listed]
        beyond = [s for s in (sorted(self.heads) if self.complete else listed) if s > self.next]
        if beyond:
            self.problem("rollback", beyond[0], f"a head of size {beyond[0]} was signed, and only {self.next} leaves are left")
        outside = [s for s in self.heads if not self.first <= s <= self.next and s not in listed]
        proved = self.signed is not None and not outside
        return {
            "verdict": "broken" if self.problems else "intact" if proved else "unproven",
            "first": self.first,
            "size": self.next,
            "root": self.edge.root().hex() if self.whole else None,
            "signed": self.first if self.signed is None else self.signed,
            "checkpoints": len(self.heads),
            "unchecked": len(outside),
            "keys_given": self.keys_given,
            "fingerprints": [key.fingerprint for key in self.keys],
            "problems": self.problems,
        }


def instant(text):
    parsed = datetime.datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)


# ---- exports ---------------------------------------------------------------------------------------


def number(bits):
    return lambda value: type(value) is int and 0 <= value < 1 << bits


def text(value):
    return type(value) is str


def sha(value):
    return text(value) and re.fullmatch("[0-9a-f]{64}", value) is not None


def many(check):
    return lambda value: type(value) is list and all(map(check, value))


def record(fields):
    return lambda value: type(value) is dict and list(value) == list(fields) and all(c(value[k]) for k, c in fields.items())


KEY_LINE = record({"key": text, "fingerprint": sha})
HEADER = record(
    {
        "format": text,
        "v": number(32),
        "origin": text,
        "first": number(64),
        "size": number(64),
        "edge": many(sha),
        "keys": many(KEY_LINE),
    }
)
LEAF = record({"seq": number(64), "hash": sha, "leaf": text})
NOTE = record({"note": text})
STEP = record({"old": number(64), "new": number(64), "proof": many(sha)})


def lines(path, check):
    """Each line with its number from 1; None for one that is not written in the one way it can be."""
    with open(path, "rb") as file:
        for place, line in enumerate(file, 1):
            try:
                value = json.loads(line)
                again = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
                yield place, value if again == line and check(value) else None
            except (ValueError, RecursionError):
                yield place, None


def good(path, check, wrong):
    values = []
    for place, value in lines(path, check):
        if value is None:
            wrong.append((path.name, place))
        else:
            values.append(value)
    return values


def export_key(line, origin):
    try:
        key = Key(line["key"])
    except Malformed:
        return None
    return key if key.name == origin and key.fingerprint == line["fingerprint"] else None


def verify_export(folder, trust):
    wrong = []
    header = good(folder / "export.json", HEADER, wrong)
    try:
        if len(header) != 1 or wrong:
            raise Malformed
        header = header[0]
        edge = Edge(header["first"], [bytes.fromhex(h) for h in header["edge"]])
        sound = header["format"] == "tripline-audit-export" and header["v"] == 1
        if not sound or header["first"] > header["size"]:
            raise Malformed
    except Malformed:
        verifier = Verifier(trust._replace(anchors=[]))
        verifier.problem("malformed", 1, "`export.json` is not that of an export")
        return verifier.finish(0)
    keys = [export_key(line, header["origin"]) for line in header["keys"]]
    if trust.origin is None:
        trust = trust._replace(origin=header["origin"])
    notes = good(folder / "checkpoints.ndjson", NOTE, wrong)
    steps = good(folder / "consistency.ndjson", STEP, wrong)
    verifier = Verifier(trust, edge, [k for k in keys if k], [line["note"] for line in notes], complete=False)
    for place, key in enumerate(keys):
        if key is None:
            verifier.problem("key", place, f"key number {place} is none of this log")
    for name, place in wrong:
        verifier.problem("malformed", place, f"`{name}`, line {place}, is not as it was written")
    verifier.consistency(steps)
    for place, line in lines(folder / "leaves.ndjson", LEAF):
        if line is None:
            verifier.problem("malformed", place, f"`leaves.ndjson`, line {place}, is not as it was written")
        else:
            verifier.leaf(line["seq"], line["leaf"].encode(), bytes.fromhex(line["hash"]))
    return verifier.finish(header["size"])


# ---- databases -------------------------------------------------------------------------------------


def verify_database(path, trust):
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        heads = database.execute("select size, note from audit_checkpoint order by size").fetchall()
        verifier = Verifier(trust, notes=[note for _, note in heads], sizes=[size for size, _ in heads])
        register = Register(database)
        for seq, kind, at, leaf in database.execute("select seq, kind, at, bytes from audit_leaf order by seq"):
            verifier.leaf(seq, leaf)
            verifier.label(seq, leaf, kind, at)
            register.take(seq, kind, leaf)
        for index, found in database.execute("select stored_index, hash from audit_hash order by stored_index"):
            verifier.stored(index, found)
        register.compare(verifier)
        (size,) = database.execute("select size from audit_head where id = 1").fetchone()
        return verifier.finish(size)
    finally:
        database.close()


# ---- the register ----------------------------------------------------------------------------------


def number_text(value):
    """A number as RFC 8785 writes it."""
    if isinstance(value, int):
        return str(value)
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    if 1e-7 < abs(value) < 1e21:
        return format(decimal.Decimal(repr(value)), "f")
    digits, power = repr(value).split("e")
    return f"{digits.removesuffix('.0')}e{int(power):+d}"


def canonical(value):
    """Canonical JSON (RFC 8785)."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"


def digest(value):
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def terms_of(record):
    return digest(record["frozen"]["terms"]) if record["frozen"] else None


def differs(fact, record):
    """What the newest revision says otherwise than the newest leaf about it."""
    frozen, terms = record["frozen"], terms_of(record)
    if fact["revision"] != record["revision"]:
        return "its revision"
    if fact["after"] != record["state"]:
        return "where it stands"
    if fact["terms"] != terms or (frozen and frozen["digest"] != terms):
        return "its terms"
    if frozen and digest(frozen["rules"]) != frozen["terms"]["policy"]["rules"]:
        return "the limits of its policy"
    if fact.get("times", record["times"]) != record["times"]:
        return "when it begins and ends"
    if "decisions" in fact and fact["decisions"] != digest(record["decisions"]):
        return "what people decided"
    return None


class Register:
    """The rows about exceptions, held against their leaves."""

    def __init__(self, database):
        self.database, self.leaves = database, {}

    def take(self, seq, kind, leaf):
        try:
            fact = json.loads(leaf) if kind == "exception" else {}
        except ValueError:
            return
        if fact.get("kind") == "exception":
            self.leaves.setdefault(fact["exception"], []).append((seq, fact))

    def salt(self, name):
        found = self.database.execute("select salt from salt where name = ?", (name,)).fetchone()
        return found[0] if found else None

    def blinded(self, name, text):
        salt = self.salt(name)
        return None if salt is None else hashlib.sha256(salt + text.encode()).hexdigest()

    def compare(self, verifier):
        kept = {name for (name,) in self.database.execute("select distinct id from exception")}
        for name in sorted(kept | set(self.leaves)):
            leaves = self.leaves.get(name, [])
            last = leaves[-1][0] if leaves else 0
            try:
                for seq, what in self.differences(name, leaves, last):
                    verifier.problem("register", seq, what)
            except (ValueError, KeyError, TypeError) as error:
                verifier.problem("register", last, f"{name} cannot be read: {error!r}")

    def differences(self, name, leaves, last):
        sql = "select body from exception where id = ? order by revision"
        records = [json.loads(body) for (body,) in self.database.execute(sql, (name,))]
        sql = "select at, actor, act, state_before, state_after, reason from exception_event where exception = ? order by revision, number"
        events = self.database.execute(sql, (name,)).fetchall()
        if len(events) != len(leaves):
            yield last, f"the register has {len(events)} acts on {name}, and the log {len(leaves)}"
        for (at, actor, act, before, after, reason), (seq, fact) in zip(events, leaves):
            wrong = []
            if (act, before, after) != (fact["act"], fact["before"], fact["after"]):
                wrong.append("what was done")
            if instant(at) != instant(fact["at"]):
                wrong.append("the instant")
            if fact["actor"] != (actor if actor == "machine" else self.blinded(actor, actor)):
                wrong.append("the actor")
            said = None if reason is None else self.blinded(name, reason)
            if (said is None) != (reason is None) or said != fact["because"]:
                wrong.append("the reason")
            for what in wrong:
                yield seq, f"{what} of `{fact['act']}` on {name} is not what leaf {seq} says"
        for record in records:
            terms, of_it = terms_of(record), [l for l in leaves if l[1]["revision"] == record["revision"]]
            for seq, _ in [l for l in of_it if l[1]["terms"] != terms][:1]:
                yield seq, f"the terms of revision {record['revision']} of {name} are not those of leaf {seq}"
        decided = records[-1]["decisions"] if records else []
        until = [digest(decided[:n]) for n in range(len(decided) + 1)]
        each, known = [digest(one) for one in decided], 0
        for seq, fact in leaves:
            place = until.index(fact["decisions"], known) if fact.get("decisions") in until[known:] else None
            if ("decisions" in fact and place is None) or fact["decision"] not in (None, *each):
                yield seq, f"what people decided of {name} is not what leaf {seq} says"
                break
            known = known if place is None else place
        if records and leaves:
            seq, fact = leaves[-1]
            what = differs(fact, records[-1])
            if what:
                yield seq, f"{what} of {name} is not what leaf {seq} says"
        elif leaves:
            yield last, f"{name} is not in the register any more"
        elif records:
            yield last, f"the log does not know {name}"


# ---- the command -----------------------------------------------------------------------------------


def read_key(value):
    path = pathlib.Path(value)
    return Key((path.read_text() if path.is_file() else value).strip())


def show(path, report):
    print(f"{path}: {report['verdict']}")
    print(f"  leaves {report['first']} to {report['size'] - 1}, root {report['root']}")
    print(f"  {report['checkpoints']} signed heads hold up to leaf {report['signed'] - 1}")
    if report["size"] > report["signed"]:
        print(f"  the last {report['size'] - report['signed']} leaves are signed by no head yet and could still be rewritten")
    if report["unchecked"]:
        print(f"  {report['unchecked']} of the anchors lie outside of it and prove nothing here")
    for fingerprint in report["fingerprints"]:
        source = "given" if report["keys_given"] else "its own: compare with one that you have from elsewhere"
        print(f"  key {fingerprint} ({source})")
    for problem in report["problems"]:
        print(f"  {problem['fault']} at {problem['at']}: {problem['what']}")


def main():
    parser = argparse.ArgumentParser(description="Verifies the audit log of Tripline, offline.")
    parser.add_argument("--key", action="append", default=[], help="public key of the log, `name+id+key`, or a file with it")
    parser.add_argument("--origin", help="name of the log")
    parser.add_argument("--anchor", action="append", default=[], help="file with a signed head from elsewhere")
    parser.add_argument("--json", action="store_true", help="one report per path, as JSON")
    parser.add_argument("path", nargs="+", type=pathlib.Path, help="folder of an export, or SQLite database")
    asked = parser.parse_args()
    worst = 0
    try:
        keys = [read_key(value) for value in asked.key]
        anchors = [pathlib.Path(name).read_bytes().decode() for name in asked.anchor]
        trust = Trust(keys, asked.origin, anchors)
        for path in asked.path:
            if path.is_dir():
                report = verify_export(path, trust)
            elif keys:
                report = verify_database(path, trust)
            else:
                parser.error("a database does not say which key to believe: give --key")
            if asked.json:
                print(json.dumps(report))
            else:
                show(path, report)
            code = EXIT[report["verdict"]]
            worst = max(worst, code, key=[0, 3, 1].index)
    except Malformed:
        parser.error("that is no public key of a log")
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        parser.error(str(error))
    sys.exit(worst)


if __name__ == "__main__":
    main()
