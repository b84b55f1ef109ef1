"""Signed requests: the scheme that Aliyun, Tencent Cloud and AWS share, and where they differ.

A request is brought into one canonical form; its digest, with the time and a scope, is signed by
HMAC-SHA256 under the account's secret.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import reduce

from duewise.channels.post import Request


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What an account signs with."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scheme:
    """One vendor's words for it: the algorithm's name, and what stands before the secret."""

    algorithm: str
    prefix: str = ""
    separator: str = ", "

    def authorization(
        self,
        request: Request,
        *,
        path: str,
        key: AccessKey,
        at: str = "",
        scope: tuple[str, ...] = (),
    ) -> str:
        """The header `Authorization` of a POST; all the headers of `request` are signed.

        `at` is the time and `scope` date, region and service, as the vendor writes them; each part
        of the scope makes a narrower key (AWS, "Create a signed API request", step 4).
        """
        stated = canonical(request, path=path)
        digest = hashlib.sha256(stated.encode()).hexdigest()
        lines = (self.algorithm, at, "/".join(scope), digest)
        text = "\n".join(filter(None, lines))
        narrow = reduce(_hmac, scope, f"{self.prefix}{key.secret}".encode())
        said = (
            f"Credential={'/'.join((key.key_id, *scope))}",
            f"SignedHeaders={';'.join(sorted(request.headers))}",
            f"Signature={_hmac(narrow, text).hex()}",
        )
        return f"{self.algorithm} {self.separator.join(said)}"


def canonical(request: Request, *, path: str) -> str:
    """A POST in the form that is signed. Names of headers are in lower case, `query` is canonical.

    >>> request = Request(query="a=1", headers={"host": "sms.example.com"})
    >>> canonical(request, path="/").splitlines()[:5]
    ['POST', '/', 'a=1', 'host:sms.example.com', '']
    """
    names = sorted(request.headers)
    lines = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    digest = hashlib.sha256(request.body).hexdigest()
    return "\n".join(("POST", path, request.query, lines, ";".join(names), digest))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
