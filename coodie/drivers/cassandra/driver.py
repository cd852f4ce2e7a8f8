"""
CassandraDriver: statements over cassandra-driver or scylla-driver, natively on both faces.

Rules that live here:

* An async call costs no thread: the client's callback wakes the caller's loop. Only preparing, once per text, is handed
  to a thread of the loop's pool.
* Every page is fetched unless ``fetch_size`` asks for one page; each page is a request of its own, since the client
  sets no timeout for the pages that it follows by itself.
* A session that the user opened is used with the user's profile and stays open on ``close``.
* A forked child opens a session of its own at its first use, with the same options; with a session of the user's it
  cannot, and says so.
* Never called from the client's event-loop thread, on which answers arrive.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from cassandra.cluster import ResultSet
from cassandra.query import SimpleStatement

from coodie.drivers import forks
from coodie.drivers.batches import Parcel
from coodie.drivers.cassandra.connecting import is_surely_cassandra, open_session, request_timeout_of
from coodie.drivers.cassandra.errors import classified, not_sent, refused_text
from coodie.drivers.cassandra.fanout import Fanout, Sender
from coodie.drivers.cassandra.forking import abandon
from coodie.drivers.cassandra.prepared import NEVER_RESEND, Prepared, PreparedStatements, instructions
from coodie.drivers.cassandra.values import convert_rows, readers_of
from coodie.drivers.outcomes import check_process, forget_refused, outcome_of
from coodie.drivers.pages import sealed, unsealed
from coodie.drivers.protocol import Settle, Work
from coodie.drivers.refusals import placeholders
from coodie.drivers.text import TextFace
from coodie.exceptions import ConfigurationError, CoodieError, DriverError
from coodie.statement import SCHEMA_SHAPES, Raw, Rows, Statement

_log = logging.getLogger("coodie")


class CassandraDriver(TextFace):
    """A session of cassandra-driver or scylla-driver. Every method from any thread; the async ones from any loop."""

    needs_keyspace = True

    def __init__(self, session: Any, default_keyspace: str | None = None) -> None:
        self._session = session
        self._default_keyspace = default_keyspace
        self._known_tables: dict[str, Any] = {}
        self._opening: Callable[[], tuple[Any, Any]] | None = None  # None: the session is the user's
        self._closed = False
        self._retrying: Any = None  # None: the policy of the user's profile
        self._pid = os.getpid()
        self._lock = forks.OpeningLock()
        self._strict = not is_surely_cassandra(session)
        self._prepared = PreparedStatements(self._prepare)
        forks.tell(self)

    @classmethod
    def connect(cls, hosts: list[Any] | None, keyspace: str | None = None, **options: Any) -> CassandraDriver:
        """Open a cluster of our own; ``options`` go to ``Cluster``. ConfigurationError where it cannot be reached."""
        opening = partial(open_session, hosts or ["127.0.0.1"], keyspace, options)
        session, retrying = opening()
        driver = cls(session, keyspace)
        driver._opening, driver._retrying = opening, retrying
        return driver

    @property
    def request_timeout(self) -> float | None:
        """Return the seconds after which the client gives up a statement that brings no timeout of its own."""
        timeout: float | None = request_timeout_of(self._session)
        return timeout

    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any thread; blocks it."""
        self._check_usable()
        prepared = None if _is_plain(statement) else self._prepared.get(statement)
        query = self._query(statement, prepared)
        page = self._page(query, prepared, statement, unsealed(statement))
        if page.paging_state is None:
            return page
        if statement.fetch_size is not None:
            return sealed(page, statement)
        items = page.items
        while page.paging_state is not None:
            page = self._page(query, prepared, statement, page.paging_state)
            items += page.items
        return Rows(items)

    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any event loop; never blocks it."""
        if self._closed or self._pid != os.getpid():
            await asyncio.to_thread(self._check_usable)
        plain = _is_plain(statement)
        prepared = None if plain else self._prepared.ready(statement.cql) or await self._prepared.get_async(statement)
        query = self._query(statement, prepared)
        page = await self._page_async(query, prepared, statement, unsealed(statement))
        if page.paging_state is None:
            return page
        if statement.fetch_size is not None:
            return sealed(page, statement)
        items = page.items
        while page.paging_state is not None:
            page = await self._page_async(query, prepared, statement, page.paging_state)
            items += page.items
        return Rows(items)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Send a stream of statements, at most ``limit`` in flight; see the protocol. Settles on the client's loop."""
        self._check_usable()
        Fanout(work, limit, settle, self._ready_sender, self._new_sender).run()

    def prepare(self, statements: Iterable[Statement]) -> None:
        """Prepare statements before they are needed; one that fails is left to its first use. Blocks."""
        for statement in statements:
            with suppress(CoodieError):
                self._prepared.get(statement)

    async def prepare_async(self, statements: Iterable[Statement]) -> None:
        """Prepare statements before they are needed; see :meth:`prepare`. From any event loop."""
        for statement in statements:
            with suppress(CoodieError):
                await self._prepared.get_async(statement)

    def close(self) -> None:
        """Close the cluster, if it is ours. From any thread; idempotent."""
        if not self._closed and self._opening and self._pid == os.getpid():  # a child leaves its parent's sockets alone
            self._session.cluster.shutdown()
        self._closed = True

    async def close_async(self) -> None:
        """Close the cluster, if it is ours, without blocking the loop; idempotent."""
        await asyncio.to_thread(self.close)

    def after_fork_in_child(self) -> None:
        """Leave the parent's session alone; see ``coodie.drivers.forks``."""
        if self._pid != os.getpid():
            abandon(self._session)

    def _query(self, statement: Statement, prepared: Prepared | None) -> Any:
        """Return the client's statement with our policy: bound, or plain text where there is nothing to bind."""
        if prepared is None:
            return instructions(statement, self._retrying)(SimpleStatement(statement.cql))
        return prepared.binder(statement, self._retrying)(statement.values)

    def _prepare(self, statement: Statement) -> Prepared:
        """Ask the server to prepare a statement. Blocks."""
        self._check_usable()
        try:
            return Prepared(self._session.prepare(statement.cql))
        except Exception as error:
            refused = refused_text(error, statement)
            forget_refused(self._known_tables, refused, statement)
            raise refused from error

    def _sent(self, query: Any, statement: Statement, state: bytes | None = None) -> Any:
        """Send a client statement and return its future; NotApplied where the client raises before it sends."""
        try:
            return self._session.execute_async(query, paging_state=state, **_timeout(statement))
        except Exception as error:
            raise not_sent(error, statement) from error

    def _page(self, query: Any, prepared: Prepared | None, statement: Statement, state: bytes | None) -> Rows:
        """Send one request and wait for its page of rows."""
        future = self._sent(query, statement, state)
        try:
            result = future.result()
        except Exception as error:
            raise self._classified(error, statement, future) from error
        return _rows(result, prepared, statement, future)

    async def _page_async(
        self, query: Any, prepared: Prepared | None, statement: Statement, state: bytes | None
    ) -> Rows:
        """Send one request and await its page of rows."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        future = self._sent(query, statement, state)
        future.add_callbacks(
            callback=_answer, callback_args=(loop, answer), errback=_answer, errback_args=(loop, answer)
        )
        result = await answer
        if isinstance(result, Exception):
            raise self._classified(result, statement, future) from result
        return _rows(ResultSet(future, result), prepared, statement, future)

    def _ready_sender(self, template: Statement) -> Sender | None:
        """Return what sends statements like a template if it is prepared. Never blocks."""
        prepared = self._prepared.ready(template.cql)
        return None if prepared is None else self._sender(template, prepared)

    def _new_sender(self, template: Statement) -> Sender:
        """Return what sends statements like a template, prepared now. Blocks."""
        return self._sender(template, self._prepared.get(template))

    def _sender(self, template: Statement, prepared: Prepared) -> Sender:
        """Return what sends statements like a template; their answers come to the run on the client's thread."""
        bound, execute_async = prepared.binder(template, self._retrying), self._session.execute_async
        options = _timeout(template)

        def send(run: Fanout, parcel: Parcel) -> None:
            try:
                future = execute_async(bound(parcel[2]), **options)
            except CoodieError as error:
                run.ended(parcel, outcome_of(error))
            except Exception as error:
                run.ended(parcel, outcome_of(not_sent(error, template)))
            else:
                future.add_callbacks(run.applied, failed, callback_args=(parcel,), errback_args=(run, parcel, future))

        def failed(error: Exception, run: Fanout, parcel: Parcel, future: Any) -> None:
            run.ended(parcel, outcome_of(self._classified(error, template, future)))

        return send

    def _classified(self, error: Exception, statement: Statement, future: Any) -> DriverError:
        """Return the error to raise for one that a sent statement met."""
        resent = statement.idempotent and self._retrying is not NEVER_RESEND
        ours = classified(error, statement, strict=self._strict, resent=resent, host=future.coordinator_host)
        forget_refused(self._known_tables, ours, statement)
        return ours

    def _check_usable(self) -> None:
        """Refuse to use a connection that is closed; open a session of its own for a forked child."""
        if self._closed:
            raise ConfigurationError("This connection is closed; nothing was sent. Call init_coodie() again.")
        if self._pid != os.getpid():
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Open a session in a forked child, once; refuse where the user opened the parent's."""
        if self._opening is None:
            check_process(self._pid)
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            abandon(self._session)
            self._session, self._retrying = self._opening()
            self._strict = not is_surely_cassandra(self._session)
            self._prepared = PreparedStatements(self._prepare)
            self._pid = os.getpid()


def _is_plain(statement: Statement) -> bool:
    """Return whether a statement is sent as text: schema changes, and texts that take no values."""
    shape = statement.shape
    if isinstance(shape, Raw):
        return not statement.values and not placeholders(shape.text)  # else preparing counts what is missing
    return type(shape) in SCHEMA_SHAPES


def _timeout(statement: Statement) -> dict[str, float]:
    """Return the timeout of a statement as an option of the client; none: that of the profile."""
    return {} if statement.timeout is None else {"timeout": statement.timeout}


def _answer(result: Any, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any]) -> None:
    """Carry an answer from the client's thread to the loop that awaits it, if that still runs."""
    try:
        loop.call_soon_threadsafe(_put, answer, result)
    except RuntimeError:
        _log.debug("An answer arrived after its event loop was closed")


def _put(answer: asyncio.Future[Any], result: Any) -> None:
    """Set the answer, unless the awaiting task was cancelled."""
    if not answer.done():
        answer.set_result(result)


def _rows(result: Any, prepared: Prepared | None, statement: Statement, future: Any) -> Rows:
    """Return a page as dicts of declared types, with the state of the next page."""
    if not future.is_schema_agreed:
        _log.warning("The nodes had not yet agreed on the schema after %r", statement.cql)
    page = result.current_rows
    if not page:
        return Rows([], result.paging_state)
    names, types, table = result.column_names, result.column_types, getattr(statement.shape, "table", None)
    if not isinstance(page[0], dict):  # the row factory of a session of the user's
        page = [dict(zip(names, row, strict=True)) for row in page]
    convert_rows(page, (readers_of if prepared is None else prepared.readers)(names, types, table))
    return Rows(page, result.paging_state)
