-- Order per key: a delivery that waits outside the log order may hold its ordering key, or wait behind the one that does.

ALTER TABLE handler ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;

-- 0: waits for `due`. 1: behind an earlier message of its key. 2: given up, and holds its key until it is replayed or discarded.
ALTER TABLE exception ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
-- The full lane and key. Null: it takes no part in the order, for its handler has none, or it is a replay of what was settled.
ALTER TABLE exception ADD COLUMN lane TEXT;
ALTER TABLE exception ADD COLUMN ordering_key TEXT;

DROP INDEX exception_by_due;
CREATE INDEX exception_by_due ON exception (handler, due) WHERE state = 0;
CREATE INDEX exception_by_key ON exception (handler, ordering_key, lane, seq) WHERE ordering_key IS NOT NULL;
