"""The FTP servers that ours is measured beside, and how each is started on a folder.

pyftpdlib  a Python server on one thread, files by sendfile(2)
vsftpd     a C server, a process a session; needs root
Each serves `FOLDER/pub`, where files may be stored, on 127.0.0.1.
"""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

OURS = "lab7"
PEERS = ("pyftpdlib", "vsftpd")

_PYFTPDLIB = """
import logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
logging.disable(logging.CRITICAL)
authorizer = DummyAuthorizer()
authorizer.add_anonymous(sys.argv[2], perm="elradfmwMT", msg_login="", msg_quit="")
FTPHandler.authorizer = authorizer
server = FTPServer(("127.0.0.1", int(sys.argv[1])), FTPHandler)
server.max_cons = server.max_cons_per_ip = 1000
server.serve_forever()
"""

_VSFTPD = """
listen=YES
background=NO
listen_address=127.0.0.1
listen_port={port}
anonymous_enable=YES
no_anon_password=YES
anon_root={root}
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
write_enable=YES
anon_umask=022
secure_chroot_dir={root}/empty
seccomp_sandbox=NO
xferlog_enable=NO
max_clients=1000
max_per_ip=1000
"""


def is_here(name: str) -> bool:
    """Tell whether a peer can be run on this machine."""
    if name == "vsftpd":
        return os.geteuid() == 0 and shutil.which("vsftpd") is not None
    return find_spec("pyftpdlib") is not None


def command(name: str, port: int, folder: Path) -> list[str]:
    """Return the command line that serves a folder."""
    if name == OURS:
        flags = ["--root", str(folder), "--user", "anonymous:x", "--listen", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-m", "lab7.services.ftp.server", *flags]
    if name == "vsftpd":
        settings = folder / "vsftpd.conf"
        settings.write_text(_VSFTPD.format(port=port, root=folder))
        return ["vsftpd", str(settings)]
    return [sys.executable, "-c", _PYFTPDLIB, str(port), str(folder)]
