BEGIN TRANSACTION;
CREATE TABLE acknowledgements (
	model VARCHAR NOT NULL, 
	process VARCHAR NOT NULL, 
	epoch INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	PRIMARY KEY (model, process, epoch)
);
INSERT INTO "acknowledgements" VALUES('flights','worker',4,'2026-11-23T15:46:28.871305+00:00');
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	rollout_id INTEGER NOT NULL, 
	outcome VARCHAR NOT NULL, 
	recorded_at VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(rollout_id) REFERENCES rollouts (id)
);
CREATE TABLE deployments (
	model VARCHAR NOT NULL, 
	epoch INTEGER NOT NULL, 
	champion VARCHAR, 
	canary VARCHAR, 
	canary_weight FLOAT NOT NULL, 
	shadows TEXT NOT NULL, 
	salt VARCHAR NOT NULL, 
	previous VARCHAR, 
	updated_at VARCHAR NOT NULL, 
	PRIMARY KEY (model)
);
INSERT INTO "deployments" VALUES('flights',5,'1.0.0',NULL,0.0,'[]','afc96395d6eac096',NULL,'2013-03-01T03:00:00.000000+00:00');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	version VARCHAR, 
	kind VARCHAR NOT NULL, 
	from_stage VARCHAR, 
	to_stage VARCHAR, 
	actor VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	recorded_at VARCHAR NOT NULL, 
	deployment TEXT NOT NULL, 
	hash VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "events" VALUES(1,'flights','1.0.0','registered',NULL,'Registered','ada','','{"card": "7ed83c07b3b98d1a4ddcdbe578121783baa1d2479848dcc38ea2690195533cb3", "content": "a57a668ed769e3e34c8c82bfae0d86da901c0f0498c1ea3acaada833a62d18ed", "digest": "baf77da7539ddf28ecddd9919d69ea5d2c27716fa219fecf434670f2f2bbe28b"}',0,'2013-03-01T00:00:00.000000+00:00','2026-11-23T15:46:28.830144+00:00','{"canary": null, "canary_weight": 0.0, "champion": null, "epoch": 0, "model": "flights", "previous": null, "salt": "", "shadows": "[]", "updated_at": "2013-03-01T00:00:00.000000+00:00"}','c4d506700fc58c00bd92efb455e9c6dc32faebba6ebe1e7ef9b2af03b36a1a34');
INSERT INTO "events" VALUES(2,'flights','1.0.0','transition','Registered','Production','ada','first','{}',1,'2013-03-01T00:00:00.000000+00:00','2026-11-23T15:46:28.836221+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 1, "model": "flights", "previous": null, "salt": "", "shadows": "[]", "updated_at": "2013-03-01T00:00:00.000000+00:00"}','f2bb393bff36d36797ba7d2a275c960bae8b58b351ada55dd4ce99be0fcfa29b');
INSERT INTO "events" VALUES(3,'flights','1.1.0','registered',NULL,'Registered','ada','','{"card": "7ed83c07b3b98d1a4ddcdbe578121783baa1d2479848dcc38ea2690195533cb3", "content": "ebbf17806db42efdd20206a38b556efef7ecd1dac74e7102e5d17eab3627743d", "digest": "33509ce1a09edbb61845ab3fd5da1eb704660fe8b880d510e3b0dec011a95429"}',1,'2013-03-01T01:00:00.000000+00:00','2026-11-23T15:46:28.841559+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 1, "model": "flights", "previous": null, "salt": "", "shadows": "[]", "updated_at": "2013-03-01T00:00:00.000000+00:00"}','a7d5b9c000daf59ec74ac22a3e2b845f9e27b5cf096252fb1563c5a4c83c2090');
INSERT INTO "events" VALUES(4,'flights','1.1.0','transition','Registered','Shadow','ada','','{}',2,'2013-03-01T01:00:00.000000+00:00','2026-11-23T15:46:28.844186+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 2, "model": "flights", "previous": null, "salt": "", "shadows": "[\"1.1.0\"]", "updated_at": "2013-03-01T01:00:00.000000+00:00"}','f4188830622dcbef2b8df1d767313f96659fae7606280584cbb0423984415ef7');
INSERT INTO "events" VALUES(5,'flights','1.1.0','transition','Shadow','Canary','ada','','{"e": Infinity}',3,'2013-03-01T01:00:00.000000+00:00','2026-11-23T15:46:28.846719+00:00','{"canary": "1.1.0", "canary_weight": 0.05, "champion": "1.0.0", "epoch": 3, "model": "flights", "previous": null, "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T01:00:00.000000+00:00"}','1acf3063d1369503dc7eebf41fc5db2ab7ecfa6456151e87fa3e017d3265f810');
INSERT INTO "events" VALUES(6,'flights','1.1.0','transition','Canary','Production','ada','better','{}',4,'2013-03-01T02:00:00.000000+00:00','2026-11-23T15:46:28.856699+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.1.0", "epoch": 4, "model": "flights", "previous": "1.0.0", "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T02:00:00.000000+00:00"}','ce23e1ba5cae6c3e95e8ab38b3b686ce96117c63e58385499fbe5447f3da0f1f');
INSERT INTO "events" VALUES(7,'flights','1.0.0','transition','Production','Deprecated','ada','better','{}',4,'2013-03-01T02:00:00.000000+00:00','2026-11-23T15:46:28.857153+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.1.0", "epoch": 4, "model": "flights", "previous": "1.0.0", "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T02:00:00.000000+00:00"}','f2a1c7c66f95aee1dafdc5b6629722ce4b2e26392c44fcddd8cc3f0581e58ccc');
INSERT INTO "events" VALUES(8,'flights','1.0.0','transition','Deprecated','Production','ada','bad','{}',5,'2013-03-01T03:00:00.000000+00:00','2026-11-23T15:46:28.859721+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 5, "model": "flights", "previous": null, "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T03:00:00.000000+00:00"}','c86b6bc18c2ce05b506b2e902b1f3cc7ea0c22ae1045b047dddb780d5e070dd6');
INSERT INTO "events" VALUES(9,'flights','1.1.0','rollback','Production','Deprecated','ada','bad','{}',5,'2013-03-01T03:00:00.000000+00:00','2026-11-23T15:46:28.860051+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 5, "model": "flights", "previous": null, "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T03:00:00.000000+00:00"}','06e5d17cfa605875db673a7d3bdd4ea6a492e8c165125fa92aa8cd1593bcd521');
INSERT INTO "events" VALUES(10,'flights','2.0.0-rc.1','registered',NULL,'Registered','ada','','{"card": "7ed83c07b3b98d1a4ddcdbe578121783baa1d2479848dcc38ea2690195533cb3", "content": "5b16ffe8a53bd3dad954be855039b4a9c8bfdd3c82b622bf2796955a95af6efc", "digest": "d5e586bf22ee5799088f7eb1d4c84a189baa8d533f33f3f61b54f5a0cedabd08"}',5,'2013-03-01T03:00:00.000000+00:00','2026-11-23T15:46:28.869474+00:00','{"canary": null, "canary_weight": 0.0, "champion": "1.0.0", "epoch": 5, "model": "flights", "previous": null, "salt": "afc96395d6eac096", "shadows": "[]", "updated_at": "2013-03-01T03:00:00.000000+00:00"}','508f4337c696caae7857a67940eaaabef6a18de093a23191b563a214a8cfff23');
CREATE TABLE rollouts (
	id INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	challenger VARCHAR NOT NULL, 
	phase VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "rollouts" VALUES(1,'flights','1.1.0','shadow','{"id":0,"model":"flights","champion":"1.0.0","challenger":"1.1.0","policy":{"steps":[0.01,0.05,0.2,0.5],"shadow_hours":1.0,"soak_hours":4.0,"min_watch_hours":48.0,"deadline_hours":168.0,"alpha":0.05,"paired":true,"paired_share":1.0,"answer_influences_label":false,"margin":0.02,"theta":{"error":1.2,"wrong":1.2,"slow":2.0},"max_error_rate":0.01,"max_slow_rate":0.01,"slow_ms":200.0,"min_shadow_requests":50,"min_step_requests":100,"min_step_paired":100},"phase":"shadow","step":0,"weight":0.0,"started_at":"2013-03-01T01:00:00Z","canary_at":null,"step_at":"2013-03-01T01:00:00Z","paused":false,"peaks":{},"epoch":2,"ended_at":null,"reason":""}');
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	stage VARCHAR NOT NULL, 
	rolled_back BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	created_at VARCHAR NOT NULL, 
	description TEXT NOT NULL, 
	schema TEXT, 
	card TEXT, 
	baseline TEXT, 
	metrics TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	lineage TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (model, version)
);
INSERT INTO "versions" VALUES(1,'flights','1.0.0','baf77da7539ddf28ecddd9919d69ea5d2c27716fa219fecf434670f2f2bbe28b','Production',0,'bad','2013-03-01T00:00:00.000000+00:00','é ☃','{"features":[{"name":"dep_delay","kind":"numeric","nullable":true},{"name":"carrier","kind":"categorical","nullable":true}],"classes":["late","on_time"]}','{"provenance":{"dataset":"flights","digest":"ab12","start":"2013-03-01T00:00:00Z","end":"2013-03-01T00:00:00Z","rows":10},"evaluation":[{"name":"overall","rows":10,"metrics":{"micro_f1":0.95,"macro_f1":0.9,"accuracy":0.95}}],"intended_use":"Tells the desk which flights will be late.","failure_modes":["storms"],"fairness":{"attribute":"carrier","groups":{"AA":{"rows":5.0,"accuracy":0.9}},"max_gap":0.02,"note":""},"contacts":["desk@example.org"]}',NULL,'{"accuracy": 0.95}','{"env": "prod"}','{"run": "r1"}');
INSERT INTO "versions" VALUES(2,'flights','1.1.0','33509ce1a09edbb61845ab3fd5da1eb704660fe8b880d510e3b0dec011a95429','Deprecated',1,'bad','2013-03-01T01:00:00.000000+00:00','é ☃','{"features":[{"name":"dep_delay","kind":"numeric","nullable":true},{"name":"carrier","kind":"categorical","nullable":true}],"classes":["late","on_time"]}','{"provenance":{"dataset":"flights","digest":"ab12","start":"2013-03-01T00:00:00Z","end":"2013-03-01T00:00:00Z","rows":10},"evaluation":[{"name":"overall","rows":10,"metrics":{"micro_f1":0.95,"macro_f1":0.9,"accuracy":0.95}}],"intended_use":"Tells the desk which flights will be late.","failure_modes":["storms"],"fairness":{"attribute":"carrier","groups":{"AA":{"rows":5.0,"accuracy":0.9}},"max_gap":0.02,"note":""},"contacts":["desk@example.org"]}',NULL,'{"accuracy": 0.95}','{"env": "prod"}','{"run": "r1"}');
INSERT INTO "versions" VALUES(3,'flights','2.0.0-rc.1','d5e586bf22ee5799088f7eb1d4c84a189baa8d533f33f3f61b54f5a0cedabd08','Registered',0,'','2013-03-01T03:00:00.000000+00:00','é ☃','{"features":[{"name":"dep_delay","kind":"numeric","nullable":true},{"name":"carrier","kind":"categorical","nullable":true}],"classes":["late","on_time"]}','{"provenance":{"dataset":"flights","digest":"ab12","start":"2013-03-01T00:00:00Z","end":"2013-03-01T00:00:00Z","rows":10},"evaluation":[{"name":"overall","rows":10,"metrics":{"micro_f1":0.95,"macro_f1":0.9,"accuracy":0.95}}],"intended_use":"Tells the desk which flights will be late.","failure_modes":["storms"],"fairness":{"attribute":"carrier","groups":{"AA":{"rows":5.0,"accuracy":0.9}},"max_gap":0.02,"note":""},"contacts":["desk@example.org"]}',NULL,'{"accuracy": 0.95}','{"env": "prod"}','{"run": "r1"}');
CREATE INDEX events_of_model ON events (model, id);
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE UNIQUE INDEX one_running_rollout_per_model ON rollouts (model) WHERE phase IN ('shadow', 'canary');
CREATE INDEX ix_decisions_rollout_id ON decisions (rollout_id);
COMMIT;
