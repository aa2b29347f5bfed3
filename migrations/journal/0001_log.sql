-- The journal: a log of messages, one cursor per handler, and rows for what is not simply done.
-- Times are milliseconds since the Unix epoch; ids are the 16 bytes of a UUID.

-- Message types and handlers have small numbers, since every row names them.
CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- AUTOINCREMENT keeps the last number in a table of its own: none is used twice, even after retention emptied the log.
CREATE TABLE message (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    type         INTEGER NOT NULL REFERENCES type (id),
    accepted     INTEGER NOT NULL, -- never less than that of the row before
    source       TEXT NOT NULL,
    subject      TEXT,
    time         INTEGER NOT NULL,
    ordering_key TEXT,
    lane         TEXT,             -- null: the type
    correlation  BLOB,             -- null: the own id
    cause        BLOB,
    trace        TEXT,
    data         BLOB NOT NULL
) STRICT;
CREATE INDEX message_by_type ON message (type);
CREATE INDEX message_by_time ON message (accepted);
CREATE INDEX message_by_key ON message (ordering_key) WHERE ordering_key IS NOT NULL;
CREATE INDEX message_by_correlation ON message (correlation) WHERE correlation IS NOT NULL;
CREATE INDEX message_by_cause ON message (cause) WHERE cause IS NOT NULL;

-- Every matching message at or below `upto` is settled or has an exception row; `done` holds those settled above it.
CREATE TABLE handler (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    upto INTEGER NOT NULL,
    done BLOB NOT NULL,            -- LEB128 steps from `upto`
    seen INTEGER NOT NULL          -- last known in the wiring
) STRICT;
CREATE TABLE binding (
    handler INTEGER NOT NULL REFERENCES handler (id),
    type    INTEGER NOT NULL REFERENCES type (id),
    since   INTEGER NOT NULL,      -- messages at or below this position are none of its business
    PRIMARY KEY (handler, type)
) STRICT, WITHOUT ROWID;

-- A delivery that waits outside the log order: a retry, a replay, or a straggler that its cursor left behind.
CREATE TABLE exception (
    handler INTEGER NOT NULL REFERENCES handler (id),
    seq     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,      -- attempts made, of this replay
    crashes INTEGER NOT NULL,
    replay  INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    PRIMARY KEY (handler, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX exception_by_due ON exception (handler, due);
CREATE INDEX exception_by_message ON exception (seq);

-- Failed attempts. What succeeds at once leaves no row.
CREATE TABLE attempt (
    seq     INTEGER NOT NULL,
    handler INTEGER NOT NULL,
    replay  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (seq, handler, replay, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_by_time ON attempt (at);

-- How often a delivery was replayed: the number is part of the ids of what it emits, so it outlives the replay.
CREATE TABLE replay (
    seq     INTEGER NOT NULL,
    handler INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (seq, handler)
) STRICT, WITHOUT ROWID;

-- Given up, with an own copy of the message: retention of the log does not touch it.
CREATE TABLE dead (
    n            INTEGER PRIMARY KEY AUTOINCREMENT,
    handler      INTEGER NOT NULL REFERENCES handler (id),
    seq          INTEGER NOT NULL,
    died         INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    failure      TEXT NOT NULL,
    id           BLOB NOT NULL,
    type         INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    source       TEXT NOT NULL,
    subject      TEXT,
    time         INTEGER NOT NULL,
    ordering_key TEXT,
    lane         TEXT,
    correlation  BLOB,
    cause        BLOB,
    trace        TEXT,
    data         BLOB NOT NULL,
    UNIQUE (handler, seq)
) STRICT;
CREATE INDEX dead_by_message ON dead (seq);
CREATE INDEX dead_by_id ON dead (id);
CREATE INDEX dead_by_time ON dead (died);

-- Idempotency: `scope` is a digest of (publisher, type, key), `digest` one of the payload.
CREATE TABLE dedup (
    scope  BLOB PRIMARY KEY,
    id     BLOB NOT NULL,
    digest BLOB NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dedup_by_time ON dedup (at);
