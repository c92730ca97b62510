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
  title text not null,
  tier text,
  category text,
  reason_code text,
  residual text,
  renewals integer not null,
  approved_at text,
  activated_at text,
  suspended_at text,
  suspension text,
  review_due_at text,
  failing integer not null,
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
  told_at text,
  primary key (exception, revision, number)
) strict;
create index exception_event_untold on exception_event (at) where told_at is null;

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

-- Everything that was put before an approver, by its digest, so that one can prove what was seen.
create table package (
  digest text not null primary key,
  exception text not null,
  revision integer not null,
  person text not null,
  made_at text not null,
  body text not null
) strict;
create index package_of on package (exception, revision, made_at);

-- Who lets whom act in their place, in which role, from when to when.
create table delegation (
  id text not null primary key,
  person text not null,
  delegate text not null,
  role text not null,
  begins_at text not null,
  ends_at text not null,
  because text not null,
  created_at text not null,
  revoked_at text
) strict;
create index delegation_to on delegation (delegate, ends_at);

-- What each approver said, once more by columns: for people who ask in SQL.
create table exception_decision (
  exception text not null,
  revision integer not null,
  number integer not null,
  step text not null,
  approver text not null,
  name text not null,
  team text,
  role text not null,
  on_behalf_of text,
  verdict text not null,
  decided_at text not null,
  terms text not null,
  package text,
  primary key (exception, revision, number)
) strict;

-- The register in SQL: what the connector `tripline` reads.
create view tripline_exceptions as
select e.id, e.revision, e.state, e.policy, e.provision, e.requester, e.owner, e.beneficiary as team, e.title, e.tier,
  e.category, e.reason_code, e.residual, e.renewals, e.submitted_at, e.approved_at, e.activated_at, e.suspended_at,
  e.suspension, e.review_due_at, e.failing, e.not_before, e.expires_at,
  (select count(*) from coverage c where c.exception = e.id and c.closed_at is null) as silent
from exception e
where e.revision = (select max(n.revision) from exception n where n.id = e.id);

create view tripline_findings as
select key, control, subject, status, severity, opened_at, first_seen, changed_at, covered_by from finding;

create view tripline_decisions as
select exception, revision, number, step, approver, name, team, role, on_behalf_of, verdict, decided_at, terms, package
from exception_decision;
