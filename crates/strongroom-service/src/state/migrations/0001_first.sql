-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970 (UTC), ids and JSON are TEXT. What lists are
-- filtered or sorted by is a column; the rest of a resource is JSON, so that a new member needs no migration.
--
-- A partial index is used by SQLite only if the query repeats its condition word for word.

CREATE TABLE deployments (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    runs_at_once BIGINT NOT NULL,
    body TEXT NOT NULL,
    last_test TEXT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX deployments_name ON deployments (name);

CREATE TABLE locations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    runs_at_once BIGINT NOT NULL,
    body TEXT NOT NULL,
    last_proof TEXT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX locations_name ON locations (name);

-- Values that only the service may read, sealed with the place they stand at.
CREATE TABLE secrets (
    tbl TEXT NOT NULL,
    row_id TEXT NOT NULL,
    col TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (tbl, row_id, col)
);

-- Labels of deployments, locations and plans once more, to find these by them.
CREATE TABLE labels (
    tbl TEXT NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    row_id TEXT NOT NULL,
    PRIMARY KEY (tbl, label, value, row_id)
);
CREATE INDEX labels_row ON labels (tbl, row_id);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    login TEXT NOT NULL,
    login_folded TEXT NOT NULL,
    role TEXT NOT NULL,
    restorer BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    password TEXT,
    identity TEXT,
    last_sign_in_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_login ON users (login_folded);
CREATE UNIQUE INDEX users_identity ON users (identity);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX sessions_hash ON sessions (hash);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expire ON sessions (expires_at);

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_user ON tokens (user_id, id);

-- What may be used once: links of first admins, sign-ins that are under way at an identity provider.
CREATE TABLE tickets (
    hash TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_expire ON tickets (expires_at);

CREATE TABLE plans (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    location TEXT NOT NULL REFERENCES locations (id),
    folder TEXT NOT NULL,
    paused BOOLEAN NOT NULL,
    settings TEXT NOT NULL,
    next_due BIGINT,
    mark BIGINT NOT NULL,
    last_good TEXT,
    last_good_at BIGINT,
    last_proven_at BIGINT,
    last_problem TEXT,
    failed_since_good BIGINT NOT NULL,
    refused_by_bucket TEXT,
    waiting_changes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX plans_name ON plans (name);
CREATE UNIQUE INDEX plans_folder ON plans (location, folder);
CREATE INDEX plans_deployment ON plans (deployment, id);
CREATE INDEX plans_location ON plans (location, id);
CREATE INDEX plans_due ON plans (next_due, id) WHERE next_due IS NOT NULL;
CREATE INDEX plans_failing ON plans (id) WHERE failed_since_good > 0;

-- Plans, deployments and locations of a run may be gone: it stays as history until that is trimmed.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    plan TEXT,
    deployment TEXT,
    location TEXT,
    backup TEXT,
    scheduled_for BIGINT,
    due_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    cancel_requested BOOLEAN NOT NULL,
    worker TEXT,
    fence BIGINT NOT NULL,
    lease_until BIGINT,
    progress TEXT,
    body TEXT NOT NULL
);
-- No occurrence twice, and never two runs of a plan at once.
CREATE UNIQUE INDEX runs_occurrence ON runs (plan, scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE UNIQUE INDEX runs_one_of_plan ON runs (plan) WHERE state = 'running';
-- What a claim and the reaper look at.
CREATE INDEX runs_queued ON runs (due_at, id) WHERE state = 'queued';
CREATE INDEX runs_queued_of_plan ON runs (plan) WHERE state = 'queued';
CREATE INDEX runs_running_deployment ON runs (deployment) WHERE state = 'running';
CREATE INDEX runs_running_location ON runs (location) WHERE state = 'running';
CREATE INDEX runs_running_worker ON runs (worker) WHERE state = 'running';
CREATE INDEX runs_lease ON runs (lease_until) WHERE state = 'running';
-- Lists, newest first. Most runs are backups that succeeded: the rare ones have indexes of their own.
CREATE INDEX runs_plan ON runs (plan, id);
CREATE INDEX runs_deployment ON runs (deployment, id);
CREATE INDEX runs_location ON runs (location, id);
CREATE INDEX runs_backup ON runs (backup, id) WHERE backup IS NOT NULL;
CREATE INDEX runs_kind ON runs (kind, id) WHERE kind <> 'backup';
CREATE INDEX runs_state ON runs (state, id) WHERE state <> 'succeeded';
CREATE INDEX runs_state_of_plan ON runs (plan, state, id) WHERE state <> 'succeeded';
CREATE INDEX runs_state_of_deployment ON runs (deployment, state, id) WHERE state <> 'succeeded';
CREATE INDEX runs_state_of_location ON runs (location, state, id) WHERE state <> 'succeeded';

CREATE TABLE log_lines (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run, number)
);

-- How many runs of a plan ended how on a day (UTC); plan '' is all of them together.
CREATE TABLE counts (
    plan TEXT NOT NULL,
    kind TEXT NOT NULL,
    day BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    PRIMARY KEY (plan, kind, day)
);

CREATE TABLE backups (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    folder TEXT NOT NULL,
    location TEXT NOT NULL REFERENCES locations (id),
    plan TEXT,
    deployment TEXT,
    state TEXT NOT NULL,
    complete BOOLEAN NOT NULL,
    held BOOLEAN NOT NULL,
    finished_at BIGINT NOT NULL,
    sweep_after BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX backups_place ON backups (location, folder, name);
CREATE INDEX backups_plan ON backups (plan, id);
CREATE INDEX backups_kept_of_plan ON backups (plan, id) WHERE state = 'kept';
CREATE INDEX backups_deployment ON backups (deployment, id);
CREATE INDEX backups_location ON backups (location, id);
CREATE INDEX backups_state ON backups (state, id) WHERE state <> 'swept';
CREATE INDEX backups_held ON backups (id) WHERE held;
CREATE INDEX backups_to_sweep ON backups (location, sweep_after) WHERE state = 'expired';

CREATE TABLE changes (
    id TEXT NOT NULL PRIMARY KEY,
    plan TEXT,
    backup TEXT,
    state TEXT NOT NULL,
    approval_wanted BOOLEAN NOT NULL,
    effective_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX changes_waiting ON changes (effective_at, id) WHERE state = 'waiting';
CREATE INDEX changes_state ON changes (state, id);
CREATE INDEX changes_plan ON changes (plan, id);
CREATE INDEX changes_backup ON changes (backup, id);

CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    action TEXT NOT NULL,
    subject TEXT,
    body TEXT NOT NULL
);
CREATE INDEX audit_user ON audit (user_id, id);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_subject ON audit (subject, id);

-- One row.
CREATE TABLE settings (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    paused BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    request TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (actor, request)
);
CREATE INDEX idempotency_age ON idempotency (at);

CREATE TABLE events (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL
);

-- What tries that gave no backup may have left in a location, until it is cleared away.
CREATE TABLE leftovers (
    location TEXT NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    run TEXT NOT NULL,
    sweep_after BIGINT NOT NULL,
    PRIMARY KEY (location, folder, name)
);
