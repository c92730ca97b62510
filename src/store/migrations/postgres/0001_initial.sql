-- What Tripline keeps. The same tables, columns and nullability as on SQLite; a test compares.
-- Texts sort by their bytes, as they do there; JSON is kept as it was written and holds objects or arrays.

-- Facts about this database: instance id, last heartbeat, digest of the configuration.
create table meta (
  key text collate "C" not null primary key,
  value text collate "C" not null
);

-- Every definition that ever judged anything, by its digest, so that a run can be replayed.
create table definition (
  digest text collate "C" not null primary key,
  kind text collate "C" not null,
  name text collate "C" not null,
  body text collate "C" not null,
  first_seen timestamptz not null
);
create index definition_by_name on definition (kind, name, first_seen);

-- One collection of one dataset. `object` names the Parquet file in the evidence store.
create table snapshot (
  id text collate "C" not null primary key,
  source text collate "C" not null,
  dataset text collate "C" not null,
  status text collate "C" not null,
  unknown text collate "C",
  reason text collate "C",
  row_count bigint not null,
  effort json not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  content text collate "C",
  object text collate "C",
  schema text collate "C" not null,
  definition text collate "C" not null,
  scope text collate "C" not null,
  identity text collate "C",
  request_ids json not null,
  accepted_by text collate "C",
  accepted_at timestamptz,
  accepted_because text collate "C"
);
create index snapshot_newest on snapshot (source, dataset, started_at, id);
create index snapshot_object on snapshot (object);
create index snapshot_age on snapshot (ended_at);

-- One evaluation of one control at one instant.
create table run (
  id text collate "C" not null primary key,
  control text collate "C" not null,
  scheduled_for timestamptz not null,
  cause text collate "C" not null,
  instant timestamptz not null,
  ended_at timestamptz not null,
  not_checked text collate "C",
  detail text collate "C",
  population bigint not null,
  pass_count bigint not null,
  fail_count bigint not null,
  unknown_count bigint not null,
  evidence json not null,
  definition text collate "C" not null,
  outcomes text collate "C" not null,
  counted boolean not null,
  config text collate "C" not null
);
create index run_newest on run (control, instant, id);
create index run_counted on run (control, instant, id) where counted;
create index run_by_time on run (instant, id);

-- Which snapshots a run looked at; retention asks from the snapshot's side.
create table run_snapshot (
  run text collate "C" not null references run (id) on delete cascade deferrable initially deferred,
  snapshot text collate "C" not null references snapshot (id) on delete cascade deferrable initially deferred,
  primary key (run, snapshot)
);
create index run_snapshot_by_snapshot on run_snapshot (snapshot);

-- A deviation over time. `state` is the whole state as the machine wrote it; `status`, `opened_at` and
-- `unverified_since` repeat what is searched. `run` last changed it, and may be pruned before the finding is.
create table finding (
  key text collate "C" not null primary key,
  control text collate "C" not null,
  subject text collate "C" not null,
  status text collate "C" not null,
  opened_at timestamptz,
  unverified_since timestamptz,
  state json not null,
  severity text collate "C" not null,
  owners json not null,
  rows json not null,
  row_count bigint not null,
  fingerprint json not null,
  facts json not null,
  first_seen timestamptz not null,
  run text collate "C" not null,
  changed_at timestamptz not null,
  covered_by text collate "C",
  definition text collate "C" not null
);
create index finding_of_control on finding (control, subject);
create index finding_of_subject on finding (subject);
create index finding_open on finding (control, key) where status in ('open', 'clearing', 'flapping');

-- The same owners as in `finding.owners`, the other way round. Written with the finding, in one function.
create table finding_owner (
  owner text collate "C" not null,
  finding text collate "C" not null,
  primary key (owner, finding)
);
create index finding_owner_by_finding on finding_owner (finding);

-- Each time a finding changed where it stands, or something was to be told of it.
create table transition (
  finding text collate "C" not null,
  run text collate "C" not null,
  number bigint not null,
  episode bigint not null,
  at timestamptz not null,
  before text collate "C",
  after text collate "C" not null,
  effect text collate "C",
  reason text collate "C" not null,
  primary key (finding, run, number)
);
create index transition_by_time on transition (at, finding);

-- The tick ledger: one row for each due time of each control.
create table tick (
  control text collate "C" not null,
  scheduled_for timestamptz not null,
  cause text collate "C" not null,
  state text collate "C" not null,
  reason text collate "C",
  stands_for bigint not null,
  fence bigint not null,
  holder text collate "C",
  lease_until timestamptz,
  primary key (control, scheduled_for)
);
create index tick_open on tick (scheduled_for, control) where state in ('due', 'running');
create index tick_by_time on tick (scheduled_for, state);

-- One message with one id.
create table batch (
  id text collate "C" not null primary key,
  channel text collate "C" not null,
  recipient text collate "C",
  mode text collate "C" not null,
  group_key text collate "C",
  items json not null,
  message json not null,
  attempts bigint not null,
  ambiguous bigint not null,
  due_at timestamptz not null,
  sealed_at timestamptz not null,
  state text collate "C" not null,
  ended_at timestamptz,
  last_error text collate "C",
  fence bigint not null,
  holder text collate "C",
  lease_until timestamptz
);
create index batch_due on batch (due_at, id) where state = 'due';
create index batch_by_group on batch (group_key, sealed_at);
create index batch_by_state on batch (state, sealed_at, id);

-- One thing owed to one recipient on one channel; sealed into a batch, or dropped with its reason.
create table item (
  key text collate "C" not null primary key,
  kind text collate "C" not null,
  word text collate "C" not null,
  mode text collate "C" not null,
  group_key text collate "C" not null,
  channel text collate "C" not null,
  recipient text collate "C",
  finding text collate "C",
  episode bigint not null,
  control text collate "C",
  reason text collate "C" not null,
  facts json not null,
  planned_at timestamptz not null,
  due_at timestamptz not null,
  batch text collate "C" references batch (id) deferrable initially deferred,
  dropped_at timestamptz,
  dropped_because text collate "C"
);
create index item_waiting on item (mode, due_at, group_key) where batch is null and dropped_at is null;
create index item_by_group on item (group_key, planned_at);
create index item_by_finding on item (finding, planned_at);
create index item_by_batch on item (batch);

-- An address that a receiver refused for good.
create table bad_address (
  channel text collate "C" not null,
  recipient text collate "C" not null,
  reason text collate "C" not null,
  since timestamptz not null,
  primary key (channel, recipient)
);

-- A digest of one recipient for one period, claimed before it is sent.
create table digest (
  recipient text collate "C" not null,
  channel text collate "C" not null,
  period text collate "C" not null,
  planned_at timestamptz not null,
  batch text collate "C" references batch (id) deferrable initially deferred,
  primary key (recipient, channel, period)
);

-- Silence that somebody asked for; it always ends.
create table mute (
  id text collate "C" not null primary key,
  control text collate "C",
  subject text collate "C",
  until timestamptz not null,
  reason text collate "C" not null,
  said_by text collate "C" not null,
  said_at timestamptz not null,
  lifted_by text collate "C",
  lifted_at timestamptz
);
create index mute_by_end on mute (until);

-- A person says that a result is wrong: a fault of the control or of its evidence.
create table wrong_result (
  id text collate "C" not null primary key,
  finding text collate "C" not null,
  control text collate "C" not null,
  run text collate "C" not null,
  reason text collate "C" not null,
  said_by text collate "C" not null,
  said_at timestamptz not null
);
create index wrong_result_of_control on wrong_result (control, said_at, id);
create index wrong_result_of_finding on wrong_result (finding, said_at, id);

-- Salts of personal data that leaves hold as digests; erasing one cuts the link.
create table salt (
  name text collate "C" not null primary key,
  salt bytea not null
);

-- The Merkle log: leaves verbatim, the stored hashes, one row that says how many there are. `kind`, `about`
-- and `at` repeat what the bytes say, to find them by; only the bytes are proved.
create table audit_leaf (
  seq bigint not null primary key,
  kind text collate "C" not null,
  about text collate "C",
  at timestamptz not null,
  bytes bytea not null
);
create index audit_leaf_by_time on audit_leaf (at, seq);
create index audit_leaf_about on audit_leaf (about, seq) where about is not null;

create table audit_hash (
  stored_index bigint not null primary key,
  hash bytea not null
);

create table audit_head (
  id bigint not null primary key check (id = 1),
  size bigint not null
);
insert into audit_head (id, size) values (1, 0);

create table audit_checkpoint (
  size bigint not null primary key,
  note text collate "C" not null,
  at timestamptz not null
);

-- The log only grows. Defence in depth: what gets past these triggers is caught by the hashes.
create function audit_refuse() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'integrity_constraint_violation';
end
$$;
create trigger audit_leaf_keep before update or delete on audit_leaf for each row execute function audit_refuse();
create trigger audit_leaf_whole before truncate on audit_leaf for each statement execute function audit_refuse();
create trigger audit_hash_keep before update or delete on audit_hash for each row execute function audit_refuse();
create trigger audit_hash_whole before truncate on audit_hash for each statement execute function audit_refuse();
create trigger audit_checkpoint_keep before update or delete on audit_checkpoint for each row execute function audit_refuse();
create trigger audit_checkpoint_whole before truncate on audit_checkpoint for each statement execute function audit_refuse();
create trigger audit_head_grow before update on audit_head for each row
  when (new.size < old.size or new.id <> 1) execute function audit_refuse();
create trigger audit_head_keep before delete on audit_head for each row execute function audit_refuse();
create trigger audit_head_whole before truncate on audit_head for each statement execute function audit_refuse();
