-- The register of exceptions. A revision's terms never change: what happens to it is added beside them.

-- One revision of one exception. `body` is the whole record; the columns repeat what is searched. `version` counts
-- its changes, so that of two who change it at the same time one is told.
create table exception (
  id text collate "C" not null,
  revision bigint not null,
  version bigint not null,
  state text collate "C" not null,
  policy text collate "C" not null,
  provision text collate "C" not null,
  requester text collate "C" not null,
  owner text collate "C" not null,
  beneficiary text collate "C" not null,
  submitted_at timestamptz,
  not_before timestamptz,
  expires_at timestamptz,
  changed_at timestamptz not null,
  body json not null,
  primary key (id, revision)
);
create index exception_by_state on exception (state, expires_at);
create index exception_by_policy on exception (policy, provision, submitted_at);

-- The frozen subjects of terms, for looking up what covers a finding.
create table exception_subject (
  exception text collate "C" not null,
  revision bigint not null,
  control text collate "C" not null,
  subject text collate "C" not null,
  primary key (control, subject, exception, revision)
);
create index exception_subject_of on exception_subject (exception, revision);

-- Everything that ever happened to a revision, in order.
create table exception_event (
  exception text collate "C" not null,
  revision bigint not null,
  number bigint not null,
  at timestamptz not null,
  actor text collate "C" not null,
  act text collate "C" not null,
  state_before text collate "C" not null,
  state_after text collate "C" not null,
  reason text collate "C",
  primary key (exception, revision, number)
);

-- Which exception kept which finding silent, from when to when, and why it ended.
create table coverage (
  exception text collate "C" not null,
  finding text collate "C" not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  closed_because text collate "C",
  primary key (exception, finding, opened_at)
);
create index coverage_of_finding on coverage (finding, opened_at);

-- The last number that was given out in each year.
create table exception_number (
  year bigint not null primary key,
  last bigint not null
);

-- Personal tokens: only their digest is kept.
create table token (
  id text collate "C" not null primary key,
  digest text collate "C" not null unique,
  person text collate "C" not null,
  name text collate "C" not null,
  scopes json not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index token_of_person on token (person, created_at);
