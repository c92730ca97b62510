-- Signals: repeated exceptions that question a policy, with the review that each opened.

-- One signal. `body` is the whole record; the columns repeat what is searched. `version` counts its changes, so
-- that of two who change it at the same time one is told.
create table signal (
  id text not null primary key,
  version integer not null,
  control text not null,
  kind text not null,
  state text not null,
  policy text,
  opened_at text not null,
  changed_at text not null,
  body text not null
) strict;
create index signal_by_state on signal (state, opened_at);

-- Everything that ever happened to a signal, in order.
create table signal_event (
  signal text not null,
  number integer not null,
  at text not null,
  actor text not null,
  act text not null,
  state text not null,
  reason text,
  primary key (signal, number)
) strict;

-- The last number that was given out in each year.
create table signal_number (
  year integer not null primary key,
  last integer not null
) strict;

-- Requests of another register, from before this one was kept. They are read for patterns and cover nothing.
create table past_ask (
  id text not null primary key,
  day text not null,
  body text not null
) strict;

-- Reports as they were made, by the digest of their content.
create table report (
  content text not null primary key,
  kind text not null,
  period text not null,
  made_at text not null,
  body text not null
) strict;
create index report_by_kind on report (kind, made_at);
