//! The schema and how it grows. Migrations are part of the program, are never edited once they were
//! applied anywhere, and are applied whole or not at all. A database of a newer program is refused.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{
    backend::{Conn, Engine, Store, Tx, now},
    error::{Error, Result},
};
use crate::model::id::Sha;

/// One step of the schema, in the dialect of each engine.
struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "initial",
        sqlite: include_str!("migrations/sqlite/0001_initial.sql"),
        postgres: include_str!("migrations/postgres/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "exceptions",
        sqlite: include_str!("migrations/sqlite/0002_exceptions.sql"),
        postgres: include_str!("migrations/postgres/0002_exceptions.sql"),
    },
    Migration {
        version: 3,
        name: "signals",
        sqlite: include_str!("migrations/sqlite/0003_signals.sql"),
        postgres: include_str!("migrations/postgres/0003_signals.sql"),
    },
];

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 when there was none.
    pub from: i64,
    /// The schema now.
    pub to: i64,
    /// The names of the migrations that were applied.
    pub applied: Vec<&'static str>,
}

/// How the schema of the database stands to the one that this program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// It is the same.
    Current,
    /// `tripline db migrate` is needed; 0 when there is no schema at all.
    Older(i64),
    /// A newer program was here.
    Newer(i64),
}

#[derive(FromRow)]
struct Applied {
    version: i64,
    name: String,
    checksum: String,
}

impl Migration {
    fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}

/// The schema that this program needs.
pub(super) fn needed() -> i64 {
    MIGRATIONS.last().map_or(0, |m| m.version)
}

impl Store {
    /// Applies what is missing. Two programs that start at the same time wait for each other.
    pub async fn migrate(&self) -> Result<Migrated> {
        let mut tx = self.begin().await?;
        tx.turn("schema").await?;
        let ledger = "create table if not exists schema_migration (
            version bigint not null primary key, name text not null, checksum text not null, applied_at text not null)";
        script(&mut tx, ledger).await?;
        let applied = applied(&mut tx).await?;
        check(&applied, tx.engine())?;
        let from = applied.last().map_or(0, |a| a.version);
        let missing = MIGRATIONS.iter().filter(|m| m.version > from);
        let mut names = Vec::new();
        for migration in missing {
            let text = migration.text(tx.engine());
            script(&mut tx, text).await?;
            note(&mut tx, migration, text).await?;
            names.push(migration.name);
        }
        tx.commit().await?;
        Ok(Migrated {
            from,
            to: needed(),
            applied: names,
        })
    }

    /// How the schema of the database stands to the one that this program needs.
    pub async fn schema(&self) -> Result<Schema> {
        let mut tx = self.read().await?;
        if !has_ledger(&mut tx).await? {
            return Ok(Schema::Older(0));
        }
        let applied = applied(&mut tx).await?;
        let found = applied.last().map_or(0, |a| a.version);
        if found > needed() {
            return Ok(Schema::Newer(found));
        }
        check(&applied, tx.engine())?;
        Ok(if found == needed() {
            Schema::Current
        } else {
            Schema::Older(found)
        })
    }

    /// Refuses a schema that is not the one this program needs.
    pub async fn ready(&self) -> Result<()> {
        match self.schema().await? {
            Schema::Current => Ok(()),
            Schema::Older(found) => Err(Error::SchemaTooOld {
                found,
                needed: needed(),
            }),
            Schema::Newer(found) => Err(Error::SchemaTooNew {
                found,
                known: needed(),
            }),
        }
    }
}

/// Runs several statements; the text is part of the program.
async fn script(tx: &mut Tx, text: &'static str) -> Result<()> {
    Ok(on!(tx, c => sqlx::raw_sql(text).execute(c).await.map(|_| ()))?)
}

async fn has_ledger(tx: &mut Tx) -> Result<bool> {
    let found: i64 = match &mut tx.conn {
        Conn::Sqlite(t) => {
            let sql = "select count(*) from sqlite_schema where type = 'table' and name = 'schema_migration'";
            sqlx::query_scalar(sql).fetch_one(&mut **t).await?
        }
        Conn::Postgres(t) => {
            let sql = "select count(*) from pg_tables where schemaname = current_schema() and tablename = 'schema_migration'";
            sqlx::query_scalar(sql).fetch_one(&mut **t).await?
        }
    };
    Ok(found == 1)
}

async fn applied(tx: &mut Tx) -> Result<Vec<Applied>> {
    let sql = "select version, name, checksum from schema_migration order by version";
    Ok(on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?)
}

/// Compares what was applied with what this program would have applied.
fn check(applied: &[Applied], engine: Engine) -> Result<()> {
    if let Some(last) = applied.last().filter(|a| a.version > needed()) {
        return Err(Error::SchemaTooNew {
            found: last.version,
            known: needed(),
        });
    }
    for (found, ours) in applied.iter().zip(MIGRATIONS) {
        let same = found.version == ours.version
            && found.checksum == Sha::of(ours.text(engine)).to_string();
        if !same {
            return Err(Error::SchemaDiffers {
                version: found.version,
                found: found.name.clone(),
                ours: ours.name,
            });
        }
    }
    Ok(())
}

async fn note(tx: &mut Tx, migration: &Migration, text: &str) -> Result<()> {
    let at: DateTime<Utc> = now(tx).await?;
    change!(
        tx,
        sqlx::query("insert into schema_migration (version, name, checksum, applied_at) values ($1, $2, $3, $4)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(Sha::of(text).to_string())
            .bind(at.to_rfc3339())
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_from_one_without_a_gap() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
        assert_eq!(versions, (1..=needed()).collect::<Vec<_>>());
    }

    #[test]
    fn a_migration_that_was_applied_anywhere_is_never_edited() {
        // A changed digest here means an edited migration: add a new one instead.
        let digests: Vec<String> = MIGRATIONS
            .iter()
            .flat_map(|m| {
                [m.sqlite, m.postgres].map(|t| format!("{} {}", m.version, Sha::of(t).short()))
            })
            .collect();
        insta::assert_snapshot!(digests.join("\n"), @"
        1 384046eae7ac
        1 7fa710a2e8d8
        2 dc43d77bb241
        2 8223042a87c0
        3 2c8ddafb53a1
        3 b13c6ebfb2a0
        ");
    }
}
