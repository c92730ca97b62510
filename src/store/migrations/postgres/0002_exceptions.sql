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
  title text not null,
  tier text collate "C",
  category text collate "C",
  reason_code text collate "C",
  residual text collate "C",
  renewals bigint not null,
  approved_at timestamptz,
  activated_at timestamptz,
  suspended_at timestamptz,
  suspension text collate "C",
  review_due_at timestamptz,
  failing bigint not null,
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
  told_at timestamptz,
  primary key (exception, revision, number)
);
create index exception_event_untold on exception_event (at) where told_at is null;

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

-- Everything that was put before an approver, by its digest, so that one can prove what was seen.
create table package (
  digest text collate "C" not null primary key,
  exception text collate "C" not null,
  revision bigint not null,
  person text collate "C" not null,
  made_at timestamptz not null,
  body json not null
);
create index package_of on package (exception, revision, made_at);

-- Who lets whom act in their place, in which role, from when to when.
create table delegation (
  id text collate "C" not null primary key,
  person text collate "C" not null,
  delegate text collate "C" not null,
  role text collate "C" not null,
  begins_at timestamptz not null,
  ends_at timestamptz not null,
  because text collate "C" not null,
  created_at timestamptz not null,
  revoked_at timestamptz
);
create index delegation_to on delegation (delegate, ends_at);

-- What each approver said, once more by columns: for people who ask in SQL.
create table exception_decision (
  exception text collate "C" not null,
  revision bigint not null,
  number bigint not null,
  step text collate "C" not null,
  approver text collate "C" not null,
  name text not null,
  team text collate "C",
  role text collate "C" not null,
  on_behalf_of text collate "C",
  verdict text collate "C" not null,
  decided_at timestamptz not null,
  terms text collate "C" not null,
  package text collate "C",
  primary key (exception, revision, number)
);

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
