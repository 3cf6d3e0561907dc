BEGIN TRANSACTION;
CREATE TABLE arms (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, role TEXT NOT NULL, weight REAL NOT NULL,
    UNIQUE (model, version, role, weight)
);
INSERT INTO "arms" VALUES(1,'flights','1.0.0','champion',1.0);
CREATE TABLE bad_keys (
    model TEXT, salt TEXT, arms TEXT, metric TEXT, key TEXT, PRIMARY KEY (model, salt, arms, metric, key)
) WITHOUT ROWID;
CREATE TABLE cells (
    arm INTEGER, hour INTEGER, feature TEXT, bins TEXT, counts BLOB, PRIMARY KEY (arm, hour, feature, bins)
);
INSERT INTO "cells" VALUES(1,378360,'hour','8ec1db833ff4b348',X'0000000001000000000000000000000000000000');
INSERT INTO "cells" VALUES(1,378360,'carrier','85ba152f43ab9f3d',X'00000000000000000100000000000000');
INSERT INTO "cells" VALUES(1,378360,'score','696d920e43a4785a',X'000000000000000001000000');
CREATE TABLE confusion (
    arm INTEGER, minute INTEGER, label TEXT, prediction TEXT, n INTEGER, PRIMARY KEY (arm, minute, label, prediction)
) WITHOUT ROWID;
CREATE TABLE cursors (spool TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "cursors" VALUES('SPOOL',1);
CREATE TABLE latencies (
    arm INTEGER, minute INTEGER, bucket INTEGER, n INTEGER, PRIMARY KEY (arm, minute, bucket)
) WITHOUT ROWID;
INSERT INTO "latencies" VALUES(1,22701600,114,1);
CREATE TABLE minutes (
    arm INTEGER, minute INTEGER, requests INTEGER, errors INTEGER, slow INTEGER, labelled INTEGER, wrong INTEGER,
    bad_errors INTEGER, bad_slow INTEGER, bad_wrong INTEGER, first_error_at INTEGER, PRIMARY KEY (arm, minute)
) WITHOUT ROWID;
INSERT INTO "minutes" VALUES(1,22701600,1,0,1,0,0,0,1,0,NULL);
CREATE TABLE paired (
    model TEXT, champion TEXT, challenger TEXT, weight REAL, minute INTEGER, wins INTEGER, losses INTEGER, ties INTEGER,
    first_loss_at INTEGER, PRIMARY KEY (model, champion, challenger, minute, weight)
) WITHOUT ROWID;
CREATE VIEW served_arms AS SELECT * FROM arms WHERE role IN ('champion', 'canary');
COMMIT;
