-- Signals: repeated exceptions that question a policy, with the review that each opened.

-- One signal. `body` is the whole record; the columns repeat what is searched. `version` counts its changes, so
-- that of two who change it at the same time one is told.
create table signal (
  id text collate "C" not null primary key,
  version bigint not null,
  control text collate "C" not null,
  kind text collate "C" not null,
  state text collate "C" not null,
  policy text collate "C",
  opened_at timestamptz not null,
  changed_at timestamptz not null,
  body json not null
);
create index signal_by_state on signal (state, opened_at);

-- Everything that ever happened to a signal, in order.
create table signal_event (
  signal text collate "C" not null,
  number bigint not null,
  at timestamptz not null,
  actor text collate "C" not null,
  act text collate "C" not null,
  state text collate "C" not null,
  reason text collate "C",
  primary key (signal, number)
);

-- The last number that was given out in each year.
create table signal_number (
  year bigint not null primary key,
  last bigint not null
);

-- Requests of another register, from before this one was kept. They are read for patterns and cover nothing.
create table past_ask (
  id text collate "C" not null primary key,
  day text collate "C" not null,
  body json not null
);

-- Reports as they were made, by the digest of their content.
create table report (
  content text collate "C" not null primary key,
  kind text collate "C" not null,
  period text collate "C" not null,
  made_at timestamptz not null,
  body json not null
);
create index report_by_kind on report (kind, made_at);
