"""
AcsyllaDriver: statements over acsylla, on the loop that calls.

Rules that live here:

* Async calls run natively on the caller's loop, with a session of that loop; see ``sessions`` for a session given.
* The sync face is a bridge: its calls run on a loop of the driver's own thread, and cost a hop each. A fan-out runs
  there as a whole.
* A forked child opens sessions of its own, as each loop does; with a session of the user's it cannot, and says so.
* Every page is fetched unless ``fetch_size`` asks for one page. A cancelled call may have been sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from acsylla.errors import CassErrorLibNoHostsAvailable

from coodie.drivers import forks
from coodie.drivers.acsylla.connecting import REQUEST_TIMEOUT, open_session
from coodie.drivers.acsylla.errors import classified
from coodie.drivers.acsylla.fanout import Fanout, awaited
from coodie.drivers.acsylla.prepared import Prepared, is_plain, plain_query
from coodie.drivers.acsylla.sessions import GivenSession, LoopSession, SessionPerLoop
from coodie.drivers.acsylla.values import convert_rows
from coodie.drivers.bridges import run_on
from coodie.drivers.outcomes import check_process, forget_refused
from coodie.drivers.pages import sealed, unsealed
from coodie.drivers.protocol import Settle, Work
from coodie.drivers.text import TextFace
from coodie.exceptions import ConfigurationError, TableRejected
from coodie.statement import Rows, Statement


class AcsyllaDriver(TextFace):
    """Sessions of acsylla: one per running loop and one of its own (``connect``), or the one given (``session=``)."""

    needs_keyspace = True
    needs_row_validation = True  # as users know it; UUIDs of tables are converted all the same

    def __init__(
        self,
        session: Any = None,
        default_keyspace: str | None = None,
        *,
        session_factory: Callable[[], Awaitable[Any]] | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        if session is None and session_factory is None:
            raise ConfigurationError("AcsyllaDriver requires hosts= or session=; nothing was opened.")
        self._factory = session_factory
        self._sessions: SessionPerLoop | GivenSession = (
            SessionPerLoop(session_factory) if session_factory else GivenSession(session)
        )
        self._default_keyspace = default_keyspace
        self._known_tables: dict[str, Any] = {}
        self._closed = False
        self._pid = os.getpid()
        self.request_timeout = request_timeout
        """Seconds after which the client gives up a statement that brings no timeout of its own."""
        forks.tell(self)

    @classmethod
    def connect(
        cls, session_factory: Callable[[], Awaitable[Any]], default_keyspace: str | None = None
    ) -> AcsyllaDriver:
        """Return a driver whose sessions come from a factory, having opened the one for the sync face. Blocks."""
        driver = cls(default_keyspace=default_keyspace, session_factory=session_factory)
        run_on(driver._sessions.loop_for_blocking(), driver._sessions.here())
        return driver

    @classmethod
    def connect_sync(cls, hosts: list[str], keyspace: str | None = None, **options: Any) -> AcsyllaDriver:
        """Connect from a sync program; ``options`` go to ``acsylla.create_cluster``. Raises ConfigurationError."""
        driver = cls._to(hosts, keyspace, options)
        try:
            run_on(driver._sessions.loop_for_blocking(), driver._sessions.here())
        except BaseException:
            driver.close()
            raise
        return driver

    @classmethod
    async def connect_async(cls, hosts: list[str], keyspace: str | None = None, **options: Any) -> AcsyllaDriver:
        """Connect on the running loop; ``options`` go to ``acsylla.create_cluster``. Raises ConfigurationError."""
        driver = cls._to(hosts, keyspace, options)
        await driver._sessions.here()
        return driver

    @classmethod
    def _to(cls, hosts: list[str], keyspace: str | None, options: dict[str, Any]) -> AcsyllaDriver:
        """Return a driver for hosts, with nothing opened yet."""

        async def session_factory() -> Any:
            return await open_session(hosts, keyspace, options)

        timeout = options.get("request_timeout", REQUEST_TIMEOUT)
        return cls(default_keyspace=keyspace, session_factory=session_factory, request_timeout=timeout)

    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any thread (not with ``session=``); blocks it."""
        self._check_usable()
        return run_on(self._sessions.loop_for_blocking(), self.submit_async(statement))

    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any event loop; never blocks it."""
        self._check_usable()
        session = self._sessions.opened() or await self._sessions.here()
        statements = session.prepared
        try:
            prepared = None if is_plain(statement) else statements.ready(statement) or await statements.get(statement)
            query = plain_query(statement) if prepared is None else prepared.binder(statement)(statement.values)
            if statement.paging_state is not None:
                query.set_page_state(unsealed(statement))
            page = await self._page(session, prepared, query, statement)
            if page.paging_state is None:
                return page
            if statement.fetch_size is not None:
                return sealed(page, statement)
            return await self._whole(page, session, prepared, query, statement)
        except TableRejected as error:
            forget_refused(self._known_tables, error, statement)
            raise

    def ask(self, statement: Statement) -> Rows:
        """
        Send one statement and return its rows, for a thread that runs no loop; blocks it.

        With ``session=`` it runs on that session's loop, as :meth:`execute_many` does; ConfigurationError where that
        does not run, or ends before the answer.
        """
        self._check_usable()
        loop = self._sessions.loop_for_many()
        return awaited(asyncio.run_coroutine_threadsafe(self.submit_async(statement), loop), loop)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Send a stream of statements, at most ``limit`` in flight; see the protocol. Settles on the session's loop."""
        self._check_usable()
        loop = self._sessions.loop_for_many()
        fanout = Fanout(work, limit, settle, self._known_tables)
        fanout.wait(asyncio.run_coroutine_threadsafe(self._fan_out(fanout), loop), loop)

    def close(self) -> None:
        """Close the sessions that are ours. From any thread; idempotent."""
        if not self._closed and self._pid == os.getpid():  # a child must not touch its parent's sockets
            self._closed = True
            self._sessions.close()

    async def close_async(self) -> None:
        """Close the sessions that are ours without blocking the loop; idempotent."""
        if not self._closed and self._pid == os.getpid():
            self._closed = True
            await self._sessions.close_async()

    def after_fork_in_child(self) -> None:
        """Leave the parent's sessions alone, and have others opened when they are needed."""
        self._sessions.abandon()
        if self._factory is not None:
            self._sessions = SessionPerLoop(self._factory)
            self._pid = os.getpid()

    async def _fan_out(self, fanout: Fanout) -> None:
        """Run a fan-out on the session of the running loop."""
        await fanout.run(await self._sessions.here())

    async def _whole(
        self, page: Rows, session: LoopSession, prepared: Prepared | None, query: Any, statement: Statement
    ) -> Rows:
        """Return the rows of a page and of all that follow it."""
        items = page.items
        while page.paging_state is not None:
            query.set_page_state(page.paging_state)
            page = await self._page(session, prepared, query, statement)
            items += page.items
        return Rows(items)

    async def _page(self, session: LoopSession, prepared: Prepared | None, query: Any, statement: Statement) -> Rows:
        """Send one request and await its page, as dicts of declared types."""
        await asyncio.sleep(0)  # so that tasks with work of their own send one right after the other: fewer packets
        try:
            result = await session.foreign.execute(query)
        except Exception as error:
            if isinstance(error, CassErrorLibNoHostsAvailable):
                await session.prepared.check(statement)
            raise classified(error, statement, strict=session.strict) from error
        rows = [row.as_dict() for row in result]
        if rows and prepared is not None:
            convert_rows(rows, prepared.readers(rows[0], statement.shape))
        return Rows(rows, result.page_state() if result.has_more_pages() else None)

    def _check_usable(self) -> None:
        """Refuse to use a connection that is closed, or a session of the user's in a forked child."""
        if self._closed:
            raise ConfigurationError("This connection is closed; nothing was sent. Call init_coodie() again.")
        if self._factory is None:
            check_process(self._pid)
        elif self._pid != os.getpid():
            self.after_fork_in_child()  # a fork that Python did not hear of
