"""A small campus: names, a department's cache, and mail from one user to another."""

from __future__ import annotations

import shlex

from lab7.topologies.campus import CACHE_PORT, PASSWORD, CampusTopo
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import eventually


def test_a_department_uses_its_cache_and_users_send_mail() -> None:
    with Testbed(CampusTopo(hosts=13, departments=1, delay="2ms"), links="wire") as bed:

        def answer(user: str, command: str) -> str:
            done = bed.host(user).run(shlex.split(command))
            assert done.returncode == 0, done.stderr
            return done.stdout.decode()

        fetch = f"curl -sS -i -x http://cache1.campus.edu:{CACHE_PORT} http://www.example.com/"
        assert "Cache-Status: cache1; fwd=uri-miss" in answer("u1-1", fetch)
        assert "Cache-Status: cache1; hit" in answer("u1-2", fetch)
        envelope = "--mail-from u1-1@campus.edu --mail-rcpt u1-2@campus.edu -T /etc/hosts"
        answer("u1-1", f"curl -sS smtp://u1-1:{PASSWORD}@mail.campus.edu:587 {envelope}")
        count = f"curl -sS imap://u1-2:{PASSWORD}@mail.campus.edu/ -X 'STATUS INBOX (MESSAGES)'"
        assert eventually(lambda: "(MESSAGES 1)" in answer("u1-2", count))
