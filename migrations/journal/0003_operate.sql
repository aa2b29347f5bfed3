-- What operators and schedules need.

-- Accepted, and not to be delivered before `due`. `seq` is where it was accepted; it gets a position in the log, a later
-- one, when its time has come.
CREATE TABLE delayed (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    type         INTEGER NOT NULL REFERENCES type (id),
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
    due          INTEGER NOT NULL
) STRICT;
CREATE INDEX delayed_by_due ON delayed (due, id);

-- Of a message that was published for later: when it was due.
ALTER TABLE message ADD COLUMN deliver_at INTEGER;
-- 1: `data` was dropped once every handler had settled it.
ALTER TABLE message ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_dropped ON message (type) WHERE dropped = 1;

-- Paused by an operator: nothing is handed out.
ALTER TABLE handler ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;

-- What one node has at a time. `term` grows whenever it changes hands.
CREATE TABLE role (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL,
    term   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When each schedule last ticked.
CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
