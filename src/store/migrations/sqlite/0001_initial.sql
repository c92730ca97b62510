-- What Tripline keeps. The same tables, columns and nullability as on PostgreSQL; a test compares.
-- Times are UTC texts with microseconds at most, JSON columns hold objects or arrays.

-- Facts about this database: instance id, last heartbeat, digest of the configuration.
create table meta (
  key text not null primary key,
  value text not null
) strict;

-- Every definition that ever judged anything, by its digest, so that a run can be replayed.
create table definition (
  digest text not null primary key,
  kind text not null,
  name text not null,
  body text not null,
  first_seen text not null
) strict;
create index definition_by_name on definition (kind, name, first_seen);

-- One collection of one dataset. `object` names the Parquet file in the evidence store.
create table snapshot (
  id text not null primary key,
  source text not null,
  dataset text not null,
  status text not null,
  unknown text,
  reason text,
  row_count integer not null,
  effort text not null,
  started_at text not null,
  ended_at text not null,
  content text,
  object text,
  schema text not null,
  definition text not null,
  scope text not null,
  identity text,
  request_ids text not null,
  accepted_by text,
  accepted_at text,
  accepted_because text
) strict;
create index snapshot_newest on snapshot (source, dataset, started_at, id);
create index snapshot_object on snapshot (object);
create index snapshot_age on snapshot (ended_at);

-- One evaluation of one control at one instant.
create table run (
  id text not null primary key,
  control text not null,
  scheduled_for text not null,
  cause text not null,
  instant text not null,
  ended_at text not null,
  not_checked text,
  detail text,
  population integer not null,
  pass_count integer not null,
  fail_count integer not null,
  unknown_count integer not null,
  evidence text not null,
  definition text not null,
  outcomes text not null,
  counted integer not null,
  config text not null
) strict;
create index run_newest on run (control, instant, id);
create index run_counted on run (control, instant, id) where counted;
create index run_by_time on run (instant, id);

-- Which snapshots a run looked at; retention asks from the snapshot's side.
create table run_snapshot (
  run text not null references run (id) on delete cascade deferrable initially deferred,
  snapshot text not null references snapshot (id) on delete cascade deferrable initially deferred,
  primary key (run, snapshot)
) strict, without rowid;
create index run_snapshot_by_snapshot on run_snapshot (snapshot);

-- A deviation over time. `state` is the whole state as the machine wrote it; `status`, `opened_at` and
-- `unverified_since` repeat what is searched. `run` last changed it, and may be pruned before the finding is.
create table finding (
  key text not null primary key,
  control text not null,
  subject text not null,
  status text not null,
  opened_at text,
  unverified_since text,
  state text not null,
  severity text not null,
  owners text not null,
  rows text not null,
  row_count integer not null,
  fingerprint text not null,
  facts text not null,
  first_seen text not null,
  run text not null,
  changed_at text not null,
  covered_by text,
  definition text not null
) strict;
create index finding_of_control on finding (control, subject);
create index finding_of_subject on finding (subject);
create index finding_open on finding (control, key) where status in ('open', 'clearing', 'flapping');

-- The same owners as in `finding.owners`, the other way round. Written with the finding, in one function.
create table finding_owner (
  owner text not null,
  finding text not null,
  primary key (owner, finding)
) strict, without rowid;
create index finding_owner_by_finding on finding_owner (finding);

-- Each time a finding changed where it stands, or something was to be told of it.
create table transition (
  finding text not null,
  run text not null,
  number integer not null,
  episode integer not null,
  at text not null,
  before text,
  after text not null,
  effect text,
  reason text not null,
  primary key (finding, run, number)
) strict, without rowid;
create index transition_by_time on transition (at, finding);

-- The tick ledger: one row for each due time of each control.
create table tick (
  control text not null,
  scheduled_for text not null,
  cause text not null,
  state text not null,
  reason text,
  stands_for integer not null,
  fence integer not null,
  holder text,
  lease_until text,
  primary key (control, scheduled_for)
) strict, without rowid;
create index tick_open on tick (scheduled_for, control) where state in ('due', 'running');
create index tick_by_time on tick (scheduled_for, state);

-- One message with one id.
create table batch (
  id text not null primary key,
  channel text not null,
  recipient text,
  mode text not null,
  group_key text,
  items text not null,
  message text not null,
  attempts integer not null,
  ambiguous integer not null,
  due_at text not null,
  sealed_at text not null,
  state text not null,
  ended_at text,
  last_error text,
  fence integer not null,
  holder text,
  lease_until text
) strict;
create index batch_due on batch (due_at, id) where state = 'due';
create index batch_by_group on batch (group_key, sealed_at);
create index batch_by_state on batch (state, sealed_at, id);

-- One thing owed to one recipient on one channel; sealed into a batch, or dropped with its reason.
create table item (
  key text not null primary key,
  kind text not null,
  word text not null,
  mode text not null,
  group_key text not null,
  channel text not null,
  recipient text,
  finding text,
  episode integer not null,
  control text,
  reason text not null,
  facts text not null,
  planned_at text not null,
  due_at text not null,
  batch text references batch (id) deferrable initially deferred,
  dropped_at text,
  dropped_because text
) strict;
create index item_waiting on item (mode, due_at, group_key) where batch is null and dropped_at is null;
create index item_by_group on item (group_key, planned_at);
create index item_by_finding on item (finding, planned_at);
create index item_by_batch on item (batch);

-- An address that a receiver refused for good.
create table bad_address (
  channel text not null,
  recipient text not null,
  reason text not null,
  since text not null,
  primary key (channel, recipient)
) strict;

-- A digest of one recipient for one period, claimed before it is sent.
create table digest (
  recipient text not null,
  channel text not null,
  period text not null,
  planned_at text not null,
  batch text references batch (id) deferrable initially deferred,
  primary key (recipient, channel, period)
) strict;

-- Silence that somebody asked for; it always ends.
create table mute (
  id text not null primary key,
  control text,
  subject text,
  until text not null,
  reason text not null,
  said_by text not null,
  said_at text not null,
  lifted_by text,
  lifted_at text
) strict;
create index mute_by_end on mute (until);

-- A person says that a result is wrong: a fault of the control or of its evidence.
create table wrong_result (
  id text not null primary key,
  finding text not null,
  control text not null,
  run text not null,
  reason text not null,
  said_by text not null,
  said_at text not null
) strict;
create index wrong_result_of_control on wrong_result (control, said_at, id);
create index wrong_result_of_finding on wrong_result (finding, said_at, id);

-- Salts of personal data that leaves hold as digests; erasing one cuts the link.
create table salt (
  name text not null primary key,
  salt blob not null
) strict;

-- The Merkle log: leaves verbatim, the stored hashes, one row that says how many there are. `kind`, `about`
-- and `at` repeat what the bytes say, to find them by; only the bytes are proved.
create table audit_leaf (
  seq integer not null primary key,
  kind text not null,
  about text,
  at text not null,
  bytes blob not null
) strict;
create index audit_leaf_by_time on audit_leaf (at, seq);
create index audit_leaf_about on audit_leaf (about, seq) where about is not null;

create table audit_hash (
  stored_index integer not null primary key,
  hash blob not null
) strict;

create table audit_head (
  id integer not null primary key check (id = 1),
  size integer not null
) strict;
insert into audit_head (id, size) values (1, 0);

create table audit_checkpoint (
  size integer not null primary key,
  note text not null,
  at text not null
) strict;

-- The log only grows. Defence in depth: what gets past these triggers is caught by the hashes.
-- The insert triggers stand in for `insert or replace`, which deletes without asking a delete trigger.
create trigger audit_leaf_update before update on audit_leaf begin select raise(abort, 'audit_leaf is append-only'); end;
create trigger audit_leaf_delete before delete on audit_leaf begin select raise(abort, 'audit_leaf is append-only'); end;
create trigger audit_leaf_replace before insert on audit_leaf
  when exists (select 1 from audit_leaf where seq = new.seq) begin select raise(abort, 'audit_leaf is append-only'); end;
create trigger audit_hash_update before update on audit_hash begin select raise(abort, 'audit_hash is append-only'); end;
create trigger audit_hash_delete before delete on audit_hash begin select raise(abort, 'audit_hash is append-only'); end;
create trigger audit_hash_replace before insert on audit_hash
  when exists (select 1 from audit_hash where stored_index = new.stored_index) begin select raise(abort, 'audit_hash is append-only'); end;
create trigger audit_checkpoint_update before update on audit_checkpoint begin select raise(abort, 'audit_checkpoint is append-only'); end;
create trigger audit_checkpoint_delete before delete on audit_checkpoint begin select raise(abort, 'audit_checkpoint is append-only'); end;
create trigger audit_checkpoint_replace before insert on audit_checkpoint
  when exists (select 1 from audit_checkpoint where size = new.size) begin select raise(abort, 'audit_checkpoint is append-only'); end;
create trigger audit_head_update before update on audit_head
  when new.size < old.size or new.id <> 1 begin select raise(abort, 'audit_head only grows'); end;
create trigger audit_head_delete before delete on audit_head begin select raise(abort, 'audit_head only grows'); end;
create trigger audit_head_replace before insert on audit_head begin select raise(abort, 'audit_head only grows'); end;
