-- Positions and times of acceptance grow together: a time is found in the log by halving it.

DROP INDEX message_by_time;
