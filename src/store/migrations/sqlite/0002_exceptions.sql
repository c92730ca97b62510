-- The register of exceptions. A revision's terms never change: what happens to it is added beside them.

-- One revision of one exception. `body` is the whole record; the columns repeat what is searched. `version` counts
-- its changes, so that of two who change it at the same time one is told.
create table exception (
  id text not null,
  revision integer not null,
  version integer not null,
  state text not null,
  policy text not null,
  provision text not null,
  requester text not null,
  owner text not null,
  beneficiary text not null,
  submitted_at text,
  not_before text,
  expires_at text,
  changed_at text not null,
  body text not null,
  primary key (id, revision)
) strict;
create index exception_by_state on exception (state, expires_at);
create index exception_by_policy on exception (policy, provision, submitted_at);

-- The frozen subjects of terms, for looking up what covers a finding.
create table exception_subject (
  exception text not null,
  revision integer not null,
  control text not null,
  subject text not null,
  primary key (control, subject, exception, revision)
) strict, without rowid;
create index exception_subject_of on exception_subject (exception, revision);

-- Everything that ever happened to a revision, in order.
create table exception_event (
  exception text not null,
  revision integer not null,
  number integer not null,
  at text not null,
  actor text not null,
  act text not null,
  state_before text not null,
  state_after text not null,
  reason text,
  primary key (exception, revision, number)
) strict;

-- Which exception kept which finding silent, from when to when, and why it ended.
create table coverage (
  exception text not null,
  finding text not null,
  opened_at text not null,
  closed_at text,
  closed_because text,
  primary key (exception, finding, opened_at)
) strict;
create index coverage_of_finding on coverage (finding, opened_at);

-- The last number that was given out in each year.
create table exception_number (
  year integer not null primary key,
  last integer not null
) strict;

-- Personal tokens: only their digest is kept.
create table token (
  id text not null primary key,
  digest text not null unique,
  person text not null,
  name text not null,
  scopes text not null,
  created_at text not null,
  expires_at text not null,
  revoked_at text
) strict;
create index token_of_person on token (person, created_at);
