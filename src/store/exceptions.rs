//! The register of exceptions: one row for each revision, and one for everything that ever happened to it. Nothing is
//! deleted; a change that does not know of another is refused.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::{Error, Result},
    row::{Doc, Found, NAMES_SHOWN, Place, after_prefix, int, us, us_opt},
};
use crate::{
    exception::{coverage::Standing, decide::Decision, record::Record, state::Act},
    model::{
        exception::{ReasonCode, State, Suspension},
        id::{ControlId, ExceptionId, PersonId, TeamId},
    },
};

#[derive(FromRow)]
struct Raw {
    version: i64,
    body: Doc<Record>,
}

impl Raw {
    fn read(self) -> Result<Record> {
        let Doc(record) = self.body;
        let at = Place {
            table: "exception",
            id: record.id.as_str(),
        };
        let version = at.count("version", self.version)?;
        Ok(Record { version, ..record })
    }
}

/// Something that happened to a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a person, or the machine.
    pub actor: String,
    /// What was done.
    pub act: Act,
    /// Where it stood.
    pub before: State,
    /// Where it stands then.
    pub after: State,
    /// Why.
    pub reason: Option<String>,
}

/// The next id of a year: `EXC-2026-0042`.
pub async fn next_id(tx: &mut Tx, year: i32) -> Result<ExceptionId> {
    let sql = "insert into exception_number (year, last) values ($1, 1)
        on conflict (year) do update set last = exception_number.last + 1 returning last";
    let last: i64 = on!(tx, c => sqlx::query_scalar(sql).bind(i64::from(year)).fetch_one(c).await)?;
    tx.wrote(1);
    Ok(ExceptionId::from(format!("EXC-{year}-{last:04}")))
}

/// Adds a revision.
pub async fn insert(tx: &mut Tx, record: &Record, at: DateTime<Utc>) -> Result<()> {
    let sql = "insert into exception (id, revision, version, state, policy, provision, requester, owner, beneficiary,
        submitted_at, not_before, expires_at, changed_at, title, category, reason_code, renewals, failing, body)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, $18)";
    let request = &record.request;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    change!(
        tx,
        sqlx::query(sql)
            .bind(record.id.as_str())
            .bind(i64::from(record.revision))
            .bind(int(record.version))
            .bind(record.state.as_str())
            .bind(request.provision.policy.as_str())
            .bind(&request.provision.provision)
            .bind(text(&request.requester))
            .bind(text(&request.owner))
            .bind(text(&request.beneficiary_team))
            .bind(us_opt(record.times.submitted_at))
            .bind(us(record.times.not_before))
            .bind(us(record.times.expires_at))
            .bind(us(at))
            .bind(text(&request.title))
            .bind(request.category.as_deref())
            .bind(request.reason_code.map(ReasonCode::as_str))
            .bind(i64::from(
                record.frozen.as_ref().map_or(0, |f| f.terms.renewals)
            ))
            .bind(Doc(record))
    );
    beside(tx, record).await
}

/// What stands beside the record for looking it up: where it is in SQL, its subjects, its decisions.
async fn beside(tx: &mut Tx, record: &Record) -> Result<()> {
    let frozen = record.frozen.as_ref();
    let failing = record
        .conditions
        .values()
        .filter(|c| c.standing != Standing::Holds)
        .count();
    let sql = "update exception set tier = $1, residual = $2, approved_at = $3, activated_at = $4, suspended_at = $5,
        suspension = $6, review_due_at = $7, failing = $8 where id = $9 and revision = $10";
    change!(
        tx,
        sqlx::query(sql)
            .bind(frozen.map(|f| f.triage.tier.as_str()))
            .bind(frozen.map(|f| f.terms.residual.rating.as_str()))
            .bind(us_opt(record.times.approved_at))
            .bind(us_opt(record.times.activated_at))
            .bind(us_opt(record.times.suspended_at))
            .bind(record.suspension.map(Suspension::as_str))
            .bind(us_opt(record.review_due()))
            .bind(i64::try_from(failing).unwrap_or(i64::MAX))
            .bind(record.id.as_str())
            .bind(i64::from(record.revision))
    );
    subjects(tx, record).await?;
    decisions(tx, record).await
}

async fn decisions(tx: &mut Tx, record: &Record) -> Result<()> {
    // Those of earlier revisions stand there with them.
    let frozen = record.frozen.as_ref();
    let counts = |d: &&Decision| frozen.is_some_and(|f| f.counts(d.terms));
    let these = record.decisions.iter().filter(counts);
    for (n, one) in (1i64..).zip(these) {
        let sql = "insert into exception_decision (exception, revision, number, step, approver, name, team, role,
            on_behalf_of, verdict, decided_at, terms, package)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            on conflict (exception, revision, number) do nothing";
        change!(
            tx,
            sqlx::query(sql)
                .bind(record.id.as_str())
                .bind(i64::from(record.revision))
                .bind(n)
                .bind(&one.step)
                .bind(one.approver.as_str())
                .bind(&one.name)
                .bind(one.team.as_ref().map(TeamId::as_str))
                .bind(&one.role.role)
                .bind(one.role.on_behalf_of.as_ref().map(PersonId::as_str))
                .bind(one.verdict.as_str())
                .bind(us(one.at))
                .bind(one.terms.to_string())
                .bind(one.package.map(|p| p.to_string()))
        );
    }
    Ok(())
}

/// The frozen subjects, for looking them up.
async fn subjects(tx: &mut Tx, record: &Record) -> Result<()> {
    let Some(frozen) = &record.frozen else {
        return Ok(());
    };
    for one in &frozen.terms.subjects {
        let sql = "insert into exception_subject (exception, revision, control, subject) values ($1, $2, $3, $4)
            on conflict (control, subject, exception, revision) do nothing";
        change!(
            tx,
            sqlx::query(sql)
                .bind(record.id.as_str())
                .bind(i64::from(record.revision))
                .bind(one.control.as_str())
                .bind(one.subject.as_str())
        );
    }
    Ok(())
}

/// Writes what became of a revision that was read at `record.version`, and counts the change.
///
/// # Errors
/// [`Error::Changed`] when somebody else changed it meanwhile, or made a newer revision of it.
pub async fn update(tx: &mut Tx, record: &mut Record, at: DateTime<Utc>) -> Result<()> {
    let read = record.version;
    record.version += 1;
    let sql = "update exception set version = $1, state = $2, submitted_at = $3, not_before = $4, expires_at = $5,
        changed_at = $6, body = $7 where id = $8 and revision = $9 and version = $10
        and not exists (select 1 from exception newer where newer.id = $8 and newer.revision > $9)";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(int(record.version))
            .bind(record.state.as_str())
            .bind(us_opt(record.times.submitted_at))
            .bind(us(record.times.not_before))
            .bind(us(record.times.expires_at))
            .bind(us(at))
            .bind(Doc(&*record))
            .bind(record.id.as_str())
            .bind(i64::from(record.revision))
            .bind(int(read))
    );
    if changed != 1 {
        return Err(Error::Changed {
            what: format!("exception {}", record.id),
        });
    }
    beside(tx, record).await
}

/// Adds what happened to a revision.
pub async fn event(tx: &mut Tx, record: &Record, event: &Event) -> Result<()> {
    let sql = "insert into exception_event (exception, revision, number, at, actor, act, state_before, state_after, reason)
        values ($1, $2, (select coalesce(max(number), 0) + 1 from exception_event where exception = $1 and revision = $2),
        $3, $4, $5, $6, $7, $8)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(record.id.as_str())
            .bind(i64::from(record.revision))
            .bind(us(event.at))
            .bind(&event.actor)
            .bind(event.act.as_str())
            .bind(event.before.as_str())
            .bind(event.after.as_str())
            .bind(event.reason.as_deref())
    );
    Ok(())
}

#[derive(FromRow)]
struct RawEvent {
    at: DateTime<Utc>,
    actor: String,
    act: String,
    state_before: String,
    state_after: String,
    reason: Option<String>,
}

impl RawEvent {
    fn read(self, place: Place<'_>) -> Result<Event> {
        Ok(Event {
            at: self.at,
            act: place.text("act", &self.act)?,
            before: place.text("state_before", &self.state_before)?,
            after: place.text("state_after", &self.state_after)?,
            actor: self.actor,
            reason: self.reason,
        })
    }
}

/// Everything that happened to an exception, oldest first.
pub async fn events(tx: &mut Tx, id: &ExceptionId) -> Result<Vec<Event>> {
    let sql = "select at, actor, act, state_before, state_after, reason from exception_event where exception = $1
        order by revision, number";
    let raw: Vec<RawEvent> =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_all(c).await)?;
    let place = Place {
        table: "exception_event",
        id: id.as_str(),
    };
    raw.into_iter().map(|raw| raw.read(place)).collect()
}

/// When something happened to an exception last.
pub async fn last_event(tx: &mut Tx, id: &ExceptionId) -> Result<Option<DateTime<Utc>>> {
    let sql = "select max(at) from exception_event where exception = $1";
    let last: (Option<DateTime<Utc>>,) =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_one(c).await)?;
    Ok(last.0)
}

/// Something that happened and that nobody was told of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The exception.
    pub exception: ExceptionId,
    /// Its revision.
    pub revision: u32,
    /// Which of its events.
    pub number: i64,
    /// What happened.
    pub event: Event,
}

#[derive(FromRow)]
struct RawUntold {
    exception: String,
    revision: i64,
    number: i64,
    #[sqlx(flatten)]
    event: RawEvent,
}

/// What happened and was not told yet, oldest first.
pub async fn untold(tx: &mut Tx) -> Result<Vec<Untold>> {
    let sql =
        "select exception, revision, number, at, actor, act, state_before, state_after, reason
        from exception_event where told_at is null order by at, exception, revision, number";
    let raw: Vec<RawUntold> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    raw.into_iter()
        .map(|raw| {
            let place = Place {
                table: "exception_event",
                id: &raw.exception,
            };
            Ok(Untold {
                revision: place.count("revision", raw.revision)?,
                number: raw.number,
                event: raw.event.read(place)?,
                exception: ExceptionId::from(raw.exception),
            })
        })
        .collect()
}

/// Whoever is to hear of something is owed a word from now on; whether nobody else saw to it.
pub async fn told(tx: &mut Tx, one: &Untold, at: DateTime<Utc>) -> Result<bool> {
    let sql = "update exception_event set told_at = $1
        where exception = $2 and revision = $3 and number = $4 and told_at is null";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(us(at))
            .bind(one.exception.as_str())
            .bind(i64::from(one.revision))
            .bind(one.number)
    );
    Ok(changed == 1)
}

/// One revision of an exception.
pub async fn revision(tx: &mut Tx, id: &ExceptionId, revision: u32) -> Result<Option<Record>> {
    let sql = "select version, body from exception where id = $1 and revision = $2";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(id.as_str())
        .bind(i64::from(revision))
        .fetch_optional(c)
        .await)?;
    raw.map(Raw::read).transpose()
}

/// Every revision of an exception, the oldest first.
pub async fn revisions(tx: &mut Tx, id: &ExceptionId) -> Result<Vec<Record>> {
    let sql = "select version, body from exception where id = $1 order by revision";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}

/// Every exception that has a row, by its id.
pub async fn ids(tx: &mut Tx) -> Result<Vec<ExceptionId>> {
    let sql = "select distinct id from exception order by id";
    let ids: Vec<String> = on!(tx, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
    Ok(ids.into_iter().map(ExceptionId::from).collect())
}

/// The newest revision of an exception.
pub async fn get(tx: &mut Tx, id: &ExceptionId) -> Result<Option<Record>> {
    // Whoever writes waits for whoever wrote before, and then sees what they wrote.
    let for_update = tx.for_update();
    let raw: Option<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new("select version, body from exception where id = ");
        q.push_bind(id.as_str());
        q.push(" order by revision desc limit 1").push(for_update);
        q.build_query_as().fetch_optional(c).await
    })?;
    raw.map(Raw::read).transpose()
}

/// The exception that a person means by its id, or by its beginning.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Record>> {
    let sql = "select distinct id from exception where id >= $1 and id < $2 order by id limit $3";
    let mut ids: Vec<String> = on!(tx, c => sqlx::query_scalar(sql)
        .bind(name)
        .bind(after_prefix(name))
        .bind(i64::from(NAMES_SHOWN))
        .fetch_all(c)
        .await)?;
    if let Some(exact) = ids.iter().position(|id| id == name) {
        ids = vec![ids.swap_remove(exact)];
    }
    Ok(match Found::among(ids, Clone::clone) {
        Found::One(id) => get(tx, &ExceptionId::from(id))
            .await?
            .map_or(Found::Nothing, Found::One),
        Found::Nothing => Found::Nothing,
        Found::Several(names) => Found::Several(names),
    })
}

/// Which exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Written in one of these states; all when empty.
    pub states: Vec<State>,
    /// Speaking of this control.
    pub control: Option<ControlId>,
}

/// The newest revisions of exceptions, the newest first.
pub async fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Record>> {
    let raw: Vec<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new(
            "select e.version, e.body from exception e where e.revision = \
             (select max(n.revision) from exception n where n.id = e.id)",
        );
        if !filter.states.is_empty() {
            q.push(" and e.state in (");
            let mut list = q.separated(", ");
            for state in &filter.states {
                list.push_bind(state.as_str());
            }
            q.push(")");
        }
        if let Some(control) = &filter.control {
            q.push(" and exists (select 1 from exception_subject s where s.exception = e.id and s.revision = e.revision and s.control = ");
            q.push_bind(control.as_str());
            q.push(")");
        }
        q.push(" order by e.id desc");
        q.build_query_as().fetch_all(c).await
    })?;
    raw.into_iter().map(Raw::read).collect()
}
